"""A long move in short legs, so that a controller on its own never has far to go. Pure.

A controller without a watchdog ends what it was sent, whatever becomes of the line and of us. So it
is sent no more than it makes in about `LEG_NS`: each leg is an absolute move on the straight way to
the target, and the next one is sent when the axis rests at its end. How far a leg may lead is
learned from the legs themselves and begins short: what a controller calls its speed comes in many
units, and what it really does is seen.
"""

from __future__ import annotations

import math

from firmware_bridge.stages.rest_detector import Reading, RestDetector

FIRST_UM = 5.0  # none is planned shorter: an axis slower than 25 um/s takes longer for it
LEG_NS = 200_000_000  # until it is seen at rest; leaves a third of 300 ms to a busy computer
GROWTH = 4.0  # at most, from one leg to the next
#: nobody has looked for so long: who was suspended does not go on where he left off (the minder has
#: stopped the axis long before); a busy computer withholds no turn for that long
STALE_NS = 10_000_000_000


class Legs:
    """The way of one axis. Feed it every reading, after the detector."""

    def __init__(self, least_um: float, whole: bool = False) -> None:
        """`least_um`: a leg must be longer than this; `whole`: every move is made in one."""
        self._least_um = max(FIRST_UM, least_um)
        self.longest_um = math.inf if whole else self._least_um
        self.target_um: float | None = None  # of the move, while legs of it are left
        self._leg_um = 0.0
        self._sent_ns = self._looked_ns = 0

    def begin(self, from_um: float, target_um: float, now_ns: int) -> float:
        """A move is about to be sent; where its first leg ends."""
        self._looked_ns = now_ns
        return self._next(from_um, target_um, now_ns)

    def drop(self) -> None:
        """Nothing more is sent; what was sent tells nothing about the speed."""
        self.target_um, self._leg_um = None, 0.0

    def note(self, rest: RestDetector, reading: Reading, now_ns: int) -> float | None:
        """Where the leg that is due now ends, None = none is. A way that ends before its target is
        told as `rest.ended_short`."""
        gap_ns, self._looked_ns = now_ns - self._looked_ns, now_ns
        if rest.target_um is not None or not self._leg_um:
            return None  # on its way, or no move of ours
        self._learn(now_ns - self._sent_ns, rest)
        target_um = self.target_um
        self.drop()
        if target_um is None:
            return None
        why = "this program stood still" if gap_ns > STALE_NS else ""
        if why or rest.ended_short:
            rest.fell_short(reading, target_um, why)
            return None
        return self._next(reading.z_um, target_um, now_ns)

    def _next(self, from_um: float, target_um: float, now_ns: int) -> float:
        way_um = target_um - from_um
        self._sent_ns = now_ns
        # no last leg that is too short to be seen
        if not abs(way_um) > self.longest_um + self._least_um / 2:
            self._leg_um, self.target_um = abs(way_um), None
            return target_um
        self._leg_um, self.target_um = self.longest_um, target_um
        return from_um + math.copysign(self.longest_um, way_um)

    def _learn(self, took_ns: int, rest: RestDetector) -> None:
        """From a leg that was made: as long as it makes in LEG_NS, however busy the computer."""
        if rest.ended_short or not math.isfinite(self.longest_um):
            return
        could_um = self._leg_um * LEG_NS / max(took_ns, 1)
        if self._leg_um >= self.longest_um or took_ns > LEG_NS:
            could_um = min(could_um, GROWTH * self.longest_um)
            self.longest_um = max(could_um, self._least_um)
