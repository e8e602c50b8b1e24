"""Did a move do what was predicted? Two readings around a move, compared.

A stage that moved by m must change the measured defocus by -m. Seeing +m means that the sign
is wrong; seeing much less or much more means that the move was not made as reported, or that
one of the two estimates was wrong.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum


class Finding(str, Enum):
    """What two readings say about the move between them."""

    AGREES = "agrees"  # the opposite sign is excluded
    CONTRADICTS = "contradicts"  # closer to the opposite sign than to ours
    SHORT = "too little change"  # lost steps, or an estimate was wrong
    OVERSHOT = "too much change"  # right sign: a wrong scale, or an estimate was wrong
    UNCLEAR = "unclear"  # within the noise


@dataclass(frozen=True, slots=True)
class Reading:
    """A defocus and the z it was measured at."""

    z_um: float
    defocus_um: float
    interval_um: float  # of defocus and z together, 95 %


def compare(before: Reading, after: Reading, direction: int) -> Finding:
    """What the readings say about the move between them.

    `direction` = +1 when a rising z raises the objective, else -1. A contradiction that is
    free of noise is found whatever the intervals claim: 1.9 < 2, the factor between seeing the
    predicted change and seeing its mirror image.
    """
    moved = direction * (after.z_um - before.z_um)
    seen = after.defocus_um - before.defocus_um
    noise = math.hypot(before.interval_um, after.interval_um)
    residual = abs(seen + moved)
    if seen * moved > 0 and not residual <= min(noise, 1.9 * abs(moved)):
        return Finding.CONTRADICTS
    if not residual <= max(1.5 * noise, 0.5 * abs(moved)):
        return Finding.OVERSHOT if seen * moved < 0 and abs(seen) > abs(moved) else Finding.SHORT
    if seen * moved < 0 and abs(seen - moved) > noise:
        return Finding.AGREES
    return Finding.UNCLEAR


def improved(before: Reading, after: Reading) -> bool:
    """Whether a large move came clearly nearer to focus: by more than the noise, or halfway."""
    noise = math.hypot(before.interval_um, after.interval_um)
    gain = abs(before.defocus_um) - abs(after.defocus_um)
    return gain > min(noise, 0.5 * abs(before.defocus_um))
