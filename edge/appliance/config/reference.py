"""The reference of all keys of the config file, made from the fields that the reader reads.

python -m edge.appliance.config.reference >docs/config_reference.md
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from edge.measure.importance import ClassRule
from edge.optics import Objective
from edge.settings import (
    CLASS_KEYS,
    OBJECTIVE_KEYS,
    CameraSettings,
    ControlSettings,
    Key,
    LoopSettings,
    ModelSettings,
    RealtimeSettings,
    RecordSettings,
    ScanSettings,
    StageSettings,
    XYStageSettings,
)

HEAD = """# Every key of the config file

Made from the code that reads them (`python -m edge.appliance.config.reference`); a test fails when
they differ. Both bounds are allowed values. An unknown, repeated, missing or impossible key stops
the start with file, line and limit. `sparsefocus init` writes one with a remark at every key, and
[sparsefocus.schema.json](sparsefocus.schema.json) beside it, for editors.
An example: [examples/scanner.yaml](../examples/scanner.yaml).
"""

#: section -> what it is, its dataclass
SECTIONS: dict[str, tuple[str, type[Any]]] = {
    "camera": ("must be given", CameraSettings),
    "stage": ("must be given", StageSettings),
    "objective": ("must be given", Objective),
    "models": ("may be left out", ModelSettings),
    "loop": ("may be left out", LoopSettings),
    "realtime": ("may be left out", RealtimeSettings),
    "record": ("may be left out", RecordSettings),
    "control": ("may be left out", ControlSettings),
    "scan": ("only for following focus while the slide moves", ScanSettings),
    "xy_stage": ("only for scanning whole slides", XYStageSettings),
}
#: keys of the file -> field of ClassRule
_CLASSES = {
    "k_dense": "dense",
    "k_sparse": "sparse",
    "importance_threshold": "threshold",
    "k_ex_sparse": "ex_sparse",
    "every_patch": "every",
}


def reference() -> str:
    """The whole document, Markdown."""
    lines = [HEAD]
    for name, (what, settings) in SECTIONS.items():
        lines += [f"## {name}", "", f"The section {what}.", ""]
        lines += ["| key | value | default | what it is |", "|---|---|---|---|"]
        for key, how, default in keys(settings):
            lines.append(f"| `{key}` | {_value(how)} | {_default(default)} | {how.text} |")
        lines.append("")
    return "\n".join(lines)


def keys(settings: type[Any]) -> Iterator[tuple[str, Key, Any]]:
    """Name, how it is read, and default (MISSING = must be given) of a section's keys."""
    defaults = {each.name: each.default for each in fields(settings)}
    if settings is Objective:
        yield from ((name, how, defaults[name]) for name, how in OBJECTIVE_KEYS.items())
        return
    for each in fields(settings):
        if "key" in each.metadata:
            yield each.name, each.metadata["key"], each.default
    if settings is LoopSettings:
        rule = ClassRule()
        yield from ((name, how, getattr(rule, _CLASSES[name])) for name, how in CLASS_KEYS.items())


def _value(how: Key) -> str:
    if how.choices and how.kind == "choice":
        return ", ".join(how.choices)
    span = f"{how.low:,} to {how.high:,}".replace(",", " ")
    return {
        "number": span,
        "integer": f"whole, {span}",
        "integers": f"a list of whole numbers, {span}",
        "truth": "true or false",
        "path": "a path, relative to the file",
        "word_or_path": f"a path, or {', '.join(how.choices)}",
        "options": "a section",
    }[how.kind]


def _default(default: Any) -> str:
    if default is MISSING:
        return "-"
    if isinstance(default, Path):
        return f"the shipped {default.name}"
    if isinstance(default, bool):
        return str(default).lower()
    return {None: "see right", (): "none", "": "-"}.get(default, str(default))


if __name__ == "__main__":
    print(reference(), end="")
