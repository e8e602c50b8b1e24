"""When an axis came to rest, judged from readings alone. Pure: no line, no clock, no threads."""

from __future__ import annotations

import math
from dataclasses import dataclass

START_NS = 250_000_000  # an axis that has not stirred this long after a move will not


@dataclass(frozen=True, slots=True)
class Reading:
    """What the controller says now; `latched`: why it would not move, None = it would."""

    z_um: float
    moving: bool
    latched: str | None = None


class RestDetector:
    """Feed it every reading with its time (ns); it knows since when the axis rests, and where."""

    def __init__(self, still_um: float, arrival_um: float) -> None:
        """`still_um`: smaller changes at rest are servo noise; `arrival_um`: how near to its
        target a move must end."""
        self._still_um, self._arrival_um = still_um, arrival_um
        self.z_um = math.nan  # where it rests, or was last seen
        self.since_ns: int | None = 0  # 0 = before we connected, None = it moves
        self.target_um: float | None = None  # of the move under way
        self.ended_short = ""  # how the last move ended, when it did not end where it should
        self._start_um = math.nan
        self._sent_ns = 0
        self._stirred = self._stopped = False

    def begin(self, target_um: float, now_ns: int) -> None:
        """A move is about to be sent: from here on the axis may be moving."""
        self.target_um, self._start_um, self._sent_ns = target_um, self.z_um, now_ns
        self.since_ns, self.ended_short = None, ""
        self._stirred = self._stopped = False

    def withdraw(self, since_ns: int | None) -> None:
        """The move was refused: it rests as before."""
        self.target_um, self.since_ns, self.ended_short = None, since_ns, ""

    def stop(self) -> None:
        """The move under way was stopped by us: it may end anywhere."""
        self._stopped = True

    @property
    def stopped(self) -> bool:
        """Whether a stop of ours came since the last move began."""
        return self._stopped

    def contradicts(self, reading: Reading) -> bool:
        """True when the axis should be at rest and the reading says it is elsewhere."""
        if reading.moving or self.since_ns is None or math.isnan(self.z_um):
            return False
        return not abs(reading.z_um - self.z_um) <= self._still_um

    def note(self, reading: Reading, now_ns: int) -> None:
        """Take a reading in."""
        if reading.moving or not abs(reading.z_um - self._start_um) <= self._still_um:
            self._stirred = True
        if reading.moving:
            self.since_ns, self.z_um = None, reading.z_um
        elif self.since_ns is None or not abs(reading.z_um - self.z_um) <= self._still_um:
            first = math.isnan(self.z_um)
            self.z_um, self.since_ns = reading.z_um, 0 if first else now_ns
        if self.target_um is not None and self.since_ns is not None:
            self._judge(reading, self.target_um, now_ns - max(self.since_ns, self._sent_ns))

    def _judge(self, reading: Reading, target_um: float, still_ns: int) -> None:
        """Whether the move has ended: there, or at rest for too long elsewhere."""
        off_um = abs(reading.z_um - target_um)
        # at rest near the target before it has stirred, a short move may be still to come
        there = off_um <= (self._arrival_um if self._stirred else self._still_um)
        if not (there or (self._stopped and self._stirred) or still_ns >= START_NS):
            return
        if not self._stopped and (off_um > self._arrival_um or reading.latched):
            # that it rests proves nothing: something ended the move elsewhere, or with a complaint
            self.fell_short(reading, target_um)
        self.target_um = None

    def fell_short(self, reading: Reading, target_um: float, why: str = "") -> None:
        """The way to `target_um` ended before it, at rest; `why`: where no reading says so."""
        latched = f", {reading.latched}" if reading.latched is not None else ""
        because = f": {why}" if why else latched
        self.ended_short = (
            f"the move ended at {reading.z_um:.3f} um, not at {target_um:.3f}{because}"
        )
