"""What a frame's arrival says about its time stamp.

A clock that counts exposures can jump: the camera restarted, its time protocol began, its driver
has a fault. Every frame carries its own witness against that. It cannot arrive before its exposure
ended, nor faster than the fastest one did; and one that comes later than usual was either held up
or stamped by a clock that went back, so that its time lies somewhere in between.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from enum import Enum

WINDOW = 64  # frames whose way is remembered: about two seconds
RECENT = 24  # that all take longer than any before: no chance, the clock went back for good
FEWEST = 4
TOLERANCE_NS = 300_000  # by which the fastest way may still become faster
LATE_NS = 3_000_000  # later than the fastest: worth asking the clock
#: a stamp whose half-width is larger says nothing: such a frame is not handed out
MOST_NS = 100_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExposureTime:
    """CLOCK_MONOTONIC ns; both ends may be wrong by `uncertainty_ns` (half-width)."""

    start_ns: int
    end_ns: int
    uncertainty_ns: int

    def widened(self, by_ns: int) -> ExposureTime:
        """Known less well by `by_ns`; the best guess stays."""
        return ExposureTime(self.start_ns, self.end_ns, self.uncertainty_ns + by_ns)


class Witness(Enum):
    """What the arrival says about the stamp."""

    AGREES = "agrees"
    LATE = "late"  # held up, or the clock went back
    IMPOSSIBLE = "impossible"  # the stamp cannot be right


class ArrivalWitness:
    """Remembers how long the way from the end of the exposure to the arrival took.

    `readout_ns`: the longest undisturbed way, None where that is not known.
    """

    def __init__(self, readout_ns: int | None) -> None:
        self._readout_ns = readout_ns
        self._delays: deque[int] = deque(maxlen=WINDOW)

    def says(self, stamp: ExposureTime, arrival_ns: int) -> Witness:
        """Of one frame, before it is remembered."""
        delay_ns, sure_ns = arrival_ns - stamp.end_ns, stamp.uncertainty_ns
        least = self._least()
        fastest = 0 if least is None else max(0, least - TOLERANCE_NS)
        if delay_ns < fastest - sure_ns:
            return Witness.IMPOSSIBLE
        held_up = self._readout_ns is not None and delay_ns > self._readout_ns + sure_ns
        if held_up or (least is not None and delay_ns > least + LATE_NS + sure_ns):
            return Witness.LATE
        return Witness.AGREES

    def doubt_ns(self, stamp: ExposureTime, arrival_ns: int) -> int:
        """By how much a stamp that agrees may still be wrong: a clock that went back looks like a
        frame that took longer than the fastest, one that went forward hides in the usual scatter
        of the way. 0 while too few are known."""
        delay_ns, least = arrival_ns - stamp.end_ns, self._least()
        if least is None:
            return 0
        usual = sorted(self._delays)[len(self._delays) // 2] - least
        return max(0, delay_ns - max(0, least)) + usual + TOLERANCE_NS

    def remember(self, stamp: ExposureTime, arrival_ns: int) -> None:
        """A frame whose stamp is believed."""
        self._delays.append(arrival_ns - stamp.end_ns)

    def moved(self) -> bool:
        """The newest frames all took longer than any before them."""
        delays = list(self._delays)
        if len(delays) < RECENT + FEWEST:
            return False
        return min(delays[-RECENT:]) > min(delays[:-RECENT]) + LATE_NS

    def _least(self) -> int | None:
        return min(self._delays) if len(self._delays) >= FEWEST else None


class HostStamps:
    """Stamps that a driver gives in the host's own time: believed as long as the arrivals agree.

    Only a change is seen: how long a pipeline takes is nobody's to say beforehand.
    """

    def __init__(self) -> None:
        self._witness = ArrivalWitness(None)
        self._believed = True

    def checked(
        self, stamp: ExposureTime, by_arrival: ExposureTime, arrival_ns: int
    ) -> ExposureTime | None:
        """`stamp` by the stamp, `by_arrival` without it. None: not known well enough to hand
        out."""
        if not self._believed:
            return by_arrival
        if self._witness.says(stamp, arrival_ns) is Witness.IMPOSSIBLE:
            return by_arrival
        doubt_ns = self._witness.doubt_ns(stamp, arrival_ns)
        self._witness.remember(stamp, arrival_ns)
        if self._witness.moved():
            self._believed = False
            log.warning("the camera's time stamps moved against the arrivals: no longer believed")
            return by_arrival
        known = stamp.widened(doubt_ns)
        return known if known.uncertainty_ns <= MOST_NS else None
