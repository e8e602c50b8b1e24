"""The options of a camera, taken one by one with unit and limits.

They come from `camera.options` of the config, where they are free: each driver knows its own.
Read without the driver's library, so `check-config` judges them on a machine without camera.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.camera import PixelFormat
from edge.errors import OptionError

WHERE = "camera.options"
REQUIRED: Any = object()
TRIGGERS = ("free", "software", "hardware")
EDGES = ("rising", "falling")
#: what the drivers deliver: packed pixels (10p, 12p) are known to the preprocessing only
FORMATS = tuple(f.value for f in PixelFormat if f.value.endswith("8"))


class Options:
    """Take every key you know, then call `done`, which raises OptionError for all that was wrong:
    until then a wrong value is stood for by one that is allowed."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given, self._known = dict(given), list[str]()
        self._faults: list[OptionError] = []
        self._over = False

    def number(
        self, key: str, least: float, most: float, unit: str, default: Any = REQUIRED
    ) -> Any:
        """A float in least..most of `unit`, both allowed."""
        value = self._take(key, default, least)
        if key not in self._given:
            return value
        plain = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not plain or not least <= value <= most or math.isnan(value):
            return self._wrong(
                key, f"= {value!r} must be a number {least:g} to {most:g} ({unit})", default, least
            )
        return float(value)

    def integer(self, key: str, least: int, most: int, unit: str, default: Any = REQUIRED) -> Any:
        """An int in least..most of `unit`, both allowed."""
        value = self._take(key, default, least)
        if key not in self._given:
            return value
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            return self._wrong(
                key, f"= {value!r} must be a whole number {least} to {most} ({unit})", default,
                least,
            )  # fmt: skip
        return value

    def choice(self, key: str, allowed: Sequence[str], default: Any = REQUIRED) -> Any:
        """One of the words in `allowed`."""
        value = self._take(key, default, allowed[0])
        if key in self._given and value not in allowed:
            why = f"= {value!r} must be one of {', '.join(allowed)}"
            return self._wrong(key, why, default, allowed[0])
        return value

    def text(self, key: str, pattern: str, says: str, default: Any = REQUIRED) -> Any:
        """A text that matches the regular expression as a whole; `says` describes it."""
        value = self._take(key, default, "")
        if key not in self._given:
            return value
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII):
            return self._wrong(key, f"= {value!r} must be {says}", default, "")
        return value

    def truth(self, key: str, default: Any = REQUIRED) -> Any:
        """True or False."""
        value = self._take(key, default, False)
        if not isinstance(value, bool):
            return self._wrong(key, f"= {value!r} must be true or false", default, False)
        return value

    def anything(self, key: str) -> Any:
        """Whatever was given, None when nothing was: who uses it checks it."""
        return self._take(key, None, None)

    def done(self) -> None:
        """OptionError for the first fault, with the others in it; a key that nobody took is one."""
        self._over = True
        for key in self._given:
            if key not in self._known:
                why = f"is not an option of this driver, which has {self.names}"
                self._faults.append(OptionError(WHERE, key, why))
        if self._faults:
            first, *others = self._faults
            first.others = tuple(others)
            raise first

    @property
    def names(self) -> str:
        """The keys that were asked for."""
        return ", ".join(self._known)

    def reject(self, key: str, why: str) -> None:
        """Options that do not go together: a fault where each by itself was allowed, raised by
        `done`, or now where that was called."""
        fault = OptionError(WHERE, key, why)
        if self._over:
            raise fault
        if not self._faults:
            self._faults.append(fault)

    def _wrong(self, key: str, why: str, default: Any, stand_in: Any) -> Any:
        self._faults.append(OptionError(WHERE, key, why))
        return stand_in if default is REQUIRED else default

    def _take(self, key: str, default: Any, stand_in: Any) -> Any:
        self._known.append(key)
        if key not in self._given and default is REQUIRED:
            return self._wrong(key, "must be given", default, stand_in)
        return self._given.get(key, default)


@dataclass(frozen=True, slots=True)
class Imaging:
    """What every live camera is asked for.

    `width` and `height` = None: the camera's largest. `rate_hz` = None: what the camera does by
    itself. `readout_ns`: the longest time from the end of the exposure until the frame is in
    memory, if nothing disturbs it; it bounds the exposure's time where no clock of the camera
    does. `retry_s` = 0: a lost camera stays lost.
    """

    exposure_ms: float
    pixel_format: PixelFormat
    width: int | None
    height: int | None
    rate_hz: float | None
    trigger: str
    trigger_line: str | None
    trigger_edge: str
    readout_ns: int
    retry_s: float

    @property
    def exposure_ns(self) -> int:
        """The exposure time that was asked for."""
        return round(self.exposure_ms * 1e6)


def read_imaging(options: Options, triggers: Sequence[str] = TRIGGERS) -> Imaging:
    """Take the common options; `triggers` are those that the driver can do."""
    imaging = Imaging(
        exposure_ms=options.number("exposure_ms", 0.001, 10_000, "ms"),
        pixel_format=PixelFormat(options.choice("pixel_format", FORMATS)),
        width=options.integer("width", 16, 65_535, "px", default=None),
        height=options.integer("height", 16, 65_535, "px", default=None),
        rate_hz=options.number("rate_hz", 0.01, 10_000, "frames per second", default=None),
        trigger=options.choice("trigger", triggers, default="free"),
        trigger_line=options.text(
            "trigger_line", r"[A-Za-z]\w{0,31}", "the name of an input like Line1", default=None
        ),
        trigger_edge=options.choice("trigger_edge", EDGES, default="rising"),
        readout_ns=round(1e6 * options.number("readout_ms", 0, 1000, "ms", default=20.0)),
        retry_s=options.number("retry_s", 0, 3600, "s", default=1.0),
    )
    if (imaging.width is None) != (imaging.height is None):
        options.reject("width" if imaging.width is None else "height", "must be given")
    if (imaging.trigger == "hardware") != (imaging.trigger_line is not None):
        options.reject("trigger_line", "must be given with trigger: hardware, and only then")
    if imaging.rate_hz is not None and imaging.exposure_ms * imaging.rate_hz > 1000:
        options.reject(
            "exposure_ms",
            f"= {imaging.exposure_ms:g} must fit into the {1000 / imaging.rate_hz:g} ms "
            f"between frames at rate_hz = {imaging.rate_hz:g}",
        )
    return imaging
