"""The picture without the weak-object formula: the sum over the condenser's aperture of what each
of its points shows, through every layer of the specimen in turn.

The specimen's whole complex transmission is used, on half the pixel, since |field|^2 has twice the
field's band. A point stands for a small cell of the aperture; what light from one side of a cell
shows lies a little beside what the other shows, and the sum is smeared by that much.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy.fft

from training.judge.instrument import GREEN_UM, Scope, Slide
from training.judge.optics import F32, F64, pupil_phase
from training.judge.specimens import Specimen

C64 = npt.NDArray[np.complex64]

OVERSAMPLING = 2
ACROSS = 7  # cells across the condenser's aperture


class ExactImager:
    """Pictures of a specimen painted at half the camera's pixel; content layers only."""

    def __init__(
        self, specimen: Specimen, scope: Scope, slide: Slide, across: int = ACROSS
    ) -> None:
        self._scope, self._slide = scope, slide
        self._px = specimen.um_per_px
        self.shape = tuple(side // OVERSAMPLING for side in specimen.shape)
        self._layers = [layer for layer in specimen.layers if layer.content]
        fy, fx = (scipy.fft.fftfreq(side, self._px) for side in specimen.shape)
        self._fy, self._fx = fy[:, None], fx[None, :]
        self._kept: dict[int, tuple[C64, list[C64]]] = {}
        self._points = _aperture(scope, across)
        self._cell = 2.0 * min(scope.condenser, 1.0) / across

    def channel(self, channel: int, z_um: float) -> F32:
        """Intensity (h, w) of one colour, 1 = clear glass, the objective at `z_um`."""
        wavelength = self._scope.wavelength_um[channel]
        first, above = self._light(channel)
        total = np.zeros(first.shape, np.float32)
        weights = 0.0
        for y, x, weight in self._points:
            at = (y * self._scope.na / wavelength, x * self._scope.na / wavelength)
            spectrum = self._through(first, above, at, wavelength)
            field = scipy.fft.ifft2(
                spectrum * self._pupil(channel, z_um, at, wavelength), overwrite_x=True
            )
            total += np.float32(weight) * (field.real**2 + field.imag**2)
            weights += weight
        return self._pixels(self._smeared(total / np.float32(weights), channel, z_um))

    def _light(self, channel: int) -> tuple[C64, list[C64]]:
        """Spectrum of the lowest layer's transmission, and the transmissions of the others."""
        if channel not in self._kept:
            ratio = np.float32(GREEN_UM / self._scope.wavelength_um[channel])
            through = [
                np.exp(1j * layer.phase * ratio - 0.5 * layer.absorbance[channel]).astype(
                    np.complex64
                )
                for layer in self._layers
            ]
            self._kept[channel] = scipy.fft.fft2(through[0]), through[1:]
        return self._kept[channel]

    def _through(
        self, first: C64, above: list[C64], at: tuple[float, float], wavelength: float
    ) -> C64:
        """Spectrum of the light above the last layer, seen from z = 0, without its tilt."""
        spectrum, height = first, self._layers[0].z_um
        for layer, transmission in zip(self._layers[1:], above, strict=True):
            way = self._free(layer.z_um - height, at, wavelength)
            light = scipy.fft.ifft2(spectrum * way, overwrite_x=True) * transmission
            spectrum, height = scipy.fft.fft2(light, overwrite_x=True), layer.z_um
        return spectrum * self._free(-height, at, wavelength) if height else spectrum

    def _free(self, travel_um: float, at: tuple[float, float], wavelength: float) -> C64:
        f2 = (self._fy + at[0]) ** 2 + (self._fx + at[1]) ** 2
        n = self._scope.index
        axial = np.sqrt(np.maximum(n * n - wavelength**2 * f2, 0.0))
        return np.exp(2j * np.pi / wavelength * travel_um * axial).astype(np.complex64)

    def _pupil(self, channel: int, z_um: float, at: tuple[float, float], wavelength: float) -> C64:
        scale = wavelength / self._scope.na
        rho2 = ((self._fy + at[0]) ** 2 + (self._fx + at[1]) ** 2) * scale**2
        inside = rho2 <= 1.0
        pupil = np.zeros(rho2.shape, np.complex64)
        pupil[inside] = np.exp(
            1j * pupil_phase(self._scope, channel, self._slide, z_um, rho2[inside])
        )
        return pupil

    def _smeared(self, total: F32, channel: int, z_um: float) -> F32:
        """Each cell's own shift of the picture, dz * d(tan), taken as at half the aperture."""
        z_um = z_um - self._scope.axial_colour[channel] * self._slide.axial_um
        sine = 0.5 * self._scope.condenser * self._scope.na / self._scope.index
        way = abs(z_um) * self._cell * self._scope.na / (1.0 - sine**2) ** 1.5
        blur = np.sinc(self._fy * way) * np.sinc(self._fx * way)
        return np.asarray(scipy.fft.ifft2(scipy.fft.fft2(total) * blur).real, np.float32)

    def _pixels(self, fine: F32) -> F32:
        h, w = self.shape
        n = OVERSAMPLING
        return np.asarray(fine[: h * n, : w * n].reshape(h, n, w, n).mean((1, 3)), np.float32)


def _aperture(scope: Scope, across: int) -> list[tuple[float, float, float]]:
    """Middles of square cells and how much of each lies in the aperture, in units of the pupil."""
    radius = min(scope.condenser, 1.0)
    fine = 8
    axis: F64 = (np.arange(across * fine) + 0.5) / (across * fine) * 2.0 * radius - radius
    light = scope.light_tilt_na / scope.na
    y, x = np.meshgrid(axis, axis, indexing="ij")
    inside = (y**2 + x**2 <= radius**2) & ((y + light) ** 2 + x**2 <= 1.0)
    cells = inside.reshape(across, fine, across, fine).mean((1, 3))
    middle = axis.reshape(across, fine).mean(1)
    return [
        (float(middle[i]) + light, float(middle[j]), float(cells[i, j]))
        for i in range(across)
        for j in range(across)
        if cells[i, j] > 0.0
    ]
