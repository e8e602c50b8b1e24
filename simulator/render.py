"""From specimen to light on the sensor: through-focus intensity, then 8-bit pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft
from scipy.special import ndtri

from edge.measure.sharpness import LUMINANCE
from simulator.optics import NOMINAL, Instrument, SlideOptics, transfer_functions
from simulator.slide import SlideVariation
from simulator.specimen import Layer, Specimen

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
C64 = npt.NDArray[np.complex64]
F64 = npt.NDArray[np.float64]

PHASE_WAVELENGTH_UM = 0.535
#: planes this far apart are blended where the slide is tilted; see `Renderer.intensity`
PLANE_STEP_UM = 0.5
#: light never quite vanishes behind overlapping absorbers (the weak-object sum could go below 0)
DARKEST = 0.01
#: radial samples: computed, and after interpolation (nearest of these is within 0.02 at 25 um)
RADII, FINE_RADII = 320, 8192
STRIP = 64  # rows


@dataclass(slots=True)
class _Spectra:
    z_um: float
    absorption: list[C64]  # spectrum of exp(-A) - 1 in R, G, B; one entry when A is neutral
    phase: C64 | None


class Renderer:
    """Holds a specimen's spectra, so that each z costs one inverse transform per colour.

    A 2048 x 2448 colour frame with one content layer takes about a second on one core and
    100 MB per layer; `workers` threads share the transforms.
    """

    def __init__(
        self,
        specimen: Specimen,
        optics: SlideOptics,
        instrument: Instrument = NOMINAL,
        workers: int = 1,
    ) -> None:
        self.specimen, self.optics, self.instrument = specimen, optics, instrument
        self._workers = workers
        self._shape = specimen.shape
        self._content = [self._spectra(x) for x in specimen.layers if x.content]
        self._above = [self._spectra(x) for x in specimen.layers if not x.content]
        self._index, self._fine, self._frequency = self._radial_grid()

    def intensity(self, delta_um: float, channels: tuple[int, ...] = (0, 1, 2)) -> F32:
        """Relative intensity (h, w, len(channels)) float32, background 1.

        `delta_um` = objective minus best focus of height 0 at the frame's centre. On a tilted
        slide planes 0.5 um apart are rendered and blended linearly.
        """
        low, high = self._tilt_range()
        if high - low < 0.05:
            return self._plane(delta_um - 0.5 * (low + high), channels)
        count = max(2, math.ceil((high - low) / PLANE_STEP_UM) + 1)
        heights = np.linspace(low, high, count)
        rows = np.arange(self._shape[0], dtype=np.float32)[:, None]
        columns = np.arange(self._shape[1], dtype=np.float32)[None, :]
        position = (self.specimen.height_map_um(rows, columns) - np.float32(low)) * np.float32(
            (count - 1) / (high - low)
        )
        out = np.zeros((*self._shape, len(channels)), np.float32)
        for index, height in enumerate(heights):
            plane = self._plane(delta_um - float(height), channels)
            for top in range(0, self._shape[0], STRIP):
                strip = slice(top, top + STRIP)
                share = np.clip(1.0 - np.abs(position[strip] - np.float32(index)), 0.0, 1.0)
                present = np.flatnonzero(share.max(axis=0))
                if len(present):
                    span = slice(present[0], present[-1] + 1)
                    out[strip, span] += share[:, span, None] * plane[strip, span]
        return out

    def luminance(self, delta_um: float) -> F32:
        """Linear luminance (h, w) float32 of the content alone, background 1, at `delta_um` =
        objective minus height 0, as if the slide were not tilted: what sharpness is told by."""
        terms: list[tuple[C64, F32]] = []
        for spectra in self._content:
            tones: dict[int, F32] = {}  # one profile where the absorption is neutral
            toneless: F32 | None = None
            for channel, weight in enumerate(LUMINANCE):
                absorption, phase = transfer_functions(
                    delta_um - spectra.z_um, self._frequency, channel, self.optics, self.instrument
                )
                tone = min(channel, len(spectra.absorption) - 1)
                part = absorption * np.float32(weight)
                tones[tone] = part if tone not in tones else tones[tone] + part
                part = phase * np.float32(weight * self._phase_ratio(channel))
                toneless = part if toneless is None else toneless + part
            terms.extend((spectra.absorption[i], self._finely(p)) for i, p in tones.items())
            if spectra.phase is not None and toneless is not None:
                terms.append((spectra.phase, self._finely(toneless)))
        return np.maximum(self._light(terms), np.float32(DARKEST))

    def _phase_ratio(self, channel: int) -> float:
        return 2.0 * PHASE_WAVELENGTH_UM / self.instrument.wavelength_um[channel]

    def _plane(self, delta_um: float, channels: tuple[int, ...]) -> F32:
        out = np.empty((*self._shape, len(channels)), np.float32)
        for position, channel in enumerate(channels):
            light = self._group(self._content, delta_um, channel)
            for spectra in self._above:  # shadows of other planes multiply
                light *= self._group([spectra], delta_um, channel)
            np.maximum(light, DARKEST, out=out[..., position])
        return out

    def _group(self, group: list[_Spectra], delta_um: float, channel: int) -> F32:
        ratio = np.float32(self._phase_ratio(channel))
        terms: list[tuple[C64, F32]] = []
        for spectra in group:
            absorption, phase = transfer_functions(
                delta_um - spectra.z_um, self._frequency, channel, self.optics, self.instrument
            )
            spectrum = spectra.absorption[min(channel, len(spectra.absorption) - 1)]
            terms.append((spectrum, self._finely(absorption)))
            if spectra.phase is not None:
                terms.append((spectra.phase, self._finely(phase * ratio)))
        return self._light(terms)

    def _light(self, terms: list[tuple[C64, F32]]) -> F32:
        """1 + the sum of spectra times their profiles, in space."""
        total = np.empty_like(terms[0][0])
        for top in range(0, len(total), STRIP):  # a strip stays in the cache
            strip = slice(top, top + STRIP)
            part, index = total[strip], self._index[strip]
            part[:] = 0.0
            for spectrum, profile in terms:
                part += spectrum[strip] * profile.take(index)
        light = fft.irfft2(total, s=self._shape, workers=self._workers, overwrite_x=True)
        light += np.float32(1.0)
        return np.asarray(light, np.float32)

    def _spectra(self, layer: Layer) -> _Spectra:
        neutral = set(layer.dyes) == {"neutral"}
        rgb = layer.absorbance(self.specimen.stain_rgb)
        absorption = [
            fft.rfft2(np.expm1(-plane), workers=self._workers)
            for plane in (rgb[:1] if neutral else rgb)
        ]
        phase = None if layer.phase is None else fft.rfft2(layer.phase, workers=self._workers)
        return _Spectra(layer.z_um, absorption, phase)

    def _radial_grid(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64], F64]:
        """Where each 2-D frequency falls on a fine even radial grid, that grid, and the coarser
        one on which transfer functions are computed."""
        pitch = self.specimen.um_per_px
        fy = fft.fftfreq(self._shape[0], pitch)[:, None]
        fx = fft.rfftfreq(self._shape[1], pitch)[None, :]
        top = 0.7072 / pitch  # the corner of the frequency plane
        table = top * (np.arange(RADII) / (RADII - 1)) ** 1.5  # fine where far defocus rings
        place = np.sqrt(fy**2 + fx**2)
        place *= (FINE_RADII - 1) / top
        # intp: numpy gathers by it without a conversion
        return np.rint(place).astype(np.intp), np.linspace(0.0, top, FINE_RADII), table

    def _finely(self, profile: F32) -> F32:
        """A radial profile from the coarse to the fine grid, to be gathered by `_index`."""
        return np.interp(self._fine, self._frequency, profile).astype(np.float32)

    def _tilt_range(self) -> tuple[float, float]:
        h, w = self._shape
        corners = self.specimen.height_map_um(
            np.array([[0.0], [h - 1.0]], np.float32), np.array([[0.0, w - 1.0]], np.float32)
        )
        return float(corners.min()), float(corners.max())


def expose(intensity: F32, variation: SlideVariation, rng: np.random.Generator) -> U8:
    """Illumination, vignetting, shot and read noise, 8-bit: (h, w, 3) uint8 RGB."""
    h, w = intensity.shape[:2]
    y = np.linspace(-1.0, 1.0, h, dtype=np.float32)[:, None]
    x = np.linspace(-1.0, 1.0, w, dtype=np.float32)[None, :]
    gain = 255.0 / variation.full_well_e  # grey levels per electron
    read = np.float32((variation.read_noise_e * gain) ** 2)
    out = np.empty(intensity.shape, np.uint8)
    for top in range(0, h, STRIP):  # a strip stays in the cache through all of this
        rows = slice(top, top + STRIP)
        fall = 1.0 - np.float32(variation.vignetting) * 0.5 * (y[rows] * y[rows] + x * x)
        signal = intensity[rows] * fall[..., None] * np.array(variation.light_rgb, np.float32)
        sd = np.maximum(signal, 0.0) * np.float32(gain)
        sd += read
        np.sqrt(sd, out=sd)
        sd *= standard_normal(signal.shape, rng)
        signal += sd
        np.rint(signal, out=signal)
        out[rows] = np.clip(signal, 0, 255, out=signal)
    return out


@lru_cache(maxsize=1)
def _quantiles() -> F32:
    """Standard normal quantiles in the middle of 65536 equal shares: to +-4.3 sd."""
    return ndtri((np.arange(65536) + 0.5) / 65536.0).astype(np.float32)


def standard_normal(shape: tuple[int, ...], rng: np.random.Generator) -> F32:
    """Normal noise float32 with 65536 values: eight times faster than drawing it exactly, and
    8-bit pixels cannot tell."""
    count = math.prod(shape)
    draws = rng.integers(0, 2**64, -(-count // 4), np.uint64).view(np.uint16)[:count]
    return _quantiles().take(draws).reshape(shape)
