"""The firmware's clock in the host's time.

Every SYNC gives one interval: the firmware read its clock somewhere between our sending and our
receiving. Short round trips give narrow intervals, so only the shortest of a sliding window count
(Cristian 1989); a line through them gives offset and drift.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW = 128  # at 20 SYNC/s: the last 6.4 s
_KEEP_FRACTION = 4  # use the shortest quarter of the round trips
_DRIFT_PRIOR = 200e-6  # a cheap crystal, until the window is long enough to measure it
_DRIFT_LIMIT = 1000e-6
_DRIFT_FLOOR = 5e-6  # what temperature may do between two fits
_FIT_SPAN_US = 1_000_000  # shorter windows say nothing about drift


@dataclass(frozen=True, slots=True)
class _Sample:
    firmware_us: int
    host_ns: float  # middle of the round trip
    round_trip_ns: int


@dataclass(frozen=True, slots=True)
class _Fit:
    """host_ns = host0_ns + rate * (firmware_us - firmware0_us)"""

    firmware0_us: float
    host0_ns: float
    rate: float  # host ns per firmware us; 1000 = no drift
    half_width_ns: float
    drift_error: float  # relative, of `rate`


class ClockSync:
    """Maps firmware us to CLOCK_MONOTONIC ns and back. Not thread-safe: the client locks."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque(maxlen=WINDOW)
        self._fit: _Fit | None = None

    def add(self, sent_ns: int, received_ns: int, firmware_us: int) -> None:
        """One SYNC: sent and received on the host's clock, read on the firmware's in between."""
        middle = (sent_ns + received_ns) / 2
        self._samples.append(_Sample(firmware_us, middle, received_ns - sent_ns))
        self._fit = None

    @property
    def ready(self) -> bool:
        """False before the first sample."""
        return bool(self._samples)

    def host_ns(self, firmware_us: float) -> tuple[int, int]:
        """(host time, half-width within which it is known), both ns. Needs `ready`."""
        fit = self._line()
        away_us = firmware_us - fit.firmware0_us
        width = fit.half_width_ns + abs(away_us) * 1e3 * fit.drift_error
        return round(fit.host0_ns + fit.rate * away_us), round(width)

    def firmware_us(self, host_ns: int) -> tuple[float, float]:
        """(firmware time, half-width), both us. Needs `ready`."""
        fit = self._line()
        away_us = (host_ns - fit.host0_ns) / fit.rate
        width_ns = fit.half_width_ns + abs(away_us) * 1e3 * fit.drift_error
        return fit.firmware0_us + away_us, width_ns / 1e3

    @property
    def drift_ppm(self) -> float:
        """How much slower (+) or faster (-) than ours the firmware's clock runs."""
        return (self._line().rate / 1e3 - 1) * 1e6

    def _line(self) -> _Fit:
        if self._fit is None:
            self._fit = _fit_line(list(self._samples))
        return self._fit


def _fit_line(samples: list[_Sample]) -> _Fit:
    shortest = sorted(samples, key=lambda sample: sample.round_trip_ns)
    best = shortest[: max(4, len(samples) // _KEEP_FRACTION)]
    count = len(best)
    firmware0 = sum(s.firmware_us for s in best) / count
    host0 = sum(s.host_ns for s in best) / count
    span_us = max(s.firmware_us for s in best) - min(s.firmware_us for s in best)
    half_width = max(best[0].round_trip_ns, best[-1].round_trip_ns) / 2
    rate, drift_error = 1e3, _DRIFT_PRIOR
    if span_us >= _FIT_SPAN_US:
        across = sum((s.firmware_us - firmware0) * (s.host_ns - host0) for s in best)
        measured = across / sum((s.firmware_us - firmware0) ** 2 for s in best)
        rate = min(max(measured, 1e3 * (1 - _DRIFT_LIMIT)), 1e3 * (1 + _DRIFT_LIMIT))
        drift_error = min(_DRIFT_PRIOR, _DRIFT_FLOOR + half_width / (span_us * 1e3))
    return _Fit(firmware0, host0, rate, half_width, drift_error)
