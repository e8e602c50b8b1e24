"""What may stand under `stage.options`, driver by driver: one table, read before a port is opened.

`check-config` judges a config by it on a machine without the stage, with file, line and key; a
constructor's own checks come too late for that, and a key that it does not have is a TypeError.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from firmware_bridge import plug_ins
from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.motion_options import MOST, MotionOptions


@dataclass(frozen=True, slots=True)
class Number:
    """A number from least to most of a unit; `above`: strictly more than least."""

    least: float
    most: float
    unit: str
    needed: bool = False
    above: bool = False
    whole: bool = False

    def fault(self, value: Any) -> str:
        """What is wrong with a value; "" when nothing is."""
        plain = isinstance(value, int if self.whole else (int, float))
        if plain and not isinstance(value, bool):
            enough = value > self.least if self.above else value >= self.least
            if enough and value <= self.most:  # NaN is neither
                return ""
        kind = "a whole number" if self.whole else "a number"
        span = f"above {self.least:g}, up to" if self.above else f"{self.least:g} to"
        return f"= {value!r:.80} must be {kind} {span} {self.most:g} ({self.unit})"


@dataclass(frozen=True, slots=True)
class Text:
    """A text that matches the pattern as a whole; `says` describes it."""

    pattern: str
    says: str
    needed: bool = False

    def fault(self, value: Any) -> str:
        """What is wrong with a value; "" when nothing is."""
        if isinstance(value, str) and re.fullmatch(self.pattern, value, re.ASCII):
            return ""
        return f"= {value!r:.80} must be {self.says}"


@dataclass(frozen=True, slots=True)
class Truth:
    """true or false."""

    needed: bool = False

    def fault(self, value: Any) -> str:
        """What is wrong with a value; "" when nothing is."""
        return "" if isinstance(value, bool) else f"= {value!r:.80} must be true or false"


Option = Number | Text | Truth


class StageOptionError(StageRefused):
    """One option of a stage is wrong: `key` names it, `why` says what it must be."""

    def __init__(self, key: str, why: str) -> None:
        super().__init__("CONFIG", f"options.{key} {why}")
        self.key, self.why = key, why


def _motion() -> dict[str, Option]:
    """The fields of MotionOptions, with its one limit."""
    table: dict[str, Option] = {}
    for field in fields(MotionOptions):
        unit = "ms" if field.name.endswith("_ms") else "um"
        truth = isinstance(field.default, bool)
        table[field.name] = Truth() if truth else Number(0, MOST, unit)
    return table


_PATH = r"[^\0]{1,1000}"
_PORT: dict[str, Option] = {
    "port": Text(_PATH, "the name of a serial port", needed=True),
    "baudrate": Number(300, 4_000_000, "baud", whole=True),
}
_LINE: dict[str, Option] = {**_PORT, "answer_s": Number(0.01, 10, "s"), **_motion()}
_RESOLUTION = Number(0, 1000, "um", needed=True, above=True)
_FULL_STEP = Number(0, 1000, "um", needed=True, above=True)
_BINARY: dict[str, Option] = {
    **_PORT,
    "settle_ms": Number(0, MOST, "ms", whole=True),
    "speed_um_s": Number(0.001, 2_000_000, "um/s"),
    "backlash_um": Number(-1000, 1000, "um"),
    "assumed_tolerance_um": Number(0, 1000, "um"),
}

#: driver -> key -> what it must be; the window belongs into the section itself
STAGE_OPTIONS: Mapping[str, Mapping[str, Option]] = {
    "binary": _BINARY,
    "binary-process": _BINARY,
    "asi": {
        **_LINE,
        "axis": Text("[A-Z]", "one capital letter", needed=True),
        "resolution_um": _RESOLUTION,
    },
    "pi": {
        **_LINE,
        "axis": Text("[!-~]{1,16}", "the name of an axis", needed=True),
        "resolution_um": _RESOLUTION,
    },
    "tmcl": {
        **_LINE,
        "full_step_um": _FULL_STEP,
        "module": Number(1, 255, "address", whole=True),
        "motor": Number(0, 255, "number", whole=True),
    },
    "zaber": {
        **_LINE,
        "full_step_um": _FULL_STEP,
        "device": Number(1, 99, "address", whole=True),
        "axis": Number(1, 9, "number", whole=True),
    },
    "prior": _LINE,
    "tango": {**_LINE, "resolution_um": _RESOLUTION},
    "grbl": {**_LINE, "speed_um_s": Number(1, 100_000, "um/s", needed=True)},
    "mmcore": {
        **_motion(),
        "config": Text(_PATH, "the name of a .cfg file", needed=True),
        "adapters": Text(_PATH, "the name of a folder", needed=True),
        "device": Text(r"[^\0]{1,200}", "a device's label", needed=True),
        "resolution_um": _RESOLUTION,
        "without_stop": Truth(),
    },
}


_WINDOW = ("z_min_um", "z_max_um")


def check_options(driver: str, given: Mapping[str, Any]) -> None:
    """StageOptionError for the first of `option_faults`; KeyError for an unknown driver."""
    for fault in option_faults(driver, given):
        raise fault


def option_faults(driver: str, given: Mapping[str, Any]) -> Iterator[StageOptionError]:
    """One for each option that the driver does not have, does not take, or needs and was not
    given; KeyError for an unknown driver, PlugInBroken for one of another package that cannot be
    loaded: its options are the parameters of what opens it."""
    if driver == plug_ins.GIVEN:
        yield from (StageOptionError(key, "is of no use: the stage is given") for key in given)
        return
    if driver not in STAGE_OPTIONS:
        if (plug_in := plug_ins.find(plug_ins.STAGES, driver)) is None:
            raise KeyError(driver)
        ours = (*_WINDOW, "stop_first")
        for key, why in plug_ins.signature_faults(plug_in.load(), given, ours):
            yield StageOptionError(key, why)
        return
    table = STAGE_OPTIONS[driver]
    for key, value in given.items():
        if key in _WINDOW:
            yield StageOptionError(key, "belongs into the section itself")
        elif key not in table:
            why = f"is not an option of this driver, which has {', '.join(table)}"
            yield StageOptionError(key, why)
        elif fault := table[key].fault(value):
            yield StageOptionError(key, fault)
    for key, option in table.items():
        if option.needed and key not in given:
            yield StageOptionError(key, "must be given")
