"""The twin of a focus drive in the time of any clock: ramps, settling, and a motor that may be
wired the wrong way round. It stands in for the reference firmware where minutes must take seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from firmware_bridge.errors import StageRefused, StageUncertain
from firmware_bridge.stage import Stage, StageStatus, ZAt
from simulator.ramp import Ramp, moving, resting, stopping

_TOLERANCE_UM = 1.0  # how far off `assumed_um` may be
_HISTORY = 64  # moves
_SLACK_S = 1e-6


class SimulatedZStage(Stage):
    """`glass_um` is where the objective really is. Harm: `direction` -1 = wired backwards, `jammed`
    holds it where it is, `latched` refuses all."""

    def __init__(
        self,
        z_min_um: float,
        z_max_um: float,
        at_um: float,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
        speed_um_s: float = 1000.0,
        acceleration_um_s2: float = 50_000.0,
        settle_ms: float = 5.0,
    ) -> None:
        self.z_min_um, self.z_max_um, self.resolution_um = z_min_um, z_max_um, 0.05
        self.direction, self.jammed = 1, False
        self.latched: str | None = None
        self.moves = 0
        self._speed, self._acceleration = speed_um_s, acceleration_um_s2
        self._settle_s, self._clock, self._sleep = settle_ms / 1e3, clock, sleep
        self._ramp = resting(at_um, clock() / 1e9)
        self._past: list[tuple[float, Ramp]] = [(clock() / 1e9, self._ramp)]
        self._origin_um, self._moved, self._short = at_um, False, ""

    def glass_um(self, time_ns: int) -> float:
        """The objective's true height at a moment."""
        z_um = self._reported(time_ns / 1e9)
        return self._origin_um + self.direction * (z_um - self._origin_um)

    def status(self) -> StageStatus:
        now_s = self._clock() / 1e9
        settled_s = self._ramp.end_s + self._settle_s
        settled_ns: int | None = round(settled_s * 1e9) if self._moved else 0
        if self._moved and now_s < settled_s:
            settled_ns = None
        under_way = now_s < self._ramp.end_s
        return StageStatus(
            self._ramp.at(now_s)[0], under_way, settled_ns, self.latched, self._clock()
        )

    def z_at(self, time_ns: int) -> ZAt:
        if time_ns > self._clock():
            raise StageRefused("no-history", "that moment is still to come")
        return ZAt(self._reported(time_ns / 1e9), self.resolution_um / 2)

    def move_to(self, target_um: float, assumed_um: float) -> int:
        here = self.status()
        if self.latched is not None:
            raise StageRefused("LATCHED", self.latched)
        if not self.z_min_um <= target_um <= self.z_max_um:  # NaN lands here too
            raise StageRefused("OUTSIDE_WINDOW", f"{target_um} um")
        if not abs(here.z_um - assumed_um) <= _TOLERANCE_UM:
            raise StageRefused("ASSUMED_DIFFERS", f"it is at {here.z_um:.2f} um")
        to_um = here.z_um if self.jammed else target_um
        now_s = self._clock() / 1e9
        self._ramp = moving(here.z_um, to_um, now_s, self._speed, self._acceleration)
        self._note(now_s)
        self._short = f"it is at {to_um:.2f}, not {target_um:.2f} um" if self.jammed else ""
        self._moved = True
        self.moves += 1
        return self.moves

    def wait(self, timeout_s: float) -> StageStatus:
        left_s = self._ramp.end_s + self._settle_s - self._clock() / 1e9 if self._moved else 0.0
        if left_s > timeout_s:
            self._sleep(timeout_s)
            raise StageUncertain(f"still not done after {timeout_s:g} s")
        if left_s > 0:
            self._sleep(left_s + _SLACK_S)
        if self._short:
            raise StageUncertain(f"the move ended short: {self._short}")
        return self.status()

    def stop(self) -> None:
        now_s = self._clock() / 1e9
        self._ramp = stopping(self._ramp, now_s, self._acceleration)
        self._note(now_s)

    def clear(self) -> None:
        self.latched = None

    def close(self) -> None:
        """Nothing to release."""

    def _note(self, now_s: float) -> None:
        self._past = [*self._past[1 - _HISTORY :], (now_s, self._ramp)]

    def _reported(self, when_s: float) -> float:
        for begin_s, ramp in reversed(self._past):
            if begin_s <= when_s:
                return ramp.at(when_s)[0]
        raise StageRefused("no-history", "longer ago than it remembers")
