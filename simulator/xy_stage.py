"""The twin of an XY stage: two axes with acceleration, triggers by position, and what goes wrong.

Time is whatever `clock` says, so a scan of minutes takes milliseconds. The controller behind it is
a good one: it knows where it was at any moment since the last 16 moves.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable

from firmware_bridge.errors import StageRefused, StageUncertain
from firmware_bridge.xy_stage import Trigger, Triggered, XYAt, XYStage, XYStatus, allowed
from simulator.ramp import Ramp, moving, resting, stopping

_TOLERANCE_UM = 1.0  # how far off `assumed` may be
_HISTORY = 16


class SimulatedXYStage(XYStage):
    """`sleep` waits in the clock's own time. Harm: `jammed` ("x" or "y") holds an axis where it is;
    `latched` refuses all; `lost_pulses` are counts of triggers that never come."""

    def __init__(
        self,
        window_um: tuple[float, float, float, float],
        at_um: tuple[float, float] = (0.0, 0.0),
        speed_um_s: float = 20_000.0,
        acceleration_um_s2: float = 200_000.0,
        settle_ms: float = 30.0,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`window_um`: (x_min, y_min, x_max, y_max)."""
        self.x_min_um, self.y_min_um, self.x_max_um, self.y_max_um = window_um
        self.resolution_um = 0.1
        self.speed_um_s, self.acceleration_um_s2 = speed_um_s, acceleration_um_s2
        self.jammed, self.lost_pulses = "", frozenset[int]()
        self.latched: str | None = None
        self.moves = 0
        self.targets: list[tuple[float, float]] = []
        self._settle_s, self._clock, self._sleep = settle_ms / 1e3, clock, sleep
        self._start_s = clock() / 1e9
        self._x, self._y = resting(at_um[0], self._start_s), resting(at_um[1], self._start_s)
        self._past: deque[tuple[float, Ramp, Ramp]] = deque(
            [(self._start_s, self._x, self._y)], maxlen=_HISTORY
        )
        self._pulses: list[Triggered] = []
        self._ended_short, self._moved = "", False

    def status(self) -> XYStatus:
        now_s = self._now_s()
        rested_s = max(self._x.end_s, self._y.end_s)
        settled_s = rested_s + self._settle_s
        settled = None if now_s < settled_s else round(settled_s * 1e9)
        settled = settled if self._moved else 0
        (x, _), (y, _) = self._x.at(now_s), self._y.at(now_s)
        return XYStatus(x, y, now_s < rested_s, settled, self.latched, self._clock())

    def xy_at(self, time_ns: int) -> XYAt:
        when_s = time_ns / 1e9
        if time_ns > self._clock():
            raise StageRefused("no-history", "that moment is still to come")
        for begin_s, x, y in reversed(self._past):
            if begin_s <= when_s:
                return XYAt(x.at(when_s)[0], y.at(when_s)[0], self.resolution_um / 2)
        raise StageRefused("no-history", "longer ago than it remembers")

    def move_to(self, x_um: float, y_um: float, assumed: tuple[float, float]) -> int:
        at = allowed(self, x_um, y_um, assumed, _TOLERANCE_UM)
        self._go(at, x_um, y_um, self.speed_um_s)
        return self.moves

    def sweep(
        self, x_um: float, speed_um_s: float, assumed: tuple[float, float], trigger: Trigger | None
    ) -> int:
        if not 0 < speed_um_s <= self.speed_um_s:
            raise StageRefused("SPEED", f"{speed_um_s} um/s is not up to {self.speed_um_s:g}")
        at = allowed(self, x_um, assumed[1], assumed, _TOLERANCE_UM)
        if trigger is not None:
            self._check_run_up(at.x_um, x_um, speed_um_s, trigger)
        self._go(at, x_um, at.y_um, speed_um_s)
        self._pulses = [] if trigger is None else self._pulses_of(trigger, speed_um_s)
        return self.moves

    def triggered(self) -> list[Triggered]:
        now_ns = self._clock()
        return [pulse for pulse in self._pulses if pulse.time_ns <= now_ns]

    def wait(self, timeout_s: float) -> XYStatus:
        done_s = max(self._x.end_s, self._y.end_s) + self._settle_s
        left_s = max(0.0, done_s - self._now_s())
        if left_s > timeout_s:
            self._sleep(timeout_s)
            raise StageUncertain(f"still not done after {timeout_s:g} s")
        self._sleep(left_s + 1e-6)
        if self._ended_short:
            raise StageUncertain(self._ended_short)
        return self.status()

    def stop(self) -> None:
        now_s = self._now_s()
        before_ns = self._clock()
        self._x = stopping(self._x, now_s, self.acceleration_um_s2)
        self._y = stopping(self._y, now_s, self.acceleration_um_s2)
        self._past.append((now_s, self._x, self._y))
        self._pulses = [pulse for pulse in self._pulses if pulse.time_ns <= before_ns]

    def clear(self) -> None:
        self.latched = None

    def close(self) -> None:
        """Nothing to release."""

    def _now_s(self) -> float:
        return self._clock() / 1e9

    def _check_run_up(self, from_um: float, to_um: float, speed: float, trigger: Trigger) -> None:
        sign = math.copysign(1.0, to_um - from_um)
        ramp_um = speed**2 / (2 * self.acceleration_um_s2)
        first, last = sign * (trigger.start_um - from_um), sign * (to_um - trigger.end_um)
        if not (sign * trigger.pitch_um > 0 and min(first, last) >= ramp_um - 1e-6):
            raise StageRefused("RUN_UP", f"{ramp_um:.1f} um are needed before and after the pulses")

    def _go(self, at: XYStatus, x_um: float, y_um: float, speed_um_s: float) -> None:
        now_s = self._now_s()
        x_to = at.x_um if self.jammed == "x" else x_um
        y_to = at.y_um if self.jammed == "y" else y_um
        a = self.acceleration_um_s2
        self._x = moving(at.x_um, x_to, now_s, speed_um_s, a)
        self._y = moving(at.y_um, y_to, now_s, self.speed_um_s, a)
        self._past.append((now_s, self._x, self._y))
        self._ended_short = ""
        if (x_to, y_to) != (x_um, y_um):
            ended = f"the move ended at ({x_to:.1f}, {y_to:.1f})"
            self._ended_short = f"{ended}, not at ({x_um:.1f}, {y_um:.1f}) um"
        self._pulses, self._moved = [], True
        self.moves += 1
        self.targets.append((x_um, y_um))

    def _pulses_of(self, trigger: Trigger, speed_um_s: float) -> list[Triggered]:
        """At full speed, so each pulse is a straight line away from where that is reached."""
        cruise = self._x.pieces[1] if len(self._x.pieces) > 1 else None
        if cruise is None:
            return []  # jammed: the position never comes
        pulses = []
        for count in range(trigger.count):
            x_um = trigger.start_um + count * trigger.pitch_um
            seconds = cruise.begin_s + abs(x_um - cruise.at_um) / speed_um_s
            if count not in self.lost_pulses:
                pulses.append(Triggered(count, round(seconds * 1e9), x_um))
        return pulses
