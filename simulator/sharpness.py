"""Where a field is in focus: the height at which the specimen's own detail is sharpest.

The measure is that of `edge.measure.sharpness`, summed over what is looked at, with its peak by a
parabola through the three highest of planes half a micrometre apart. Dirt and noise are left out:
they are not the specimen. Why this measure, and how far others differ from it:
docs/decisions/0011-focus-is-where-the-specimen-is-sharpest.md.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

PLANE_STEP_UM = 0.5
REACH_UM = 2.0


def planes_um(
    heights_um: Iterable[float], reach_um: float = REACH_UM, step_um: float = PLANE_STEP_UM
) -> F64:
    """Heights of the planes to look at for layers at `heights_um`, to `reach_um` beyond them;
    multiples of the step, so that planes of different specimens are the same planes."""
    heights = list(heights_um)
    low = np.floor((min(heights) - reach_um) / step_um)
    high = np.ceil((max(heights) + reach_um) / step_um)
    return np.asarray(np.arange(low, high + 1) * step_um)


def peak_um(heights_um: F64, energy: npt.NDArray[np.floating]) -> F64:
    """Height of the greatest energy: (n,) even heights, (n, ...) energies -> (...).

    The vertex of the parabola through the greatest and its two neighbours; one step beyond the
    planes at most. Where all energies are equal, nearest to height zero.
    """
    last, step = len(heights_um) - 1, float(heights_um[1] - heights_um[0])
    flat = energy.reshape(len(heights_um), -1).astype(np.float64)
    best = np.clip(flat.argmax(0), 1, last - 1)
    below, top, above = (np.take_along_axis(flat, (best + d)[None], 0)[0] for d in (-1, 0, 1))
    bend = below - 2.0 * top + above
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.clip(0.5 * (below - above) / bend, -2.0, 2.0)
    height = heights_um[best] + step * away
    height[bend >= 0.0] = heights_um[np.abs(heights_um).argmin()]
    return np.asarray(height.reshape(energy.shape[1:]))
