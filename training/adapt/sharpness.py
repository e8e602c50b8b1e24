"""Where a stack is in focus, patch by patch, from its own pictures.

The measure is the one that defines focus (docs/decisions/0011): the gradient energy of luminance,
here in blocks of 16 px, at the sensor's own pixel and in two coarser octaves, and of these the
finest that stands out of the noise. In focus it is greatest. A specimen that only shifts the phase
has its focus where contrast is least, between two maxima (contrast reversal: Zernike; Agero et al.
2004, Microsc. Res. Tech. 65); the coarsest octave shows that best, where colours and aberrations
matter least. Noise has the same energy at every height and is told from detail by that, and by the
finest checks of the picture, where optics leaves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.measure.sharpness import LUMINANCE, gradient_energy, noise_energy
from training.labels import BLOCK_PX

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

#: the gradient at the sensor's pixel, and that of the picture at half and a quarter of its size
OCTAVES = 3
#: of 8 bits, against a picture's own brightness: what rounding alone leaves of a flat picture
LEAST_NOISE = 8e-7
CHECKS = 2.0  # the noise is at most so many times what the checks say: it may be correlated
STANDS_OUT = 0.5  # of the noise: a patch that rises less above it is not asked
CREST = 0.8  # of a peak: planes above it are fitted, three at least
#: of contrast reversal in the coarsest octave: the dip, against the lower maximum beside it, and
#: that maximum, against the higher one. A stain's own absorption fills the dip
DIP, TWIN = 0.6, 0.7
#: or a dip so deep that no absorption can be in it; real unstained yeast has maxima of 0.65 and 1
DEEP, DEEP_TWIN = 0.2, 0.4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a curve says the focus is. `edge`: its best plane is the first or the last, so the
    focus may lie outside the stack; `reversed_contrast`: it is a dip, and `reach_um` how far from
    it the farther maximum lies."""

    z_um: float
    edge: bool
    reversed_contrast: bool
    reach_um: float = 0.0


@dataclass(frozen=True, slots=True)
class Energies:
    """Of one picture, per octave: mean gradient energy in blocks of 16 px, (rows, columns) float32
    against the picture's brightness, and what of it the finest checks say is noise."""

    blocks: list[F32]
    noise: list[float]


def block_energy(rgb: U8, top: int, left: int) -> Energies:
    """Measure (h, w, 3) uint8 RGB. The blocks lie so that one begins at pixel (top, left)."""
    part = rgb[top % BLOCK_PX :, left % BLOCK_PX :]
    rows, columns = (size // BLOCK_PX for size in part.shape[:2])
    part = part[: rows * BLOCK_PX, : columns * BLOCK_PX]
    level = max(float(np.median(part[::8, ::8] @ np.array(LUMINANCE))), 1.0)
    weights = np.array([LUMINANCE], np.float32) / np.float32(level)
    picture = np.asarray(cv2.transform(part.astype(np.float32), weights), np.float32)
    blocks, noise = [], []
    for octave in range(OCTAVES):
        if octave:
            half = (picture.shape[1] // 2, picture.shape[0] // 2)
            picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA))
        energy = gradient_energy(picture)
        means = cv2.resize(energy, (columns, rows), interpolation=cv2.INTER_AREA)
        blocks.append(np.asarray(means, np.float32))
        noise.append(noise_energy(picture))
    return Energies(blocks, noise)


def noise_floor(energy: F32, noise: Sequence[float]) -> float:
    """Of (planes, rows, columns): what a block has at its emptiest heights, in the middle over all
    blocks, but not much more than the checks of the quietest picture say (`noise`, one a plane):
    a stack whose planes are all near focus is nowhere empty."""
    emptiest = float(np.median(np.quantile(energy, 0.1, axis=0)))
    return max(min(emptiest, CHECKS * min(noise)), LEAST_NOISE)


def octave_for(curves: Sequence[F64]) -> int:
    """Which octave tells the focus: the finest in which a patch stands out of the noise, else the
    one in which any does most; `curves`: per octave (planes, patches...) over the noise.

    The definition is the finest octave. With spherical aberration coarse detail is sharpest
    elsewhere, some 0.3 um lower an octave on the nominal instrument. But noise is fine.
    """
    strength = [float(curve.max()) for curve in curves]
    octaves = [octave for octave, strong in enumerate(strength) if strong >= STANDS_OUT]
    return octaves[0] if octaves else int(np.argmax(strength))


def peak(z_um: F64, curve: F64) -> Place:
    """The greatest of one curve, (planes,) energy without noise over rising z."""
    best = int(np.argmax(curve))
    edge = best in (0, len(curve) - 1)
    place = float(z_um[best]) if edge else _crest(z_um, curve, best)
    return Place(place, edge, reversed_contrast=False)


def dip(z_um: F64, curve: F64) -> Place | None:
    """The least between two maxima of like height, None where there is none."""
    best, *others = sorted(_maxima(curve), key=lambda i: -curve[i]) or [0]
    for other in others:  # a maximum's own flank has ripples: the next highest may be one
        low, high = sorted((best, other))
        least = low + int(np.argmin(curve[low : high + 1]))
        if _reverses(curve[least], curve[other], curve[best]):
            return _dip_at(z_um, curve, low, least, high)
    return None


def _reverses(least: float, lower: float, higher: float) -> bool:
    alike = lower >= TWIN * higher and least <= DIP * lower
    return alike or (lower >= DEEP_TWIN * higher and least <= DEEP * lower)


def _dip_at(z_um: F64, curve: F64, low: int, least: int, high: int) -> Place:
    focus = _vertex(z_um, -curve, least)
    reach = max(focus - float(z_um[low]), float(z_um[high]) - focus)
    return Place(focus, edge=False, reversed_contrast=True, reach_um=reach)


def _maxima(curve: F64) -> list[int]:
    """Planes above their neighbours."""
    return [
        i
        for i in range(len(curve))
        if curve[i] > 0 and curve[i] >= curve[max(0, i - 1) : i + 2].max()
    ]


def _crest(z_um: F64, curve: F64, best: int) -> float:
    """Vertex of a parabola through the reciprocal of the crest around `best`: far from focus energy
    falls as the square of the distance."""
    low = high = best
    while low > 0 and curve[low - 1] > CREST * curve[best]:
        low -= 1
    while high < len(curve) - 1 and curve[high + 1] > CREST * curve[best]:
        high += 1
    low, high = min(low, best - 1), max(high, best + 1)
    part = slice(low, high + 1)
    least = -curve[best] / np.maximum(curve[part], 1e-3 * curve[best])
    return _clamped(z_um, np.polyfit(z_um[part] - z_um[best], least, 2), best, low, high)


def _vertex(z_um: F64, curve: F64, best: int) -> float:
    low, high = max(best - 1, 0), min(best + 1, len(curve) - 1)
    if high - low < 2:
        return float(z_um[best])
    part = slice(low, high + 1)
    fit = np.polyfit(z_um[part] - z_um[best], curve[part], 2)
    return _clamped(z_um, fit, best, low, high)


def _clamped(z_um: F64, fit: F64, best: int, low: int, high: int) -> float:
    """The vertex where the parabola has one between the planes used; else the best plane."""
    if not fit[0] < 0:
        return float(z_um[best])
    vertex = float(z_um[best] - fit[1] / (2 * fit[0]))
    return min(max(vertex, float(z_um[low])), float(z_um[high]))
