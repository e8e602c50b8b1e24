"""How long to wait for an answer: RFC 6298 with a floor of 25 ms."""

from __future__ import annotations

FLOOR_S = 0.025
_FIRST_S = 0.1  # before anything was measured
_CEILING_S = 1.0


class RoundTrip:
    """Smoothed round trip and its variation. Not thread-safe: the client locks."""

    def __init__(self) -> None:
        self.smoothed_s = 0.0
        self._variation_s = 0.0

    def add(self, round_trip_ns: int) -> None:
        """One request that was answered at its first send."""
        measured_s = round_trip_ns / 1e9
        if self.smoothed_s == 0.0:
            self.smoothed_s, self._variation_s = measured_s, measured_s / 2
            return
        off_s = abs(self.smoothed_s - measured_s)
        self._variation_s += (off_s - self._variation_s) / 4
        self.smoothed_s += (measured_s - self.smoothed_s) / 8

    @property
    def timeout_s(self) -> float:
        """max(25 ms, smoothed + 4 * variation), at most 1 s."""
        if self.smoothed_s == 0.0:
            return _FIRST_S
        return min(_CEILING_S, max(FLOOR_S, self.smoothed_s + 4 * self._variation_s))
