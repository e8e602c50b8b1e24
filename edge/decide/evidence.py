"""What two readings around a move say about the stage: nothing, agrees, short, opposite, too much.

A stage that moved by m must change the measured defocus by -m. What is said is weighed against
what both readings are uncertain by, and a reading grows uncertain with the time that passes: a
move that was not made, plus noise, is no move in the wrong direction. A frame that cannot be read
is no reading, and says nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum

#: by how much more a reading is uncertain for each second since it was taken: focus drifts
DRIFT_UM_PER_S = 0.05
#: of a move: less than this in the wrong direction is a move that was not made
LEAST_SHARE = 0.35
CERTAIN = 1.5  # times the noise: three standard deviations
#: a drive that is wired the wrong way round changes the reading by no more than this, per um
MOST_GAIN = 3.0


class Finding(str, Enum):
    """What two readings say about the move between them."""

    NOTHING = "nothing"  # within the noise
    AGREES = "agrees"  # a change in the predicted direction, as large as predicted
    SHORT = "too little change"  # not made, made in part, or an estimate was wrong
    OPPOSITE = "opposite"  # a change in the wrong direction, beyond the noise of both readings
    OVERSHOT = "too much change"  # right sign: a wrong scale, or an estimate was wrong


@dataclass(frozen=True, slots=True)
class Reading:
    """A defocus, the z it was measured at, and when (monotonic)."""

    z_um: float
    defocus_um: float
    interval_um: float  # of defocus and z together, 95 %
    time_ns: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """The travel between two readings, and what they saw of it."""

    travel_um: float  # >= 0
    right_um: float  # how much the defocus changed in the predicted direction
    noise_um: float  # of right_um, 95 %

    @classmethod
    def between(cls, before: Reading, after: Reading, direction: int) -> Change:
        """`direction` = +1 when a rising z raises the objective, else -1."""
        moved = direction * (after.z_um - before.z_um)
        change_um = after.defocus_um - before.defocus_um
        noise = math.hypot(before.interval_um, after.interval_um)
        noise += DRIFT_UM_PER_S * abs(after.time_ns - before.time_ns) / 1e9
        right = -math.copysign(1.0, moved) * change_um if moved else -abs(change_um)
        return cls(abs(moved), right, noise)

    @property
    def finding(self) -> Finding:
        """Which of the five it is."""
        travel, right, noise = self.travel_um, self.right_um, self.noise_um
        if travel > 0 and right < -max(noise, LEAST_SHARE * travel):
            return Finding.OPPOSITE
        if not abs(right - travel) <= max(CERTAIN * noise, 0.5 * travel):
            return Finding.OVERSHOT if right > travel else Finding.SHORT
        return Finding.AGREES if right > noise else Finding.NOTHING

    @property
    def engaged(self) -> bool:
        """Whether the glass certainly went the predicted way, if only a part of it."""
        return self.right_um > CERTAIN * self.noise_um

    @property
    def followed(self) -> bool:
        """Whether it did so for no small part: the sign is right."""
        return self.engaged and self.right_um > LEAST_SHARE * self.travel_um

    @property
    def motionless(self) -> bool:
        """Whether the best guess is that the glass did not move at all."""
        return -min(self.noise_um, 0.5 * self.travel_um) < self.right_um <= self.noise_um

    @property
    def unlike_a_move(self) -> bool:
        """Whether the change is larger than a move of this length can have made: a slip, a hand."""
        return abs(self.right_um) > MOST_GAIN * self.travel_um + self.noise_um

    def gain(self, near: bool) -> float:
        """um of reading per um of travel, from 1: by how much the next move must be smaller. What
        is far from focus is believed only where it is too much by any measure."""
        if not (near or self.finding is Finding.OVERSHOT):
            return 1.0
        return min(max(self.right_um / self.travel_um, 1.0), MOST_GAIN)


def compare(before: Reading, after: Reading, direction: int) -> Finding:
    """What the readings say about the move between them."""
    return Change.between(before, after, direction).finding


def same(one: Reading, other: Reading) -> bool:
    """Whether two readings of one place are equal, within the noise of both."""
    return Change.between(one, replace(other, z_um=one.z_um), 1).finding is Finding.NOTHING


def averaged(one: Reading, other: Reading) -> Reading:
    """Two readings of one place, as one."""
    return Reading(
        (one.z_um + other.z_um) / 2,
        (one.defocus_um + other.defocus_um) / 2,
        math.hypot(one.interval_um, other.interval_um) / 2,
        other.time_ns,
    )


def improved(before: Reading, after: Reading) -> bool:
    """Whether a large move came clearly nearer to focus: by more than the noise, or halfway."""
    noise = math.hypot(before.interval_um, after.interval_um)
    gain = abs(before.defocus_um) - abs(after.defocus_um)
    return gain > min(noise, 0.5 * abs(before.defocus_um))
