"""The motor behind a simulated controller: constant speed, hard limits, a script of positions.

It is a MotorTrajectory, so `simulator.mechanics` can turn what it did into the true height of the
glass (backlash, ringing, lost steps), exactly as behind the reference firmware.
"""

from __future__ import annotations

import threading
import time

import numpy as np
import numpy.typing as npt

_STEP_NS = 1_000_000  # one sample per ms while it moves


class SimulatedAxis:
    """Positions are nm, positive = objective up. Safe to use from several threads."""

    def __init__(
        self,
        start_nm: int = 5_000_000,
        min_nm: int = 0,
        max_nm: int = 10_000_000,
        speed_nm_s: int = 2_000_000,
    ) -> None:
        self.min_nm, self.max_nm, self._speed_nm_s = min_nm, max_nm, speed_nm_s
        self._lock = threading.Lock()
        self._from_nm = self._to_nm = start_nm
        self._began_ns = time.monotonic_ns()
        self._read_ns = self._began_ns
        self._homes_to_nm: int | None = None  # what its reference will be called once it is there
        self.hidden_nm = 0  # of glass above what is counted: the controller has restarted since
        self._samples: list[tuple[int, int]] = [(self._began_ns, start_nm)]
        self.hunts = False  # after a move its servo is never content, though it is there
        self.blocked = False  # a controller that cannot move asks this and says why
        self.moves = 0  # that changed the target; a copy of a move changes nothing
        self.targets_nm: list[int] = []  # of every move that was taken, copies included
        self.extremes_nm = (start_nm, start_nm)

    def move_to(self, target_nm: int) -> bool:
        """Start towards `target_nm` from wherever it is; False outside the limits."""
        if not self.min_nm <= target_nm <= self.max_nm:
            return False
        with self._lock:
            now_ns = time.monotonic_ns()
            here_nm = self._at(now_ns)
            self.targets_nm.append(target_nm)
            if target_nm != self._to_nm:
                self.moves += 1
                self._turn(here_nm, target_nm, now_ns)
        return True

    def halt(self) -> bool:
        """Stop where it is; True when it was moving."""
        with self._lock:
            now_ns = time.monotonic_ns()
            here_nm = self._at(now_ns)
            moving = here_nm != self._to_nm
            self._homes_to_nm = None
            self._turn(here_nm, here_nm, now_ns)
        return moving

    def home(self, end_nm: int) -> None:
        """Towards a switch that is at `end_nm`, whatever it counts from now."""
        with self._lock:
            now_ns = time.monotonic_ns()
            self._homes_to_nm = end_nm
            self._turn(self._at(now_ns), end_nm - self.hidden_nm, now_ns)

    def has_homed(self) -> bool:
        """True once, when it has come to its switch: from then on it counts from there."""
        with self._lock:
            now_ns = time.monotonic_ns()
            end_nm = self._homes_to_nm
            if end_nm is None or self._at(now_ns) != self._to_nm:
                return False
            self._record(now_ns)
            self._homes_to_nm, self.hidden_nm = None, 0
            self._turn(end_nm, end_nm, now_ns)
        return True

    def turn_knob(self, position_nm: int) -> None:
        """A hand on the knob: it is elsewhere, and no command said so."""
        with self._lock:
            self._turn(position_nm, position_nm, time.monotonic_ns())

    def forget(self) -> None:
        """The controller restarts and counts from 0; the glass stays where it is."""
        with self._lock:
            now_ns = time.monotonic_ns()
            here_nm = self._at(now_ns)
            self._record(now_ns)
            self.hidden_nm += here_nm
            self._turn(0, 0, now_ns)

    @property
    def speed_nm_s(self) -> int:
        """Of every move; may be changed in the middle of one."""
        return self._speed_nm_s

    @speed_nm_s.setter
    def speed_nm_s(self, speed_nm_s: int) -> None:
        with self._lock:
            now_ns = time.monotonic_ns()
            self._turn(self._at(now_ns), self._to_nm, now_ns)
            self._speed_nm_s = speed_nm_s

    def position_nm(self) -> int:
        """Where it is now."""
        with self._lock:
            return self._at(time.monotonic_ns())

    @property
    def target_nm(self) -> int:
        """Where it is going, or rests."""
        return self._to_nm

    @property
    def moving(self) -> bool:
        """True until it is where it was sent and its servo is content."""
        return (self.hunts and self.moves > 0) or self.position_nm() != self._to_nm

    def read_new(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Times (ns, monotonic) and motor positions (nm) since the last call."""
        with self._lock:
            self._record(time.monotonic_ns())
            samples, self._samples = self._samples, []
        times = np.array([time_ns for time_ns, _ in samples], dtype=np.int64)
        return times, np.array([nm for _, nm in samples], dtype=np.int32)

    def now(self) -> tuple[int, int]:
        """Newest time (ns) and the motor's position (nm) at it."""
        with self._lock:
            now_ns = time.monotonic_ns()
            return now_ns, self._at(now_ns) + self.hidden_nm

    def _at(self, now_ns: int) -> int:
        way_nm = self._to_nm - self._from_nm
        gone_nm = self._speed_nm_s * (now_ns - self._began_ns) // 1_000_000_000
        if gone_nm >= abs(way_nm):
            return self._to_nm
        return self._from_nm + (gone_nm if way_nm > 0 else -gone_nm)

    def _turn(self, from_nm: int, to_nm: int, now_ns: int) -> None:
        self._record(now_ns)
        self._from_nm, self._to_nm, self._began_ns = from_nm, to_nm, now_ns
        self._samples.append((now_ns, from_nm + self.hidden_nm))
        low, high = self.extremes_nm
        self.extremes_nm = (min(low, from_nm), max(high, from_nm))

    def _record(self, now_ns: int) -> None:
        """Samples from the last one up to `now_ns`, while it moved."""
        way_ns = abs(self._to_nm - self._from_nm) * 1_000_000_000 // self._speed_nm_s
        end_ns = min(now_ns, self._began_ns + way_ns + _STEP_NS)
        start_ns = max(self._read_ns, self._began_ns)
        for time_ns in range(start_ns + _STEP_NS, end_ns + _STEP_NS, _STEP_NS):
            self._samples.append((time_ns, self._at(time_ns) + self.hidden_nm))
        self._read_ns = max(now_ns, self._read_ns)
        here_nm = self._at(now_ns)
        low, high = self.extremes_nm
        self.extremes_nm = (min(low, here_nm), max(high, here_nm))
