"""A look at the best patches without any network: what makes a network sure and wrong.

The limits were measured on sound and on spoilt frames (docs/spoilt_frames.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edge.camera import Frame
from edge.measure.best_patches import cut
from edge.measure.only_noise import whiteness_of
from edge.measure.preprocess import PAPER, Cell, PatchGrid
from edge.measure.smear_and_dirt import FEWEST_PATCHES, dirt_of, smear_of
from edge.measure.training_range import DomainShift

PATCHES = 6
SMEAR_LIMIT, DIRT_LIMIT, NOISE_LIMIT = 0.42, 2.4, 0.7
SMEAR, DIRT, NOISE, DARK = "smear", "sharp dirt", "noise", "dark part"
#: nothing stained is as black in all colours; the edge of what is has one direction, as a smear has
_BLACK, _DARK_SHARE = 16, 0.05


@dataclass(frozen=True, slots=True)
class PlainLook:
    """Frame and chosen patches to an alarm. Such a frame is held: its answer may be off by the
    whole range, and the interval does not know."""

    grid: PatchGrid = PAPER
    pixels: float = 1.0  # of the models for one of the frame

    def __call__(self, frame: Frame, cells: Sequence[Cell]) -> DomainShift | None:
        """None: nothing wrong, or too few patches to tell."""
        if len(cells) < FEWEST_PATCHES:
            return None
        patches = cut(frame, cells[:PATCHES], self.grid, self.pixels)
        scores = {
            SMEAR: smear_of(patches) / SMEAR_LIMIT,
            DIRT: dirt_of(patches) / DIRT_LIMIT,
            NOISE: whiteness_of(patches) / NOISE_LIMIT,
        }
        feature = max(scores, key=lambda name: scores[name])
        score = scores[feature]
        if feature == SMEAR and float((patches.max(2) < _BLACK).mean()) >= _DARK_SHARE:
            feature = DARK
        return DomainShift(score, feature, alarm=True, hold=True) if score > 1 else None
