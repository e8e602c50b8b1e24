"""When a frame was exposed, on the host's clock, and how well that is known.

A camera with a clock that can be asked for its time gives both ends of a round trip, like the
firmware's SYNC. One without gives only arrivals: always late, never early. The least late ones
of a sliding window tell the most (minimum-latency filter), and what the shortest possible way
itself takes stays unknown: that is the half-width. A clock that jumps is found by the next round
trip and, before that, by the arrival of the frame itself (edge.cameras.arrival).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from edge.cameras.arrival import (
    FEWEST,
    LATE_NS,
    MOST_NS,
    RECENT,
    ArrivalWitness,
    ExposureTime,
    Witness,
)
from firmware_bridge.clock import WINDOW, ClockSync

ASK_EVERY_S = 0.5
STAMPS = ("start", "end", "none")  # what of the exposure a camera's own time stamp marks
_TICK_NS = 1000  # ClockSync counts the other clock in us
_FASTER_NS = 1_000_000  # than any before: the clock went forward
_DRIFT = 3e-4  # of a cheap crystal, relative


def started(start_ns: int, exposure_ns: int, uncertainty_ns: int) -> ExposureTime:
    """From the start of the exposure."""
    return ExposureTime(start_ns, start_ns + exposure_ns, uncertainty_ns)


def arrived(
    arrival_ns: int, exposure_ns: int, readout_ns: int, triggered_ns: int | None = None
) -> ExposureTime:
    """From the arrival alone: the exposure ended at most `readout_ns` before, and did not begin
    before the trigger was sent."""
    latest = arrival_ns - exposure_ns
    earliest = latest - readout_ns
    if triggered_ns is not None:
        earliest = min(latest, max(earliest, triggered_ns))
    half = (latest - earliest + 1) // 2
    return started(earliest + half, exposure_ns, half)


class _Trip(NamedTuple):
    """A round trip: the camera read `camera_ns` between two moments of the host."""

    sent_ns: int
    received_ns: int
    camera_ns: int


class CameraClock:
    """The camera's clock in the host's time, by round trips where it can be asked, else by the
    arrivals of its frames. A clock that jumps is learned anew, from `since_ns` of its own time."""

    def __init__(self) -> None:
        self._sync = ClockSync()
        self._offsets: deque[int] = deque(maxlen=WINDOW)
        self._newest_ns = 0
        self._last: _Trip | None = None
        self.since_ns = 0

    @property
    def asked(self) -> bool:
        """Round trips were made."""
        return self._last is not None

    def latched(self, sent_ns: int, received_ns: int, camera_ns: int) -> bool:
        """The camera read its clock somewhere between `sent_ns` and `received_ns`. False: that
        contradicts what was known of the clock, which is forgotten."""
        trip, last = _Trip(sent_ns, received_ns, camera_ns), self._last
        same = last is not None and self._follows(trip, last)
        if not same:
            self.restart(camera_ns)
        self._last = trip
        self._sync.add(sent_ns, received_ns, round(camera_ns / 1000))
        return same or last is None

    def frame(self, camera_ns: int, arrival_ns: int, least_ns: int, readout_ns: int) -> int:
        """A frame with the stamp `camera_ns` arrived; on its way it took at least `least_ns` and,
        undisturbed, at most `readout_ns` more. Returns by how much longer than the fastest it
        took: if the clock went back instead, it was exposed that much later than the stamp says.
        Ignored when the camera can be asked."""
        if self.asked:
            return 0
        offset_ns = arrival_ns - camera_ns
        if self._moved(camera_ns, offset_ns):
            self.restart(camera_ns)
        self._newest_ns = camera_ns
        self._offsets.append(offset_ns)
        delayed_ns = offset_ns - min(self._offsets)
        latest = arrival_ns - least_ns
        self._sync.add(latest - readout_ns - delayed_ns, latest, round(camera_ns / 1000))
        return delayed_ns

    def _moved(self, camera_ns: int, offset_ns: int) -> bool:
        """The clock counts backwards, a frame came faster than any, or all the newest came later
        than any before them."""
        known = list(self._offsets)
        if camera_ns < self._newest_ns:
            return True
        if known and offset_ns < min(known) - _FASTER_NS:
            return True  # or those before were held up, as the first may all be on a busy computer
        newest, before = known[-RECENT:], known[:-RECENT]
        return len(before) >= FEWEST and min(newest) > min(before) + LATE_NS

    def host_ns(self, camera_ns: int) -> tuple[int, int]:
        """(host time, half-width), ns. Needs one `latched` or `frame` before."""
        host_ns, half_ns = self._sync.host_ns(camera_ns / 1000)
        return host_ns, half_ns + _TICK_NS

    def restart(self, since_ns: int) -> None:
        """Forget what was learned: stamps before `since_ns` may be of another clock."""
        self._sync, self.since_ns = ClockSync(), since_ns
        self._offsets.clear()

    def _follows(self, trip: _Trip, last: _Trip) -> bool:
        """Could one clock have given both, the line through those before and this one?"""
        passed_ns = trip.camera_ns - last.camera_ns
        if passed_ns < 0:
            return False
        drift_ns = _DRIFT * passed_ns + _TICK_NS
        shortest, longest = trip.sent_ns - last.received_ns, trip.received_ns - last.sent_ns
        if not shortest - drift_ns <= passed_ns <= longest + drift_ns:
            return False
        told_ns, half_ns = self.host_ns(trip.camera_ns)
        half_ns += round(drift_ns)
        return trip.sent_ns - half_ns <= told_ns <= trip.received_ns + half_ns


class FrameTimes:
    """The exposure's time of each frame of one opened camera.

    `stamp` is one of STAMPS; `ask` reads the camera's clock in ns, None when it has none.
    """

    def __init__(
        self, stamp: str, exposure_ns: int, readout_ns: int, ask: Callable[[], int | None]
    ) -> None:
        self._stamp, self._exposure_ns, self._readout_ns = stamp, exposure_ns, readout_ns
        self._ask, self._ask_s = ask, 0.0 if stamp != "none" else float("inf")
        self._clock = CameraClock()
        self._witness = ArrivalWitness(readout_ns)
        self._triggered_ns: int | None = None

    def triggered(self) -> None:
        """A software trigger is about to be sent."""
        self._triggered_ns = time.monotonic_ns()

    def synchronise(self) -> None:
        """A round trip to the camera's clock, once in a while; never again if it has none."""
        if time.monotonic() >= self._ask_s:
            self._latch()

    def of(self, stamp_ns: int, arrival_ns: int) -> ExposureTime | None:
        """Of the frame that arrived now; `stamp_ns` is the camera's, 0 = it gave none. None when
        it is not known well enough to be of use: the frame must not be handed out."""
        exposure_ns, triggered_ns = self._exposure_ns, self._triggered_ns
        self._triggered_ns = None
        by_arrival = arrived(arrival_ns, exposure_ns, self._readout_ns, triggered_ns)
        if self._stamp == "none" or stamp_ns == 0:
            return by_arrival
        before_ns = exposure_ns if self._stamp == "start" else 0
        later_ns = self._clock.frame(stamp_ns, arrival_ns, before_ns, self._readout_ns)
        host_ns, half_ns = self._clock.host_ns(stamp_ns)
        stamp = started(host_ns + before_ns - exposure_ns, exposure_ns, half_ns)
        if self._clock.asked:
            return self._confirmed(stamp_ns, stamp, by_arrival, arrival_ns)
        stamp = stamp.widened(later_ns)
        if stamp.end_ns - stamp.uncertainty_ns > arrival_ns:
            return by_arrival  # no frame arrives before its exposure ended
        return stamp if stamp.uncertainty_ns <= MOST_NS else None

    def _confirmed(
        self, stamp_ns: int, stamp: ExposureTime, by_arrival: ExposureTime, arrival_ns: int
    ) -> ExposureTime:
        """By a clock that can be asked: it is asked at once where the arrival raises a doubt."""
        says = self._witness.says(stamp, arrival_ns)
        same_clock = says is Witness.AGREES or self._latch()
        if not same_clock or says is Witness.IMPOSSIBLE or stamp_ns < self._clock.since_ns:
            return by_arrival
        doubt_ns = self._witness.doubt_ns(stamp, arrival_ns) if says is Witness.AGREES else 0
        self._witness.remember(stamp, arrival_ns)
        return stamp.widened(doubt_ns)

    def _latch(self) -> bool:
        """One round trip now; False when the clock jumped, or has none."""
        sent_ns = time.monotonic_ns()
        camera_ns = self._ask()
        same = bool(camera_ns) and self._clock.latched(sent_ns, time.monotonic_ns(), camera_ns or 0)
        self._ask_s = time.monotonic() + ASK_EVERY_S if camera_ns else float("inf")
        return same
