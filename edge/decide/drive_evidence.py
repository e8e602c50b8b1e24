"""Which drive the readings of a scan line fit: one that follows, stands still, or is reversed.

For each of the three there is a focus surface that explains a reading: the height of the glass,
had it moved so, plus the defocus. A slide is smooth and not steep; the drive whose surface is
smooth is the one at hand. Nothing depends on how many frames were missed between two readings:
the surface may have changed more over a longer way, and what could not be told while the stage
moved is told by the next reading at rest, whose three surfaces must run on as they did.

Evidence is a log likelihood ratio, summed up and never below 0 (Page's CUSUM, Biometrika 41,
1954): a drive that was right for an hour is soon found out when its coupling comes loose. One
reading alone, however odd, is never enough: it may be dust, a fold, a step of the specimen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.decide.conduct import SIGN
from edge.decide.play import MOST_PLAY_UM

STEEPEST_UM_PER_MM = 4.0  # no slide on a stage is tilted more
SLOPE_UM_PER_MM = 2.0  # standard deviation, before anything is known
SLOPE_WALK_UM_PER_MM = 0.3  # in a root mm, of a bent slide
#: of the specimen's relief, standard deviation, and over what way it is another one
RELIEF_UM, RELIEF_MM = 1.0, 2.0
LEAST_SD_UM = 0.1  # of a reading: what neighbours have in common is in none of their intervals
#: a reading that fits nothing: how often, and over what range it then lies
ODD_SHARE, ODD_RANGE_UM = 0.1, 50.0
GATE_SD = 4.0  # farther off than this the specimen has a step there: the surface begins anew
FADES = 0.2  # of it, with a reading after a move
DOUBT = 2.0  # above it, no correction that led away from focus is followed by another
ENOUGH = 10.0  # of the summed log ratio; one odd reading gives at most 6
ENOUGH_LOST = 12.0  # the same for a drive that stands still, which harms less


@dataclass(slots=True)
class _Surface:
    """Height (um) and slope (um per mm) at the last reading, with their covariance; begins at the
    first reading, level."""

    height: float
    variance: float
    slope: float = 0.0
    joint: float = 0.0
    slope_variance: float = SLOPE_UM_PER_MM**2

    def read(self, mm: float, height: float, variance: float) -> float:
        """The log density of a reading `mm` along the scan from the last one, which is learned."""
        self.height += self.slope * mm
        self.variance += mm * (2 * self.joint + mm * self.slope_variance)
        self.variance += RELIEF_UM**2 * (1.0 - math.exp(-abs(mm) / RELIEF_MM))
        self.joint += mm * self.slope_variance
        self.slope_variance += abs(mm) * SLOPE_WALK_UM_PER_MM**2
        off, total = height - self.height, self.variance + variance
        fits = math.exp(-(off**2) / (2 * total)) / math.sqrt(2 * math.pi * total)
        if off**2 > GATE_SD**2 * total:
            self.height, self.variance = height, variance
            self.slope, self.joint, self.slope_variance = 0.0, 0.0, SLOPE_UM_PER_MM**2
        else:
            by_height, by_slope = self.variance / total, self.joint / total
            self.height += by_height * off
            self.slope += by_slope * off
            self.slope_variance -= by_slope * self.joint
            self.joint -= by_slope * self.variance
            self.variance -= by_height * self.variance
        steep = max(0.0, abs(self.slope) - STEEPEST_UM_PER_MM)
        fits *= math.exp(-(steep**2) / (2 * (1.0 + self.slope_variance)))
        return math.log((1 - ODD_SHARE) * fits + ODD_SHARE / ODD_RANGE_UM)


FOLLOWS, STANDS, REVERSED = 1, 0, -1


class DriveEvidence:
    """`direction` = +1 when a rising z raises the objective, else -1. Not thread-safe."""

    def __init__(self, direction: int) -> None:
        self._direction = direction
        self.restart()

    def restart(self) -> None:
        """As new: nothing speaks against the drive."""
        self.reversed = self.stands = 0.0  # log ratios against "it follows"
        self._lost_um = 0.0  # of motion since the drive was last seen to do more than stand still
        self.new_line()

    @property
    def doubt(self) -> float:
        """How much speaks against the drive, at present; 0 = nothing."""
        return max(self.reversed, self.stands)

    def new_line(self) -> None:
        """Another surface. What speaks against the drive stays with it."""
        self._surfaces: dict[int, _Surface] | None = None
        self._x_um: float  # of the last reading; both from the first one on
        self._z_um: float

    def read(self, x_um: float, z_um: float, defocus_um: float, interval_um: float) -> str:
        """A reading at a place; why the drive is not the calibrated one, or "" while it may be."""
        sd = math.hypot(interval_um / 1.96, LEAST_SD_UM)
        at = {gain: gain * self._direction * z_um + defocus_um for gain in (1, 0, -1)}
        if self._surfaces is None:
            self._surfaces = {gain: _Surface(at[gain], sd**2) for gain in at}
            self._x_um, self._z_um = x_um, z_um
            return ""
        mm, travel_um = (x_um - self._x_um) / 1e3, abs(z_um - self._z_um)
        self._x_um, self._z_um = x_um, z_um
        fit = {gain: self._surfaces[gain].read(mm, at[gain], sd**2) for gain in at}
        faded = FADES if travel_um > 0 else 0.0  # at rest nothing new is tried
        self.reversed = max(0.0, self.reversed + fit[REVERSED] - fit[FOLLOWS] - faded)
        self.stands = max(0.0, self.stands + fit[STANDS] - fit[FOLLOWS] - faded)
        self._lost_um = self._lost_um + travel_um if self.stands else 0.0
        return self._verdict()

    def _verdict(self) -> str:
        if self.reversed >= ENOUGH and self.reversed >= self.stands:
            return f"{SIGN}: the readings fit a drive that goes the other way"
        if self.stands >= ENOUGH_LOST and self._lost_um > MOST_PLAY_UM:
            return f"the glass does not follow: {self._lost_um:.1f} um of motion changed nothing"
        return ""
