"""The stage contract: the only way the runtime knows a Z axis, whatever controller drives it.

Positions are um, positive = objective up. Times are the host's CLOCK_MONOTONIC in ns.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from firmware_bridge import plug_ins
from firmware_bridge.errors import StageError, StageRefused, StageUncertain


@dataclass(frozen=True, slots=True)
class StageStatus:
    """What the controller last said. `settled_ns` is when the axis last came to rest and settled
    (host time; 0 = at rest since before we connected); it is None while moving or settling."""

    z_um: float
    moving: bool
    settled_ns: int | None
    latched: str | None  # why the controller refuses to move ("SAFE_STOP", ...), None = it does not
    time_ns: int  # host time at which z_um held


@dataclass(frozen=True, slots=True)
class ZAt:
    """Position at a moment, with the half-width within which it is known."""

    z_um: float
    uncertainty_um: float


@dataclass(frozen=True, slots=True)
class Exposure:
    """The camera's strobe as the controller saw it, in host time; `z` is that of mid-exposure.

    `count` grows by one for each since the controller's start: a gap is a lost event.
    """

    start_ns: int
    end_ns: int
    z: ZAt
    count: int


@dataclass(frozen=True, slots=True)
class Identity:
    """What a controller says of itself, by which it is known again; um are its own.

    `travel_um` None = it cannot tell its limits. `serial`, `port`: its own number and the name of
    its line that stays (/dev/serial/by-id), "" = it has none. `referenced`: whether it counts from
    its reference, None = it cannot tell.
    """

    text: str
    resolution_um: float
    travel_um: tuple[float, float] | None
    serial: str = ""
    referenced: bool | None = None
    port: str = ""


class Stage(ABC):
    """A Z axis. Moves are absolute; a call is confirmed, refused, or raises StageUncertain."""

    z_min_um: float
    z_max_um: float
    resolution_um: float
    identity: Identity | None = None

    @abstractmethod
    def status(self) -> StageStatus:
        """Newest status; LinkLost when the last one is older than the link time-out.

        StageSilent, a LinkLost, when no move was under way: call again, it is asked on.
        """

    @abstractmethod
    def z_at(self, time_ns: int) -> ZAt:
        """Position at a recent moment; StageRefused("no-history") when it is not covered."""

    @abstractmethod
    def move_to(self, target_um: float, assumed_um: float) -> int:
        """Start an absolute move; returns its number once the controller accepted it.

        `assumed_um` is where the caller believes the axis is: the controller refuses when it
        is elsewhere. Raises StageRefused (nothing moved) or StageUncertain.
        """

    @abstractmethod
    def wait(self, timeout_s: float) -> StageStatus:
        """Wait until the last move is done and settled; StageUncertain after `timeout_s`.

        Also when the move ended elsewhere than at its target and no `stop` of ours did that.
        """

    @abstractmethod
    def stop(self) -> None:
        """Decelerate now; bypasses whatever is queued. Never raises on a healthy link."""

    @abstractmethod
    def clear(self) -> None:
        """Leave the controller's latched stop. Only a person may ask for this."""

    @abstractmethod
    def close(self) -> None:
        """Stop talking; safe to call twice."""


#: name in the config -> where the driver lives ("module:class")
STAGES: dict[str, str] = {
    "binary": "firmware_bridge.stages.binary:BinaryStage",
    "asi": "firmware_bridge.stages.asi:AsiStage",
    "pi": "firmware_bridge.stages.pi_gcs2:PiStage",
    "tmcl": "firmware_bridge.stages.tmcl:TmclStage",
    "zaber": "firmware_bridge.stages.zaber_ascii:ZaberStage",
    "prior": "firmware_bridge.stages.prior:PriorStage",
    "tango": "firmware_bridge.stages.tango:TangoStage",
    "grbl": "firmware_bridge.stages.grbl:GrblStage",
    "mmcore": "firmware_bridge.stages.mmcore:MmCoreStage",
    "binary-process": "firmware_bridge.stages.own_process:OwnProcessStage",
}


def open_stage(name: str, settings: Mapping[str, Any], stop_first: bool = False) -> Stage:
    """Import the driver called `name` and open it; KeyError for an unknown name.

    `stop_first`: stop the axis before anything else is asked, whatever the questions end in. What
    fails here leaves the position as uncertain as it was before: nothing of ours moved.
    """
    if name not in STAGES:
        return _open_plug_in(name, settings, stop_first)
    module, _, attribute = STAGES[name].partition(":")
    driver = getattr(importlib.import_module(module), attribute)
    try:
        stage: Stage = driver(**settings, **({"stop_first": True} if stop_first else {}))
    except StageUncertain as error:
        error.glass_may_have_moved = False
        raise
    return stage


def _open_plug_in(name: str, settings: Mapping[str, Any], stop_first: bool) -> Stage:
    """The same for a driver of another package; StageRefused("CONFIG") where it cannot be used.

    One that knows no `stop_first` is opened, and stopped then.
    """
    try:
        plug_in = plug_ins.find(plug_ins.STAGES, name)
        if plug_in is None:
            raise KeyError(name)
        driver = plug_in.load()
    except plug_ins.PlugInBroken as broken:
        raise StageRefused("CONFIG", f"driver {name!r}: {broken}") from broken
    knows = stop_first and plug_ins.takes(driver, "stop_first")
    try:
        stage = driver(**settings, **({"stop_first": True} if knows else {}))
    except StageUncertain as error:
        error.glass_may_have_moved = False
        raise
    except (StageError, OSError):
        raise
    except Exception as error:  # whatever a foreign library raises
        raise StageError(f"driver {name!r}: {plug_in.broken(error)}") from error
    if not isinstance(stage, Stage):
        raise StageRefused("CONFIG", f"driver {name!r}: {plug_in}: opens no sparsefocus.Stage")
    if stop_first and not knows:
        stage.stop()
    return stage
