"""The XY contract: the only way the runtime knows the slide's stage, whatever controller drives it.

Positions are um in the stage's own axes: which way they lie in a picture is measured, not assumed.
Times are the host's CLOCK_MONOTONIC in ns. What `firmware_bridge.stage` says of Z holds here: moves
are absolute and numbered; a call is confirmed, refused, or raises StageUncertain.
"""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firmware_bridge.errors import StageRefused


@dataclass(frozen=True, slots=True)
class XYStatus:
    """What the controller last said. `settled_ns`: since when both axes rest and are settled
    (0 = since before we connected), None while either moves or settles; `latched`: why it refuses
    to move, None = it does not; `time_ns`: when the position held."""

    x_um: float
    y_um: float
    moving: bool
    settled_ns: int | None
    latched: str | None
    time_ns: int


@dataclass(frozen=True, slots=True)
class XYAt:
    """Position at a moment; each axis is known within this half-width."""

    x_um: float
    y_um: float
    uncertainty_um: float


@dataclass(frozen=True, slots=True)
class Trigger:
    """Pulses for the camera by position, at `start_um` + n `pitch_um` for n = 0 to `count` - 1;
    the pitch has the sign of the sweep. ValueError for none."""

    start_um: float
    pitch_um: float
    count: int
    width_us: float = 10.0

    def __post_init__(self) -> None:
        numbers = (self.start_um, self.pitch_um, self.width_us)
        if not (all(map(math.isfinite, numbers)) and self.pitch_um and self.width_us > 0):
            raise ValueError(f"{self} triggers nothing")
        if self.count < 1:
            raise ValueError(f"a trigger of {self.count} pulses")

    @property
    def end_um(self) -> float:
        """Where the last pulse comes."""
        return self.start_um + (self.count - 1) * self.pitch_um


@dataclass(frozen=True, slots=True)
class Triggered:
    """A pulse that was given. `count` grows by one for each since the sweep began: a gap is a lost
    event, and its field is lost."""

    count: int
    time_ns: int
    x_um: float


class XYStage(ABC):
    """Two axes under the slide."""

    x_min_um: float
    x_max_um: float
    y_min_um: float
    y_max_um: float
    resolution_um: float

    @abstractmethod
    def status(self) -> XYStatus:
        """Newest status; LinkLost when the last one is older than the link time-out.

        StageSilent, a LinkLost, when no move was under way: call again, it is asked on.
        """

    @abstractmethod
    def xy_at(self, time_ns: int) -> XYAt:
        """Position at a recent moment; StageRefused("no-history") when it is not covered."""

    @abstractmethod
    def move_to(self, x_um: float, y_um: float, assumed: tuple[float, float]) -> int:
        """Start an absolute move of both axes at once; its number, once it was accepted.

        `assumed`: where the caller believes the stage is; refused when it is elsewhere. Raises
        StageRefused (neither axis moved) or StageUncertain.
        """

    @abstractmethod
    def sweep(
        self, x_um: float, speed_um_s: float, assumed: tuple[float, float], trigger: Trigger | None
    ) -> int:
        """Start along X to `x_um` at a steady speed, with pulses on the way; its number.

        The way to speed and back is the caller's: StageRefused("RUN_UP") for a pulse where the
        speed is not reached, ("NO_TRIGGER") where the controller has none. Otherwise as `move_to`.
        """

    @abstractmethod
    def triggered(self) -> list[Triggered]:
        """The pulses of the last sweep so far, in their order."""

    def pulses_given(self) -> int:
        """How many the last sweep gave so far, also where the word of one was lost on its way: a
        controller that counts them itself says so here."""
        return len(self.triggered())

    @abstractmethod
    def wait(self, timeout_s: float) -> XYStatus:
        """Wait until the last move is done and settled; StageUncertain after `timeout_s`, and when
        it ended elsewhere than at its target and no `stop` of ours did that."""

    @abstractmethod
    def stop(self) -> None:
        """Decelerate both axes now. Never raises on a healthy link."""

    @abstractmethod
    def clear(self) -> None:
        """Leave the controller's latched stop. Only a person may ask for this."""

    @abstractmethod
    def close(self) -> None:
        """Stop talking; safe to call twice."""


def allowed(
    stage: XYStage, x_um: float, y_um: float, assumed: tuple[float, float], tolerance_um: float
) -> XYStatus:
    """The status, where a move to there may begin; StageRefused with the reason before either axis
    goes. `tolerance_um`: how far off `assumed` the stage may be."""
    if not all(map(math.isfinite, (x_um, y_um, *assumed))):
        raise StageRefused("NOT_FINITE", f"to ({x_um}, {y_um}) from {assumed}")
    inside_x = stage.x_min_um <= x_um <= stage.x_max_um
    if not (inside_x and stage.y_min_um <= y_um <= stage.y_max_um):
        raise StageRefused("WINDOW", f"({x_um:.1f}, {y_um:.1f}) um is outside the window")
    status = stage.status()
    if status.latched is not None:
        raise StageRefused("LATCHED", status.latched)
    if status.moving:
        raise StageRefused("BUSY", "the stage moves")
    off_um = max(abs(status.x_um - assumed[0]), abs(status.y_um - assumed[1]))
    if not off_um <= tolerance_um:
        raise StageRefused("ASSUMED_DIFFERS", f"it is {off_um:.1f} um away from {assumed}")
    return status


#: name in the config -> what opens the driver ("module:function")
XY_STAGES: dict[str, str] = {
    "asi": "firmware_bridge.stages.two_axes:open_asi_xy",
    "binary": "firmware_bridge.stages.binary_xy:open_binary_xy",
    "grbl": "firmware_bridge.stages.grbl_xy:open_grbl_xy",
    "pi": "firmware_bridge.stages.two_axes:open_pi_xy",
    "tango": "firmware_bridge.stages.two_axes:open_tango_xy",
    "tmcl": "firmware_bridge.stages.two_axes:open_tmcl_xy",
    "zaber": "firmware_bridge.stages.two_axes:open_zaber_xy",
}


def open_xy_stage(name: str, settings: Mapping[str, Any]) -> XYStage:
    """Import the driver called `name` and open it; KeyError for an unknown name, StageRefused or
    LinkLost from the driver: nothing of ours moved."""
    module, _, attribute = XY_STAGES[name].partition(":")
    stage: XYStage = getattr(importlib.import_module(module), attribute)(**settings)
    return stage
