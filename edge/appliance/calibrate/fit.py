"""From looks at known commands to sign, scale, play, linear range, best focus and interval.

The focus drive is a nut with play: coming up it is pushed at once, coming down it follows when
the play is crossed. What the networks call defocus falls by one um for each um that the objective
rises. So over the way of the nut the defocus is a line; its slope has sign and scale, and the play
is the one for which up and down lie on the same line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

PLAY_UM = np.arange(0.0, 12.001, 0.02)  # that are tried
CHI2 = 3.84  # 95 % of one parameter
EVEN_95 = 1.96 / math.sqrt(3.0)  # 95 % of an error spread evenly over +-1, as of a normal one
LEAST_LOOKS = 8
#: what a look at the ends of the linear range may be off, um and share of its distance
LINEAR_UM, LINEAR_SHARE = 0.6, 0.1


@dataclass(frozen=True, slots=True)
class Look:
    """One picture at rest. `z_um`: the stage's own; `defocus_um`, `interval_um` the networks'."""

    z_um: float
    defocus_um: float
    interval_um: float
    sharpness: float
    part: str  # of the procedure: "up", "down", "again", "far", "fine"


@dataclass(frozen=True, slots=True)
class Line:
    """defocus = zero_um - um_per_unit * nut. um_per_unit: + where a rising z raises the objective;
    all intervals are 95 % half-widths."""

    um_per_unit: float
    um_per_unit_95: float
    zero_um: float
    play_um: float  # in the stage's own units
    play_95_um: float
    scatter_um: float  # standard deviation of a look about the line

    def defocus_at(self, nut_um: float | F64) -> F64:
        """What the line says, um."""
        return np.asarray(self.zero_um - self.um_per_unit * np.asarray(nut_um))


def nut_of(z_um: Sequence[float], play_um: float) -> F64:
    """Where the nut was at each of the stage's positions, in order; the play was taken up from
    below before the first."""
    nut, nut_um = z_um[0], []
    for z in z_um:
        nut = min(max(nut, z), z + play_um)
        nut_um.append(nut)
    return np.array(nut_um)


def fit_line(looks: Sequence[Look], off_um: float = 0.0) -> Line:
    """Over looks in the order they were taken; ValueError for too few or no movement.

    `off_um`: how far the stage may be, at most, from where it says, um of the stage.
    """
    if len(looks) < LEAST_LOOKS:
        raise ValueError(f"{len(looks)} looks, {LEAST_LOOKS} are the least")
    z = [look.z_um for look in looks]
    defocus = np.array([look.defocus_um for look in looks])
    if np.ptp(z) <= 0.0:
        raise ValueError("the stage did not move")
    residual = np.array([_line(nut_of(z, play), defocus)[2] for play in PLAY_UM])
    best = int(residual.argmin())
    slope, zero, least = _line(nut_of(z, float(PLAY_UM[best])), defocus)
    free = len(looks) - 3
    variance = max(least / free, 1e-6)
    inside = PLAY_UM[residual <= least + CHI2 * variance]
    nut = nut_of(z, float(PLAY_UM[best]))
    return Line(
        um_per_unit=-slope,
        um_per_unit_95=_slope_95(nut, variance, slope * off_um),
        zero_um=zero,
        play_um=float(PLAY_UM[best]),
        # the ways up and down may be off by as much as that, each its own way
        play_95_um=math.hypot(float(inside.max() - inside.min()) / 2, 2.0 * off_um * EVEN_95),
        scatter_um=math.sqrt(variance),
    )


def refined(
    line: Line, travels: Sequence[Look], others: Sequence[Look], off_um: float = 0.0
) -> Line:
    """The same play, but the slope over a longer way: with `others`, all of them taken coming up,
    so that the nut is where the stage is."""
    z, others_z = [look.z_um for look in travels], [look.z_um for look in others]
    defocus = np.array([look.defocus_um for look in (*travels, *others)])

    def with_play(play_um: float) -> tuple[F64, tuple[float, float, float]]:
        nut = np.concatenate([nut_of(z, max(0.0, play_um)), others_z])
        return nut, _line(nut, defocus)

    nut, (slope, zero, least) = with_play(line.play_um)
    variance = max(least / (len(nut) - 2), 1e-6)
    ends = [with_play(line.play_um + off)[1][0] for off in (-line.play_95_um, line.play_95_um)]
    by_play = max(abs(end - slope) for end in ends)
    return Line(-slope, math.hypot(_slope_95(nut, variance, slope * off_um), by_play), zero,
                line.play_um, line.play_95_um, math.sqrt(variance))  # fmt: skip


def _slope_95(nut: F64, variance: float, off_um: float) -> float:
    """`off_um` is in um of defocus here."""
    spread = float(((nut - nut.mean()) ** 2).sum())
    return 1.96 * math.sqrt((variance + off_um**2 / 3.0) / spread)


def linear_range_um(looks: Sequence[Look], line: Line, off_um: float = 0.0) -> float:
    """The distance up to which, on both sides, every look lies near the line; um of defocus.

    `looks` were all taken coming up, so that the nut is where the stage is. What the line itself
    may be off, by its slope and by the stage's places, is not held against a look.
    """
    scale = abs(line.um_per_unit)
    reached = math.inf
    sides = {1.0: 0.0, -1.0: 0.0}
    for look in sorted(looks, key=lambda each: abs(float(line.defocus_at(each.z_um)))):
        expected = float(line.defocus_at(look.z_um))
        off = abs(look.defocus_um - expected)
        unsure = scale * off_um + abs(expected) * line.um_per_unit_95 / scale
        if off > max(LINEAR_UM, LINEAR_SHARE * abs(expected)) + unsure:
            reached = min(reached, abs(expected))
        elif abs(expected) < reached:
            side = math.copysign(1.0, expected)
            sides[side] = max(sides[side], abs(expected))
    return min(sides.values())


def sharpest_um(looks: Sequence[Look]) -> float:
    """Where the focus measure peaks, by a parabola through the three best places; ValueError when
    the peak is at an end: then it was not gone through."""
    places, where = np.unique(np.round([look.z_um for look in looks], 6), return_inverse=True)
    sums = np.bincount(where, weights=[look.sharpness for look in looks])
    values = sums / np.bincount(where)  # a coarse stage tells several looks the same place
    at = int(values.argmax())
    if not 0 < at < len(places) - 1:
        raise ValueError("the sharpest picture is the first or the last of the through-focus")
    z = places[at - 1 : at + 2]
    a, b, _ = np.polyfit(z - z[1], values[at - 1 : at + 2], 2)
    return float(z[1] - b / (2.0 * a)) if a < 0 else float(z[1])


def interval_factor(
    looks: Sequence[Look], line: Line, play_um: float, off_um: float = 0.0
) -> float:
    """What the networks' 95 % interval must be multiplied by to hold 95 % of the looks, from 1.

    What the stage may be off is not the networks' fault.
    """
    nut = nut_of([look.z_um for look in looks], play_um)
    off = np.abs(np.array([look.defocus_um for look in looks]) - line.defocus_at(nut))
    off = np.maximum(off - abs(line.um_per_unit) * off_um, 0.0)
    ratios = off / np.maximum([look.interval_um for look in looks], 1e-3)
    return max(1.0, float(np.quantile(ratios, 0.95)))


def _line(nut: F64, defocus: F64) -> tuple[float, float, float]:
    """Slope, defocus at nut 0 and the sum of squares left."""
    mean = nut.mean()
    spread = float(((nut - mean) ** 2).sum())
    if spread <= 0.0:
        return 0.0, float(defocus.mean()), float(((defocus - defocus.mean()) ** 2).sum())
    slope = float(((nut - mean) * defocus).sum()) / spread
    residual = defocus - defocus.mean() - slope * (nut - mean)
    return slope, float(defocus.mean() - slope * mean), float((residual**2).sum())
