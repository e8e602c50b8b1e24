"""When this computer, and not the firmware, stood still.

A check asks a firmware what it does in time. A host that is suspended, or too busy to run us, is
late itself: its silence trips the watchdog, its STOP comes after the move's end. So the host notes
how long it got no turn, and a check that failed within such a stall is no word about the firmware.
"""

from __future__ import annotations

import time
from typing import Protocol

STALL_S = 0.1  # half of the watchdog's silence; a busy computer's usual lag is below


class Clock(Protocol):
    """What a check needs of the module `time`; tests bring a clock that passes when asked."""

    def monotonic(self) -> float:
        """Seconds."""

    def monotonic_ns(self) -> int:
        """Nanoseconds."""

    def sleep(self, seconds: float, /) -> None:
        """Let them pass."""


class Stalls:
    """A clock that notes how much longer than meant things took. `longest_s` since `restart`."""

    def __init__(self, clock: Clock = time) -> None:
        self._clock = clock
        self.restart()

    def restart(self) -> None:
        """A new check begins."""
        self.longest_s = 0.0
        self._last = self._clock.monotonic()

    def lap(self, meant_s: float = 0.0) -> None:
        """Something was done that takes `meant_s` at most."""
        now = self._clock.monotonic()
        self.longest_s = max(self.longest_s, now - self._last - meant_s)
        self._last = now

    def monotonic(self) -> float:
        """As time.monotonic."""
        return self._clock.monotonic()

    def monotonic_ns(self) -> int:
        """As time.monotonic_ns."""
        return self._clock.monotonic_ns()

    def sleep(self, seconds: float, /) -> None:
        """As time.sleep."""
        self.lap()
        self._clock.sleep(seconds)
        self.lap(seconds)
