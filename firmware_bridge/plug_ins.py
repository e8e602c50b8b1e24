"""Drivers that are not ours: what other installed packages bring, by Python's entry points.

A package names its drivers in its own metadata, in the groups CAMERAS and STAGES:

    [project.entry-points."sparsefocus.stages"]
    my-stage = "my_scope.stage:MyStage"

and a config says `driver: my-stage`. Only what a config names is imported, so a broken package
stands in nobody's way who does not use it. A name of ours is never taken over.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

CAMERAS, STAGES = "sparsefocus.cameras", "sparsefocus.stages"
#: as a driver's name: the program that builds the rig brings the object itself
GIVEN = "given"
NEEDS_GIVER = "is for programs that bring it: sparsefocus.open(config, {0}=...) (docs/python.md)"


class PlugInBroken(Exception):
    """A driver of another package cannot be used; the text, one line, says whose it is and why."""


@dataclass(frozen=True, slots=True)
class PlugIn:
    """A driver of another package. `package`: its name and version; `where`: module and object."""

    name: str
    package: str
    where: str
    entry: EntryPoint

    def load(self) -> Callable[..., Any]:
        """The class or function that opens it; PlugInBroken, whatever its import ended in."""
        try:
            driver = self.entry.load()
        except Exception as error:  # foreign code, run for the first time
            raise self.broken(error) from error
        if not callable(driver):
            raise PlugInBroken(f"{self}: is no class or function, but {driver!r:.80}")
        opens: Callable[..., Any] = driver
        return opens

    def broken(self, error: BaseException) -> PlugInBroken:
        """What went wrong in its code, as one line."""
        why = " ".join(f"{type(error).__name__}: {error}".split())
        return PlugInBroken(f"{self}: {why}")

    def __str__(self) -> str:
        return f"{self.where} of {self.package}"


def plug_ins(group: str) -> tuple[PlugIn, ...]:
    """All that are installed, by name; nothing of them is imported."""
    entries = [_plug_in(entry) for entry in entry_points(group=group)]
    return tuple(sorted(set(entries), key=lambda each: (each.name, each.package, each.where)))


def names(group: str) -> tuple[str, ...]:
    """What a config may call them."""
    return tuple(dict.fromkeys(each.name for each in plug_ins(group)))


def find(group: str, name: str) -> PlugIn | None:
    """The one of that name; None when nobody brings it, PlugInBroken when two packages do."""
    matches = [each for each in plug_ins(group) if each.name == name]
    if len(matches) > 1:
        both = " and ".join(str(each) for each in matches)
        raise PlugInBroken(f"two packages bring {name!r}: {both}; uninstall one")
    return matches[0] if matches else None


def signature_faults(
    driver: Callable[..., Any], given: Mapping[str, Any], ours: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """(option, what is wrong) for each that the driver does not take, or needs and was not given.

    `ours`: parameters that do not come from the options.
    """
    try:
        parameters = inspect.signature(driver).parameters.values()
    except (TypeError, ValueError):  # written in C: it will say so itself
        return
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    takes = [each for each in parameters if each.kind in by_name and each.name not in ours]
    anything = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
    known = [each.name for each in takes]
    for key in given:
        if key in ours:
            yield key, "belongs into the section itself"
        elif key not in known and not anything:
            yield key, f"is not an option of this driver, which has {', '.join(known) or 'none'}"
    for each in takes:
        if each.default is inspect.Parameter.empty and each.name not in given:
            yield each.name, "must be given"


def takes(driver: Callable[..., Any], name: str) -> bool:
    """Whether a driver has a parameter of that name."""
    try:
        return name in inspect.signature(driver).parameters
    except (TypeError, ValueError):
        return False


def _plug_in(entry: EntryPoint) -> PlugIn:
    package = f"{entry.dist.name} {entry.dist.version}" if entry.dist else "an unknown package"
    return PlugIn(entry.name, package, entry.value, entry)
