"""Transfer functions of a partially coherent bright-field microscope, summed on a square grid.

For a weak object the picture is linear in what it absorbs and in its phase. The sum over the
condenser's aperture is a correlation of two pupils, here taken by FFT on a Cartesian grid of the
pupil's plane, so that any aberration and an illumination off the axis cost nothing extra. Born
and Wolf, Principles of Optics, 10.5.3; Streibl, J. Opt. Soc. Am. A 2, 1985.

With t = exp(-a / 2 + i phi), field propagating as exp(+i k z): I = 1 - Ha a + Hp phi. An object
that retards light (phi > 0) has a bright middle where the objective is too high, as the Becke
line has it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.sparse

from training.judge.instrument import GREEN_UM, Scope, Slide

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
C64 = npt.NDArray[np.complex64]

#: points across the pupil: in focus, and more for each nominal um of defocus (finer rings)
POINTS, POINTS_PER_UM, MOST_POINTS = 96, 17.0, 1200


def pupil_phase(scope: Scope, channel: int, slide: Slide, z_um: float, rho2: F64) -> F64:
    """Phase (rad) of the pupil at squared radii `rho2` (1 = the edge), the objective `z_um` above
    the plane that it looks at when in focus in green."""
    wavelength = scope.wavelength_um[channel]
    defocus_um = z_um - scope.axial_colour[channel] * slide.axial_um
    sine2 = np.minimum((scope.na / scope.index) ** 2 * rho2, 1.0)
    axial = scope.index * defocus_um * np.sqrt(1.0 - sine2)
    spherical = slide.w040_waves * GREEN_UM * (rho2 * rho2 - rho2)
    return np.asarray(2.0 * np.pi / wavelength * (axial + spherical))


@lru_cache(maxsize=12)
def _grid(points: int, condenser: float, light: float) -> tuple[int, F64, F32, F32]:
    """Size of the grid, squared radii, and how much of each cell pupil and source cover."""
    size = scipy.fft.next_fast_len(int(points * (1.0 + condenser + abs(light)) + 4))
    step = 2.0 / points
    axis = (np.arange(size) - size // 2) * step
    y, x = axis[:, None], axis[None, :]
    rho2 = y * y + x * x

    def disc(distance: F64, radius: float) -> F32:
        return np.clip((radius - distance) / step + 0.5, 0.0, 1.0).astype(np.float32)

    pupil = disc(np.sqrt(rho2), 1.0)
    source = disc(np.hypot(y - light, x), condenser) * pupil
    return size, np.minimum(rho2, 1.1), pupil, source


def transfer(
    scope: Scope, channel: int, slide: Slide, z_um: float
) -> tuple[float, C64 | F32, C64 | F32]:
    """Frequency step (cycles per um) of a square grid with zero in its middle, and on it Ha and
    Hp, real where the illumination is centred."""
    points = int(POINTS + POINTS_PER_UM * (abs(z_um) / scope.axial_unit + 1.0))
    points = 32 * -(-min(points, MOST_POINTS) // 32)  # few grids, kept
    light = scope.light_tilt_na / scope.na
    _, rho2, pupil, source = _grid(points, min(scope.condenser, 1.0), light)
    phase = pupil_phase(scope, channel, slide, z_um, rho2).astype(np.float32)
    field = pupil * np.exp(1j * phase).astype(np.complex64)
    lit = scipy.fft.fft2(field * source, overwrite_x=True)
    whole = scipy.fft.fft2(field, overwrite_x=True)
    # sum over p of conj(S P)(p) P(p + f), at lag f
    product = scipy.fft.ifft2(np.conj(lit) * whole, overwrite_x=True)
    there = np.fft.fftshift(product) / np.float32(np.sum(source * pupil))
    step = 2.0 / points * scope.na / scope.wavelength_um[channel]
    if light == 0.0:
        return step, np.ascontiguousarray(there.real), np.ascontiguousarray(-2.0 * there.imag)
    back = np.conj(_reversed(there))
    return step, (there + back) * np.float32(0.5), np.complex64(1j) * (there - back)


def _reversed(grid: C64) -> C64:
    """The grid at -f."""
    turned = grid[::-1, ::-1]
    roll = [1 - side % 2 for side in grid.shape]
    return np.roll(turned, roll, (0, 1))


class FrequencyGrid:
    """From a transfer function's own grid to the frequencies of a frame's real FFT."""

    def __init__(self, shape: tuple[int, int], um_per_px: float) -> None:
        self._axes = (
            scipy.fft.fftfreq(shape[0], um_per_px),
            scipy.fft.rfftfreq(shape[1], um_per_px),
        )
        self._um_per_px = um_per_px
        self._weights: dict[tuple[int, float], tuple[scipy.sparse.csr_array, ...]] = {}

    def __call__(self, step: float, values: C64 | F32) -> C64 | F32:
        """(h, w // 2 + 1), with the blur of a square pixel."""
        key = values.shape[0], step
        if key not in self._weights:
            if len(self._weights) > 60:
                self._weights.clear()
            self._weights[key] = tuple(self._cubic(axis, *key) for axis in self._axes)
        rows, columns = self._weights[key]
        return np.asarray(rows @ np.ascontiguousarray((columns @ values.T).T))

    def _cubic(self, axis: F64, size: int, step: float) -> scipy.sparse.csr_array:
        """Weights of the four nearest points (Lagrange) times the pixel's sinc; 0 outside."""
        place = axis / step + size // 2
        first = np.floor(place).astype(int) - 1
        t = place - first - 1.0
        weights = np.stack([
            -t * (t - 1) * (t - 2) / 6, (t + 1) * (t - 1) * (t - 2) / 2,
            -(t + 1) * t * (t - 2) / 2, (t + 1) * t * (t - 1) / 6,
        ], axis=1)  # fmt: skip
        inside = (first >= 0) & (first + 3 < size)
        weights *= (np.sinc(axis * self._um_per_px) * inside)[:, None]
        columns = np.clip(first[:, None] + np.arange(4), 0, size - 1)
        rows = np.repeat(np.arange(len(axis)), 4)
        flat = weights.ravel().astype(np.float32)
        return scipy.sparse.csr_array((flat, (rows, columns.ravel())), shape=(len(axis), size))


def absorption_focus_um(scope: Scope, slide: Slide) -> float:
    """Height at which green absorption, in equal strength at all frequencies of the pupil's
    coherent half, is pictured with the most energy: where spherical aberration is balanced."""
    heights = np.arange(-1.0, 1.01, 0.2) * (0.75 / scope.na) ** 2
    energy = []
    for z_um in heights:
        step, absorption, _ = transfer(scope, 1, slide, float(z_um))
        middle = absorption.shape[0] // 2
        reach = min(int(scope.na / GREEN_UM / step), middle - 1)
        part = absorption[middle - reach : middle + reach + 1, middle - reach : middle + reach + 1]
        energy.append(float(np.sum(np.abs(part) ** 2)) * step * step)
    return vertex(heights, np.array(energy))


def vertex(heights: F64, values: F64) -> float:
    """Where a parabola through the highest of evenly spaced values and its two neighbours has
    its top; the end itself where the highest is at an end."""
    best = int(np.argmax(values))
    if not 0 < best < len(values) - 1:
        return float(heights[best])
    low, mid, high = values[best - 1 : best + 2]
    bend = low - 2.0 * mid + high
    shift = 0.0 if bend >= 0 else 0.5 * (low - high) / bend
    return float(heights[best] + shift * (heights[best + 1] - heights[best]))
