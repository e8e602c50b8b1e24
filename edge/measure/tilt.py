"""The slope of a tilted slide under one field, so that an uneven choice of patches does not count.

On a slide that lies askew the chosen patches are often on one side, and their median is the focus
of that side. The patches' own answers show the slope: a plane is fitted to them, and where it is
there beyond doubt each is brought along it to the middle of all that the field holds.
docs/decisions/0009-level-the-field.md
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.measure.preprocess import Cell

F64 = npt.NDArray[np.float64]

LEAST_PATCHES = 6  # a plane through fewer fits anything
#: how many times its share of the scatter a plane must explain (F, two against k - 3 degrees of
#: freedom): of 360 frames without tilt four reach 8 and one 16
CLEAR = 16.0
#: steeper is no slide: 0.6 um over a patch of 76 um is 7.9 um/mm; a fold or a step is
STEEPEST_UM = 0.6
_ROUNDS, _FAR = 3, 1.5  # of reweighting; residuals beyond so many sd count less (Huber)
_LEVEL = 1e-2  # ties a slope to 0 across a direction in which no patches lie apart
_LEAST_SD_UM = 1e-3


def levelled(
    defocus_um: Sequence[float], cells: Sequence[Cell], centroid: tuple[float, float] | None
) -> list[float]:
    """Each patch's defocus (um) as it would be at `centroid` (row, column); unchanged where there
    is no centroid, no clear slope, or one too steep for a slide."""
    values = list(defocus_um)
    if centroid is None or len(values) < LEAST_PATCHES:
        return values
    measured = np.array(values)
    away = np.array(cells, np.float64) - centroid
    slope = _slope(measured, away)
    return values if slope is None else (measured - away @ slope).tolist()


def _slope(measured: F64, away: F64) -> F64 | None:
    """(2,) um per patch down and across; None where it is not clear."""
    plane = np.column_stack([np.ones(len(away)), away])
    weight = np.ones(len(away))
    for _ in range(_ROUNDS):
        weighted = plane * weight[:, None]
        square = weighted.T @ plane
        square[1, 1] += _LEVEL
        square[2, 2] += _LEVEL
        fit = np.linalg.solve(square, weighted.T @ measured)
        rest = np.abs(measured - plane @ fit)
        sd = 1.4826 * float(np.median(rest)) + _LEAST_SD_UM
        weight = np.minimum(1.0, _FAR * sd / np.maximum(rest, _LEAST_SD_UM))
    mean = float(weight @ measured / weight.sum())
    flat, tilted = float(weight @ (measured - mean) ** 2), float(weight @ rest**2)
    freedom = len(away) - 3
    clear = (flat - tilted) / 2 > CLEAR * (tilted / freedom + _LEAST_SD_UM**2)
    slope: F64 = fit[1:]
    # written so that a NaN is no slope
    return slope if clear and float(np.hypot(*slope)) <= STEEPEST_UM else None
