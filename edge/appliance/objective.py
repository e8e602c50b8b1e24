"""The objective that pictures were taken with: from options, a config, or what the models are for.

No file says how large its pixels are in a way that can be relied on, and another pixel size or
aperture makes every answer wrong; so what was assumed is always said.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

from edge.errors import ConfigError
from edge.optics import Objective
from edge.settings import OBJECTIVE_KEYS, Config
from engines.manifest import NOMINAL_OPTICS, Manifest

CONDENSER = NOMINAL_OPTICS.condenser_sigma
OPTIONS = {
    "na": "numerical aperture of the objective",
    "um_per_px": "um in the object plane per pixel of the picture",
    "magnification": "of the objective",
    "refractive_index": "of the immersion",
    "wavelength_um": "the middle of the light",
}


@dataclass(frozen=True, slots=True)
class AskedObjective:
    """The objective, and where its numbers come from: name of an option or key -> words."""

    objective: Objective
    whence: dict[str, str]

    @property
    def sentence(self) -> str:
        """For a person: what the answers rest on."""
        o = self.objective
        parts = (
            f"{o.magnification:g}x ({self.whence['magnification']})",
            f"NA {o.na:g} ({self.whence['na']})",
            f"{o.um_per_px:g} um per pixel in the object plane ({self.whence['um_per_px']})",
        )
        return (
            f"{', '.join(parts)}, the condenser's aperture at {CONDENSER:g} of the objective's "
            "(assumed); others make the answers wrong"
        )


def add_objective(parser: argparse.ArgumentParser) -> None:
    """The options that `objective_of` reads."""
    group = parser.add_argument_group("the objective (default: the config's, or the models' own)")
    for name, text in OPTIONS.items():
        group.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X", help=text)


def objective_of(
    options: argparse.Namespace, dpn: Path, config: Config | None = None
) -> AskedObjective:
    """As the options say, else the config, else the models of `dpn`; ConfigError for a number that
    no objective has, and for a pixel size that does not go with a magnification alone."""
    optics = Manifest.read(dpn).optics
    base = Objective(optics.na, optics.magnification, optics.um_per_px)
    word = "assumed"
    if config is not None:
        base, word = config.objective, "by the config"
    given = {name: getattr(options, name, None) for name in OPTIONS}
    for name, value in given.items():
        if value is not None:
            _check(name, value, given["refractive_index"] or base.refractive_index)
    values = {name: value for name, value in given.items() if value is not None}
    if "magnification" in values and "um_per_px" not in values:
        # the same camera behind another objective
        values["um_per_px"] = base.um_per_px * base.magnification / values["magnification"]
    objective = replace(base, **values)
    if not objective.na < objective.refractive_index:
        raise ConfigError(
            f"--na {objective.na:g} must be below the refractive index "
            f"{objective.refractive_index:g}"
        )
    whence = {name: _whence(name, given, word) for name in ("um_per_px", "na", "magnification")}
    return AskedObjective(objective, whence)


def _whence(name: str, given: dict[str, float | None], word: str) -> str:
    if given[name] is not None:
        return "as given"
    if name == "um_per_px" and given["magnification"] is not None:
        return "of the same camera"
    return word


def _check(name: str, value: float, index: float) -> None:
    key = OBJECTIVE_KEYS[name]
    high = key.high * index if name == "na" else key.high
    if not key.low <= value <= high:
        raise ConfigError(f"--{name.replace('_', '-')} {value:g} must be {key.low:g} to {high:g}")
