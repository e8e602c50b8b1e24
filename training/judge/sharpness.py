"""The truth: the height at which a specimen's own detail is sharpest in the picture.

The measure is Tenengrad, the sum of squared Sobel gradients (3 x 3), of linear luminance
(0.2126 R + 0.7152 G + 0.0722 B) of the picture without noise and without dirt; per patch, and over
all the patches of a field that hold content. The height is the top of a parabola through the
highest of planes 0.25 um apart and its two neighbours. A specimen that has only phase has two such
heights and is in focus between them, where its contrast turns over.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.judge.optics import F32, F64, vertex
from training.judge.specimens import INFORMATIVE, PatchGrid

COARSE_UM, FINE_UM = 0.5, 0.25
#: the search reaches so far beyond the lowest and highest of the specimen's layers
MARGIN_UM = 2.0
NEARLY = 0.85


def tenengrad(picture: F32) -> F32:
    """Squared gradient of each pixel, (h, w)."""
    across = cv2.Sobel(picture, cv2.CV_32F, 1, 0, ksize=3)
    down = cv2.Sobel(picture, cv2.CV_32F, 0, 1, ksize=3)
    return np.asarray(across * across + down * down, np.float32)


def laplacian(picture: F32) -> F32:
    """Squared Laplacian of each pixel, (h, w)."""
    return np.asarray(cv2.Laplacian(picture, cv2.CV_32F) ** 2, np.float32)


def variance(picture: F32) -> F32:
    """Squared difference from the picture's mean over a patch's width."""
    return np.asarray((picture - cv2.blur(picture, (225, 225))) ** 2, np.float32)


def octave_coarser(picture: F32) -> F32:
    """Tenengrad of the picture at half the size, each value on the four pixels that it is of."""
    h, w = picture.shape
    half = cv2.resize(picture, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    energy = tenengrad(np.asarray(half, np.float32))
    return np.asarray(cv2.resize(energy, (w, h), interpolation=cv2.INTER_NEAREST), np.float32)


@dataclass(frozen=True, slots=True)
class Sharpest:
    """Heights in um. `patch_um` (rows, columns) is the field's own where a patch is empty;
    `energy` is the field's mean squared gradient at `field_um`."""

    field_um: float
    patch_um: F64
    energy: float


class Stack:
    """The energy of a measure through focus, plane by plane as it is asked for; `picture` gives
    the picture at a height, `content` (rows, columns) tells which patches count for the field;
    `axial_unit`: planes lie so many times farther apart than at the nominal instrument."""

    def __init__(
        self,
        picture: Callable[[float], F32],
        grid: PatchGrid,
        content: npt.NDArray[np.bool_],
        measure: Callable[[F32], F32] = tenengrad,
        axial_unit: float = 1.0,
    ) -> None:
        self._picture, self._grid, self._measure = picture, grid, measure
        self._step_um = FINE_UM * axial_unit
        self._content = content
        self._planes: dict[int, F64] = {}

    def patches(self, step: int) -> F64:
        """Energy of each patch at `step` times FINE_UM and the axial unit."""
        if step not in self._planes:
            self._planes[step] = self.patches_at(step * self._step_um)
        return self._planes[step]

    def patches_at(self, z_um: float) -> F64:
        """Energy of each patch at any height."""
        return self._grid.sums(self._measure(self._picture(z_um)))

    def field(self, energies: F64) -> float:
        """Mean squared gradient over the content."""
        pixels = self._grid.side_px**2 * int(self._content.sum())
        return float(energies[self._content].sum() / pixels)

    def sharpest(self, low_um: float, high_um: float, turns_over: bool = False) -> Sharpest:
        """Look coarsely between two heights, then finely round every patch's best."""
        wide = round(COARSE_UM / FINE_UM)
        first, last = (round(z / self._step_um) for z in (low_um, high_um))
        coarse = np.arange(first, last + wide, wide)
        energies = np.array([self.patches(int(step)) for step in coarse])
        wanted = {int(coarse[int(np.argmax(e))]) for e in energies[:, self._content].T}
        together = np.array([self.field(e) for e in energies])
        # a second rise nearly as high may turn out to be the highest
        wanted |= {int(step) for step in coarse[together >= NEARLY * together.max()]}
        if turns_over:
            wanted = set(range(int(coarse[0]), int(coarse[-1]) + 1, wide))
        for step in wanted:
            for near in range(step - wide + 1, step + wide):
                self.patches(near)
        steps = sorted(self._planes)
        best = np.empty(self._content.shape)
        for place in np.ndindex(*best.shape):
            values = np.array([self._planes[s][place] for s in steps])
            best[place] = self._top(steps, values, turns_over)
        whole = np.array([self.field(self._planes[s]) for s in steps])
        field_um = self._top(steps, whole, turns_over)
        best[~self._content] = field_um
        return Sharpest(field_um, best, self.field(self.patches_at(field_um)))

    def _top(self, steps: Sequence[int], values: F64, turns_over: bool) -> float:
        if turns_over:
            return _turn(steps, values) * self._step_um
        best = int(np.argmax(values))
        near = [steps[best] + n for n in (-1, 0, 1)]
        if not set(near) <= set(steps):
            return steps[best] * self._step_um
        three = values[[steps.index(step) for step in near]]
        return vertex(np.array(near) * self._step_um, three)


def _turn(steps: Sequence[int], values: F64) -> float:
    """The dip between the two highest rises, of evenly spaced steps, in steps."""
    rises = [i for i in range(1, len(values) - 1) if values[i] >= max(values[i - 1], values[i + 1])]
    if len(rises) < 2:
        return float(steps[int(np.argmin(values))])
    left, right = sorted(sorted(rises, key=lambda i: -values[i])[:2])
    between = slice(left, right + 1)
    return vertex(np.array(steps[between], float), -values[between])


def content_of(richness: F64) -> npt.NDArray[np.bool_]:
    """Which patches are the field's content: W* above 0.8, or the richest where none is."""
    content = np.asarray(richness > INFORMATIVE)
    return content if content.any() else np.asarray(richness >= richness.max())
