"""What a reading is worth: um of defocus read for each um that the glass moves.

Another opening of the condenser's iris, another objective or a coloured filter make the networks
read everything too small or too large, by one factor; the sign stays right. Every verified move
tells the factor: what the reading changed, over what the stage moved. A small filter on its
logarithm weighs such looks, and knows how well it knows.

A stage that slips looks alike, once. So a factor is known only after two moves on which the play
can have eaten nothing say the same, and a move that says another thing widens the doubt at once:
somebody turned the iris, or the glass did not follow. Within its own doubt of 1, it is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.decide.evidence import Change, Reading
from edge.settings import LEAST_READING_SCALE, MOST_READING_SCALE

#: standard deviations of the logarithm: where nothing is known, apertures of 0.45 to 0.9 of the
#: objective's where 0.7 was trained; of one look, at best; and how it may drift from look to look
FAMILY, ONE_LOOK, DRIFT = 0.25, 0.04, 0.01
LOOKS = 2  # that say the same
KNOWN = 0.1
FIRST = (0.6, 1.35)  # of a single look, this much is acted on: apertures of 0.45 to 0.9
DOUBT = 2.0  # standard deviations from 1 that are still 1
JUMP = 3.0
LEAST_TRAVEL_UM = 6.0  # at the nominal instrument: less tells too little
NOISE = 0.25  # of the change, 95 %: more tells too little


@dataclass(frozen=True, slots=True)
class Scale:
    """As told. `value`: um read per um, as applied; `interval`: 95 % half-width of its natural
    logarithm, so relative where it is small; `known`:
    two moves or a calibration say so; `jumps`: how often it changed since the start."""

    value: float = 1.0
    interval: float = 1.96 * FAMILY
    known: bool = False
    jumps: int = 0

    def interval_um(self, defocus_um: float, interval_um: float) -> float:
        """Half-width of the 95 % interval of a reading with what the scale may be off, in um that
        the glass must move. Doubt of a factor is even in its logarithm: a reading of half its
        worth is as likely as one of twice, and the wider side is told."""
        off_um = math.expm1(self.interval) * abs(defocus_um)
        return math.hypot(interval_um, off_um) / self.value


class ReadingScale:
    """Of one instrument, over all its fields; not thread-safe.

    `value`, `value_95`: as calibrated; without, the moves find it. `unit`: um of the instrument for
    one of the nominal (edge.optics).
    """

    def __init__(
        self, value: float = 1.0, value_95: float | None = None, unit: float = 1.0
    ) -> None:
        self._begin = value, value_95
        self._least_um = LEAST_TRAVEL_UM * unit
        self.restart()

    def restart(self) -> None:
        """As new, or as calibrated."""
        value, value_95 = self._begin
        known = value_95 is not None
        self._log = math.log(value)
        sd = value_95 / 1.96 / value if value_95 is not None else FAMILY
        self._variance = max(sd, 1e-3) ** 2
        self._looks = LOOKS if known else 0
        self._jumps = 0

    @property
    def known(self) -> bool:
        """Whether moves, or a calibration, agree on it."""
        return self._looks >= LOOKS and math.sqrt(self._variance) <= KNOWN

    @property
    def summary(self) -> Scale:
        """For records and people."""
        return Scale(self.value, 1.96 * math.sqrt(self._variance), self.known, self._jumps)

    @property
    def value(self) -> float:
        """By what a reading is divided; exactly 1 unless the moves say otherwise beyond doubt."""
        value = self._beyond_doubt(self._log, self._variance)
        return value if self.known or FIRST[0] <= value <= FIRST[1] else 1.0

    def worth(self, reading: Reading) -> Reading:
        """The reading in um that the glass must move."""
        value = self.value
        return Reading(
            reading.z_um, reading.defocus_um / value, reading.interval_um / value, reading.time_ns
        )

    def learn(self, raw: Change, may_be_lost_um: float) -> None:
        """From a move that ended where it should, as the readings showed it; `may_be_lost_um` of
        its travel may never have reached the glass."""
        lost = may_be_lost_um > ONE_LOOK * raw.travel_um
        if lost or raw.travel_um < self._least_um or not raw.noise_um <= NOISE * raw.right_um:
            return
        share = raw.right_um / raw.travel_um
        if not LEAST_READING_SCALE <= share <= MOST_READING_SCALE:
            return
        look, variance = math.log(share), (raw.noise_um / 1.96 / raw.right_um) ** 2 + ONE_LOOK**2
        if self._looks and abs(look - self._log) > JUMP * math.sqrt(self._variance + variance):
            self._jumps += self.known
            self._log, self._variance, self._looks = 0.0, FAMILY**2, 0
        self._variance += DRIFT**2
        weight = self._variance / (self._variance + variance)
        self._log += weight * (look - self._log)
        self._variance *= 1.0 - weight
        self._looks += 1

    @staticmethod
    def _beyond_doubt(log: float, variance: float) -> float:
        return math.exp(log) if abs(log) > DOUBT * math.sqrt(variance) else 1.0
