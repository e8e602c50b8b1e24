"""One scale and one offset from a handful of pictures at known heights of the objective.

What the networks read falls by one um for each um that the objective rises; on an instrument with
another condenser's aperture by more or less, and by the same factor everywhere. So over the
pictures of a field the readings are a line: its slope is the scale, and what they read where the
picture is sharpest is the offset. Nothing moves; the heights are the stage's or a person's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.appliance.calibrate.drive_calibration import CalibrationRefused
from edge.appliance.calibrate.fit import Look, sharpest_um
from edge.decide.reading_scale import LEAST_TRAVEL_UM
from edge.settings import LEAST_READING_SCALE, MOST_READING_SCALE

LEAST_LOOKS = 4
MOST_95 = 0.3
#: a look's own doubt is at least this, um and share of its distance: the networks err alike on one
#: field
NEAR_UM, FAR_SHARE = 0.15, 0.03


@dataclass(frozen=True, slots=True)
class KnownSteps:
    """For the config; `_95` are 95 % half-widths. `focus_offset_um` is None where the sharpest
    picture is the first or the last of every field."""

    reading_scale: float
    reading_scale_95: float
    focus_offset_um: float | None
    focus_offset_95_um: float | None
    looks: int
    scatter_um: float


def known_steps(fields: Sequence[Sequence[Look]], unit: float = 1.0) -> KnownSteps:
    """From looks field by field, `z_um` of each the objective's height, positive = up; `unit`: um
    of the instrument for one of the nominal. CalibrationRefused where they do not tell a scale."""
    used = [looks for looks in fields if len(looks) >= 2]
    count = sum(map(len, used))
    travel_um = max((_span(looks) for looks in used), default=0.0)
    if count < LEAST_LOOKS or travel_um < LEAST_TRAVEL_UM * unit:
        raise CalibrationRefused(
            f"{count} pictures over {travel_um:.1f} um tell a defocus; {LEAST_LOOKS} over "
            f"{LEAST_TRAVEL_UM * unit:.0f} um of one field are the least"
        )
    weights = [_weights(looks, unit) for looks in used]
    pairs = list(zip(used, weights, strict=True))
    z, read = (
        np.concatenate([_centred(looks, weight, name) for looks, weight in pairs])
        for name in ("z_um", "defocus_um")
    )
    weight = np.concatenate(weights)
    spread = float(weight @ z**2)
    scale = -float(weight @ (z * read)) / spread
    rest = read + scale * z
    free = max(1, count - len(used) - 1)
    worse = max(1.0, float(weight @ rest**2) / free)  # looks scatter by more than they say
    scale_95 = 1.96 * math.sqrt(worse / spread)
    if not LEAST_READING_SCALE <= scale <= MOST_READING_SCALE:
        hint = "; does a greater z lower the objective?" if scale < 0 else ""
        raise CalibrationRefused(
            f"the networks read {scale:+.2f} um for each um of defocus, {LEAST_READING_SCALE:g} "
            f"to {MOST_READING_SCALE:g} can be believed{hint}"
        )
    if not scale_95 <= MOST_95:
        raise CalibrationRefused(
            f"the scale is {scale:.2f} +- {scale_95:.2f}: more pictures, or farther apart"
        )
    offsets = [offset for looks in used if (offset := _offset_um(looks, scale)) is not None]
    scatter_um = float(np.sqrt(np.mean(rest**2)))
    offset_um = float(np.median(offsets)) if offsets else None
    return KnownSteps(
        scale, scale_95, offset_um,
        1.96 * math.hypot(NEAR_UM * unit, scatter_um / math.sqrt(count)) if offsets else None,
        count, scatter_um,
    )  # fmt: skip


def _span(looks: Sequence[Look]) -> float:
    heights = [look.z_um for look in looks]
    return max(heights) - min(heights)


def _weights(looks: Sequence[Look], unit: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """1 / variance of each look."""
    sds = [
        max(look.interval_um / 1.96, math.hypot(NEAR_UM * unit, FAR_SHARE * look.defocus_um))
        for look in looks
    ]
    return np.array([1.0 / sd**2 for sd in sds])


def _centred(
    looks: Sequence[Look], weight: np.ndarray[tuple[int], np.dtype[np.float64]], name: str
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Of one field, whose focus lies somewhere."""
    values = np.array([getattr(look, name) for look in looks], np.float64)
    return values - float(weight @ values) / float(weight.sum())


def _offset_um(looks: Sequence[Look], scale: float) -> float | None:
    """What would have to be added for the loop to rest where the picture is sharpest."""
    try:
        sharpest = sharpest_um(looks)
    except ValueError:
        return None
    zeros = [look.z_um + look.defocus_um / scale for look in looks]
    return sharpest - float(np.median(zeros))
