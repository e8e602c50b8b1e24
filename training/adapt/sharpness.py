"""Where a stack is in focus, patch by patch, from its own pictures.

The measure is the energy of fine detail in blocks of 16 px, in one of three octaves of size. In
focus it is greatest; on a specimen that only shifts the phase it is least there, between two
maxima (contrast reversal: Zernike; Agero et al. 2004, Microsc. Res. Tech. 65), and the dip is the
focus. Noise has the same energy at every height and is told from detail by that.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.labels import BLOCK_PX

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

OCTAVES = 3  # detail of about 2, 4 and 8 px
#: of 8 bits, against a picture's own brightness: what rounding alone leaves of a flat picture
LEAST_NOISE = 1e-6
STRONG = 5.0  # times the noise: the best hundredth of the blocks in an octave that is believed
CREST = 0.6  # of a peak: planes above it are fitted
DIP = 0.8  # between two maxima, against the lower one: below it contrast is reversed
TWIN = 0.4  # the lower of two maxima, against the higher one


@dataclass(frozen=True, slots=True)
class Place:
    """Where a curve says the focus is. `edge`: its best plane is the first or the last, so the
    focus may lie outside the stack; `reversed_contrast`: it is a dip."""

    z_um: float
    edge: bool
    reversed_contrast: bool


def block_energy(rgb: U8, top: int, left: int) -> list[F32]:
    """Per octave (rows, columns) float32: mean energy of detail in blocks of 16 px, against the
    picture's brightness. The blocks lie so that one begins at pixel (top, left)."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)[top % BLOCK_PX :, left % BLOCK_PX :]
    rows, columns = (size // BLOCK_PX for size in grey.shape)
    whole = np.ascontiguousarray(grey[: rows * BLOCK_PX, : columns * BLOCK_PX])
    level = max(float(np.median(whole[::8, ::8])), 1.0)
    picture = whole.astype(np.float32) / np.float32(level)
    energies = []
    for octave in range(OCTAVES):
        if octave:
            half = (picture.shape[1] // 2, picture.shape[0] // 2)
            picture = np.asarray(cv2.resize(picture, half, interpolation=cv2.INTER_AREA))
        detail = picture - cv2.GaussianBlur(picture, (7, 7), 1.2)
        np.square(detail, out=detail)
        means = cv2.resize(detail, (columns, rows), interpolation=cv2.INTER_AREA)
        energies.append(np.asarray(means, np.float32))
    return energies


def noise_floor(energy: F32) -> float:
    """Of (planes, rows, columns): what a block has at its emptiest heights, in the middle over
    all blocks."""
    return max(float(np.median(np.quantile(energy, 0.1, axis=0))), LEAST_NOISE)


def octaves_for(energies: list[F32]) -> tuple[int, int]:
    """Which octave tells the focus, and which the content: the finest that stands out of the noise,
    and the one that does most.

    With spherical aberration coarse detail is sharpest elsewhere than fine detail: some half a
    micrometre an octave at 0.45 waves, NA 0.75. But noise is fine, and content coarse.
    """
    strength = [float(np.quantile(e.max(axis=0) / noise_floor(e), 0.99)) for e in energies]
    most = int(np.argmax(strength))
    octaves = [octave for octave, strong in enumerate(strength) if strong > STRONG]
    return (octaves[0] if octaves else most), most


def locate(z_um: F64, curve: F64) -> Place:
    """The focus of one curve, (planes,) energy without noise over rising z."""
    tops = _maxima(curve)
    if len(tops) >= 2:
        low, high = sorted(sorted(tops, key=lambda i: -curve[i])[:2])
        between = slice(low, high + 1)
        dip = low + int(np.argmin(curve[between]))
        lower, higher = sorted((curve[low], curve[high]))
        if lower > TWIN * higher and curve[dip] < DIP * lower:
            return Place(_vertex(z_um, -curve, dip), edge=False, reversed_contrast=True)
    best = int(np.argmax(curve))
    edge = best in (0, len(curve) - 1)
    place = float(z_um[best]) if edge else _crest(z_um, curve, best)
    return Place(place, edge, reversed_contrast=False)


def _maxima(curve: F64) -> list[int]:
    """Planes above their neighbours."""
    return [
        i
        for i in range(len(curve))
        if curve[i] > 0 and curve[i] >= curve[max(0, i - 1) : i + 2].max()
    ]


def _crest(z_um: F64, curve: F64, best: int) -> float:
    """Vertex of a parabola through the logarithm of the crest around `best`."""
    low = high = best
    while low > 0 and curve[low - 1] > CREST * curve[best]:
        low -= 1
    while high < len(curve) - 1 and curve[high + 1] > CREST * curve[best]:
        high += 1
    low, high = min(low, best - 1), max(high, best + 1)
    part = slice(low, high + 1)
    logs = np.log(np.maximum(curve[part], 1e-3 * curve[best]))
    return _clamped(z_um, np.polyfit(z_um[part] - z_um[best], logs, 2), best, low, high)


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
