"""What a field looks like with the objective at a height, before camera and dirt: clear glass = 1.

A field that is not level (tilt, field curvature) is put together from pictures at a few heights,
each taken where the surface is nearest to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.fft

from training.judge.exact import ExactImager
from training.judge.instrument import GREEN_UM, RGB, Scope, Slide
from training.judge.optics import F32, FrequencyGrid, transfer
from training.judge.specimens import Specimen

C64 = npt.NDArray[np.complex64]

#: linear light of R, G and B in a person's brightness
LUMINANCE: RGB = (0.2126, 0.7152, 0.0722)
#: between two heights of which an uneven field is put together: as seen, and to find its truth
STEP_UM, FINE_STEP_UM = 0.5, 0.25
KEPT = 40  # planes of brightness
_CLEAR, _DARKEST = 1.0, 0.003


class Imager(Protocol):
    """Who makes pictures of a level field."""

    def luminance(self, z_um: float, weights: RGB = LUMINANCE) -> F32:
        """(h, w) brightness, or another sum of the colours."""

    def colours(self, z_um: float) -> F32:
        """(h, w, 3) intensity in R, G and B."""


class LinearImager:
    """By weak-object transfer functions, layer by layer.

    Absorption enters as what it takes away, 1 - exp(-a); phase as the phase that light has where
    the stain leaves some: its slope counts as much as the light there, which for phase and
    absorbance that go together comes to phase * (1 - exp(-a)) / a.
    """

    def __init__(self, specimen: Specimen, scope: Scope, slide: Slide, dirt: bool = True) -> None:
        self._scope, self._slide, self._shape = scope, slide, specimen.shape
        self._frequencies = FrequencyGrid(specimen.shape, specimen.um_per_px)
        self._layers = [
            (layer.z_um, [_spectra(layer.absorbance[c], layer.phase, scope, c) for c in range(3)])
            for layer in specimen.layers
            if (layer.content or dirt) and (layer.absorbance.any() or layer.phase.any())
        ]

    def luminance(self, z_um: float, weights: RGB = LUMINANCE) -> F32:
        """One inverse FFT for all three colours: the picture is linear in them."""
        total: C64 | float = 0.0
        for channel, weight in enumerate(weights):
            if weight:
                total = total + self._spectrum(z_um, channel, weight)
        return self._picture(total)

    def colours(self, z_um: float) -> F32:
        """(h, w, 3)."""
        return np.stack([self._picture(self._spectrum(z_um, c, 1.0)) for c in range(3)], axis=2)

    def channel(self, channel: int, z_um: float) -> F32:
        """One colour, (h, w)."""
        return self._picture(self._spectrum(z_um, channel, 1.0))

    def _spectrum(self, z_um: float, channel: int, weight: float) -> C64 | float:
        total: C64 | float = 0.0
        for height, spectra in self._layers:
            step, absorption, phase = transfer(self._scope, channel, self._slide, z_um - height)
            taken, turned = spectra[channel]
            part = turned * self._frequencies(step, phase)
            part -= taken * self._frequencies(step, absorption)
            total = total + part * np.float32(weight)
        return total

    def _picture(self, spectrum: C64 | float) -> F32:
        if isinstance(spectrum, float):
            return np.ones(self._shape, np.float32)
        out = scipy.fft.irfft2(spectrum, self._shape, overwrite_x=True)
        return np.maximum(out + np.float32(_CLEAR), np.float32(_DARKEST))


def _spectra(absorbance: F32, phase: F32, scope: Scope, channel: int) -> tuple[C64, C64]:
    taken = -np.expm1(-absorbance)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(absorbance > 1e-4, taken / absorbance, np.float32(1.0))
    turned = phase * left * np.float32(GREEN_UM / scope.wavelength_um[channel])
    return scipy.fft.rfft2(taken), scipy.fft.rfft2(turned)


class TiledImager:
    """A small field rendered exactly, repeated where `places` (rows, columns) has it, clear glass
    elsewhere; the tile's own background must be clear where it is not everywhere."""

    def __init__(
        self, exact: ExactImager, places: npt.NDArray[np.bool_], shape: tuple[int, int]
    ) -> None:
        self._exact, self._places, self._shape = exact, places, shape

    def luminance(self, z_um: float, weights: RGB = LUMINANCE) -> F32:
        """The colours that count, and their sum."""
        parts = [w * self._exact.channel(c, z_um) for c, w in enumerate(weights) if w]
        return self.repeated(np.asarray(np.sum(parts, axis=0), np.float32), sum(weights))

    def colours(self, z_um: float) -> F32:
        """(h, w, 3)."""
        tile = np.stack([self._exact.channel(c, z_um) for c in range(3)], axis=2)
        return self.repeated(tile, 1.0)

    def repeated(self, tile: F32, empty: float) -> F32:
        """Of a tile (h, w, ...) the whole field."""
        rows, columns = self._places.shape
        h, w = tile.shape[:2]
        whole = np.full((rows * h, columns * w, *tile.shape[2:]), empty, np.float32)
        for row, column in np.argwhere(self._places):
            whole[row * h : (row + 1) * h, column * w : (column + 1) * w] = tile
        return whole[: self._shape[0], : self._shape[1]]


class UnevenImager:
    """A field whose surface lies `surface_um` (h, w) above its middle. Planes of brightness are
    kept: a search for the sharpest height comes back to them."""

    def __init__(self, level: Imager, surface_um: F32) -> None:
        self._level, self._surface = level, surface_um
        self._plane = lru_cache(maxsize=KEPT)(
            lambda n, weights: level.luminance(n * FINE_STEP_UM, weights)
        )

    def luminance(self, z_um: float, weights: RGB = LUMINANCE) -> F32:
        """See Imager."""
        return self._blend(lambda n: self._plane(n, weights), z_um, FINE_STEP_UM)

    def colours(self, z_um: float) -> F32:
        """See Imager."""
        return self._blend(lambda n: self._level.colours(n * STEP_UM), z_um, STEP_UM)

    def _blend(self, plane: Callable[[int], F32], z_um: float, step_um: float) -> F32:
        """Between the two of evenly spaced planes that each place's own height is between."""
        place = (np.float32(z_um) - self._surface) * np.float32(1.0 / step_um)
        total: F32 | None = None
        for number in range(math.floor(place.min()), math.ceil(place.max()) + 1):
            weight = np.maximum(1.0 - np.abs(place - np.float32(number)), 0.0)
            picture = plane(number)
            part = picture * (weight[..., None] if picture.ndim == 3 else weight)
            total = part if total is None else total + part
        assert total is not None
        return total


def surface(shape: tuple[int, int], scope: Scope, slide: Slide) -> F32 | None:
    """Height (um) of a field's surface over its middle as the objective sees it; None = level."""
    if not any(slide.tilt_um_per_mm) and scope.curvature_um == 0.0:
        return None
    y, x = (
        ((np.arange(side) - (side - 1) / 2) * scope.um_per_px).astype(np.float32) for side in shape
    )
    down, across = (np.float32(t / 1000.0) for t in slide.tilt_um_per_mm)
    corner2 = np.float32(y[0] ** 2 + x[0] ** 2)
    bowl = np.float32(scope.curvature_um) * (y[:, None] ** 2 + x[None, :] ** 2) / corner2
    return np.asarray(y[:, None] * down + x[None, :] * across + bowl, np.float32)
