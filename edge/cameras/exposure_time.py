"""When a frame was exposed, on the host's clock, and how well that is known.

A camera with a clock that can be asked for its time gives both ends of a round trip, like the
firmware's SYNC. One without gives only arrivals: always late, never early. The least late ones
of a sliding window tell the most (minimum-latency filter), and what the shortest possible way
itself takes stays unknown: that is the half-width.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from firmware_bridge.clock import WINDOW, ClockSync

ASK_EVERY_S = 1.0
STAMPS = ("start", "end", "none")  # what of the exposure a camera's own time stamp marks
_TICK_NS = 1000  # ClockSync counts the other clock in us


@dataclass(frozen=True, slots=True)
class ExposureTime:
    """CLOCK_MONOTONIC ns; both ends may be wrong by `uncertainty_ns` (half-width)."""

    start_ns: int
    end_ns: int
    uncertainty_ns: int


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


class CameraClock:
    """The camera's clock in the host's time, by round trips where it can be asked, else by the
    arrivals of its frames. A clock that jumps (the camera restarted) is learned anew."""

    def __init__(self) -> None:
        self._sync = ClockSync()
        self._offsets: deque[int] = deque(maxlen=WINDOW)
        self._newest_ns = 0
        self._asked = False

    def latched(self, sent_ns: int, received_ns: int, camera_ns: int) -> None:
        """The camera read its clock somewhere between `sent_ns` and `received_ns`."""
        if not self._asked or camera_ns < self._newest_ns:
            self._restart(asked=True)
        self._newest_ns = camera_ns
        self._sync.add(sent_ns, received_ns, round(camera_ns / 1000))

    def frame(self, camera_ns: int, arrival_ns: int, least_ns: int, readout_ns: int) -> None:
        """A frame with the stamp `camera_ns` arrived; on its way it took at least `least_ns` and,
        undisturbed, at most `readout_ns` more. Ignored when the camera can be asked."""
        if self._asked:
            return
        if camera_ns < self._newest_ns:
            self._restart(asked=False)
        self._newest_ns = camera_ns
        self._offsets.append(arrival_ns - camera_ns)
        delayed_ns = self._offsets[-1] - min(self._offsets)
        latest = arrival_ns - least_ns
        self._sync.add(latest - readout_ns - delayed_ns, latest, round(camera_ns / 1000))

    def host_ns(self, camera_ns: int) -> tuple[int, int]:
        """(host time, half-width), ns. Needs one `latched` or `frame` before."""
        host_ns, half_ns = self._sync.host_ns(camera_ns / 1000)
        return host_ns, half_ns + _TICK_NS

    def _restart(self, asked: bool) -> None:
        self._sync, self._asked = ClockSync(), asked
        self._offsets.clear()


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
        self._triggered_ns: int | None = None

    def triggered(self) -> None:
        """A software trigger is about to be sent."""
        self._triggered_ns = time.monotonic_ns()

    def synchronise(self) -> None:
        """A round trip to the camera's clock, once in a while; never again if it has none."""
        if time.monotonic() < self._ask_s:
            return
        sent_ns = time.monotonic_ns()
        camera_ns = self._ask()
        if camera_ns:
            self._clock.latched(sent_ns, time.monotonic_ns(), camera_ns)
        self._ask_s = time.monotonic() + ASK_EVERY_S if camera_ns else float("inf")

    def of(self, stamp_ns: int, arrival_ns: int) -> ExposureTime:
        """Of the frame that arrived now; `stamp_ns` is the camera's, 0 = it gave none."""
        exposure_ns, triggered_ns = self._exposure_ns, self._triggered_ns
        self._triggered_ns = None
        if self._stamp == "none" or stamp_ns == 0:
            return arrived(arrival_ns, exposure_ns, self._readout_ns, triggered_ns)
        before_ns = exposure_ns if self._stamp == "start" else 0
        self._clock.frame(stamp_ns, arrival_ns, before_ns, self._readout_ns)
        host_ns, half_ns = self._clock.host_ns(stamp_ns)
        return started(host_ns + before_ns - exposure_ns, exposure_ns, half_ns)
