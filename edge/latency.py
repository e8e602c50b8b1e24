"""Where the time of a frame goes: a lap timer for one frame, a histogram for many."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import TypeVar

import numpy as np

T = TypeVar("T")


class Lap:
    """Times the stages of one frame in passing: `x = lap("rin", f(y))` returns f(y)'s value."""

    def __init__(self, clock: Callable[[], int] = monotonic_ns) -> None:
        self._clock = clock
        self._start_ns = self._last_ns = clock()
        self._ms: dict[str, float] = {}

    def __call__(self, stage: str, value: T) -> T:
        """Book the time since the last call under `stage`."""
        now_ns = self._clock()
        self._ms[stage] = (now_ns - self._last_ns) / 1e6
        self._last_ns = now_ns
        return value

    def after(self, stage: str, value: T) -> T:
        """Book the time since the last call as well, but not in the total: nobody waits for it."""
        self._ms[stage] = (self._clock() - self._last_ns) / 1e6
        return value

    def restart(self) -> None:
        """Start counting now: what came before was waiting."""
        self._start_ns = self._last_ns = self._clock()

    @property
    def ms(self) -> dict[str, float]:
        """Milliseconds by stage, in order, and their "total" since the (re)start."""
        return {**self._ms, "total": (self._last_ns - self._start_ns) / 1e6}


class LatencyHistogram:
    """Counts in bins 2 % wide from 0.01 ms to 100 s: quantiles in constant memory."""

    LEAST_MS = 0.01
    RATIO = 1.02
    BINS = 1 + math.ceil(math.log(1e7) / math.log(RATIO))

    def __init__(self) -> None:
        self._counts = np.zeros(self.BINS, np.int64)
        self.total = 0
        self.sum_ms = 0.0
        self.max_ms = 0.0

    def add(self, ms: float) -> None:
        """Count one latency; below and above the range land in the outermost bins."""
        at = math.log(max(ms, self.LEAST_MS) / self.LEAST_MS) / math.log(self.RATIO)
        self._counts[min(int(at), self.BINS - 1)] += 1
        self.total += 1
        self.sum_ms += ms
        self.max_ms = max(self.max_ms, ms)

    def below_ms(self, edges_ms: Sequence[float]) -> list[int]:
        """How many were at most each of these, rising; to the width of a bin."""
        ends = self.LEAST_MS * self.RATIO ** np.arange(1, self.BINS + 1)
        upto = np.concatenate([[0], np.cumsum(self._counts)])
        return [int(upto[np.searchsorted(ends, edge, "right")]) for edge in edges_ms]

    def quantile_ms(self, q: float) -> float:
        """Upper edge of the bin that holds quantile `q` (0..1), at most `max_ms`; NaN if empty."""
        if not self.total:
            return math.nan
        at = int(np.searchsorted(np.cumsum(self._counts), max(1, math.ceil(q * self.total))))
        return min(self.LEAST_MS * self.RATIO ** (at + 1), self.max_ms)
