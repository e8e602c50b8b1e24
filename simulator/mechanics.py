"""Stage mechanics: what the glass really does when the motor turns.

The firmware knows only its motor. Between motor and objective lie backlash, a position error
that differs from move to move (repeatability), ringing after a stop, and in a badly wired
instrument the wrong sign. This module turns the motor's trajectory into the objective's true
height; the runtime never sees it, only the pictures taken there.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from firmware_bridge.firmware.trace import DEAD_S


class MotorTrajectory(Protocol):
    """Where the motor was: the firmware's trace, or a script in a test."""

    def read_new(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Times (ns, monotonic) and motor positions (nm) since the last call."""
        ...

    def now(self) -> tuple[int, int]:
        """Newest time (ns) and the motor's position (nm) at it."""
        ...


@dataclass(frozen=True, slots=True)
class MechanicsParameters:
    """A focusing drive as the paper describes it (section 5): 50 nm steps, 150 nm repeatability.

    `direction` is -1 when the motor is wired the wrong way round; `gain` below 1 loses steps.
    """

    backlash_um: float = 0.8
    repeatability_um: float = 0.150  # largest error of a move; its sd is half of this
    ringing_um: float = 0.4
    ringing_tau_ms: float = 6.0
    ringing_hz: float = 90.0
    direction: int = 1
    gain: float = 1.0


class Mechanics:
    """True height of the objective at any recent moment.

    Memory: one entry per motor sample (1 kHz while moving), the oldest half is dropped at
    200,000 entries.
    """

    _KEEP = 200_000

    def __init__(
        self,
        trajectory: MotorTrajectory,
        seed: int,
        parameters: MechanicsParameters = MechanicsParameters(),
    ) -> None:
        self._trajectory, self._p = trajectory, parameters
        self._rng = np.random.default_rng(seed)
        time_ns, motor_nm = trajectory.now()
        self._origin_um = motor_nm / 1000.0
        self._nut_um = self._origin_um  # the play was taken up from below
        self._error_um = 0.0
        self._times: list[int] = [time_ns]
        self._heights: list[float] = [self._origin_um]

    def height_um(self, time_ns: int) -> float:
        """True height of the objective at `time_ns` (not later than the newest sample)."""
        self._update()
        index = max(bisect_right(self._times, time_ns) - 1, 0)
        return self._heights[index] + self._ringing(time_ns - self._times[index], index)

    def at_rest(self, time_ns: int, quiet_ms: float = 45.0) -> bool:
        """Whether motor and ringing have been quiet for `quiet_ms` at `time_ns`."""
        self._update()
        index = max(bisect_right(self._times, time_ns) - 1, 0)
        return len(self._times) == 1 or time_ns - self._times[index] >= quiet_ms * 1e6

    def known_until(self, time_ns: int, timeout_s: float = DEAD_S) -> bool:
        """Wait until the motor's trace covers `time_ns`; False when it does not get there."""
        deadline = time.monotonic() + timeout_s
        while self._trajectory.now()[0] < time_ns:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0005)
        return True

    def history(self, start_ns: int, end_ns: int) -> list[tuple[float, float]]:
        """(seconds since `start_ns`, height in um) wherever the glass moved, both ends included."""
        self._update()
        points = [(0.0, self.height_um(start_ns))]
        first, last = bisect_right(self._times, start_ns), bisect_right(self._times, end_ns)
        before = points[0][1]
        for index in range(first, last):
            seconds = (self._times[index] - start_ns) / 1e9
            points.append((seconds, before))  # the glass stood still until this step
            before = self._heights[index]
            points.append((seconds, before))
        points.append(((end_ns - start_ns) / 1e9, before))
        return points

    def motor_for_um(self, height_um: float) -> float:
        """Motor position that brings the objective near `height_um`: a hand on the knob."""
        away = (height_um - self._origin_um) * self._p.direction / self._p.gain
        return self._origin_um + away

    @property
    def travelled_um(self) -> float:
        """Sum of all true movements since the start."""
        self._update()
        return float(np.abs(np.diff(self._heights)).sum())

    @property
    def extremes_um(self) -> tuple[float, float]:
        """Lowest and highest true height seen."""
        self._update()
        return min(self._heights), max(self._heights)

    def _update(self) -> None:
        times, motor = self._trajectory.read_new()
        for time_ns, motor_nm in zip(times.tolist(), motor.tolist(), strict=True):
            if time_ns - self._times[-1] > 50_000_000:  # a new move: a new position error
                sd = self._p.repeatability_um / 2.0
                error = self._rng.normal(0.0, sd)
                self._error_um = float(np.clip(error, -2.0 * sd, 2.0 * sd))
            commanded = self._origin_um + self._p.gain * (motor_nm / 1000.0 - self._origin_um)
            # the nut is pushed from below or dragged down after the play is crossed
            self._nut_um = min(max(self._nut_um, commanded), commanded + self._p.backlash_um)
            true = self._origin_um + self._p.direction * (self._nut_um - self._origin_um)
            self._times.append(time_ns)
            self._heights.append(true + self._error_um)
        if len(self._times) > self._KEEP:
            del self._times[: self._KEEP // 2], self._heights[: self._KEEP // 2]

    def _ringing(self, since_ns: int, index: int) -> float:
        if index == 0:
            return 0.0
        since_ms = since_ns / 1e6
        decay = float(np.exp(-since_ms / self._p.ringing_tau_ms))
        return (
            self._p.ringing_um * decay * float(np.sin(2e-3 * np.pi * self._p.ringing_hz * since_ms))
        )
