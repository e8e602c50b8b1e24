"""Photographs as training should see them: never twice with the same spectrum, dyes and contrast.

A handful of sources teaches the DPN their own fine structure, and a dense photograph of another
one then looks more or less blurred than it is. What is changed here is the sharp absorbance,
before the optics: blur, phase and axial colour stay those of the microscope, and so does the truth.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import fft

from simulator.photograph import Photographs

F32 = npt.NDArray[np.float32]
Rng = np.random.Generator

#: share of the draws in which each of these happens
TILTED, DYED, CURVED, LAID, VEILED = 0.6, 0.6, 0.4, 0.25, 0.35
#: exponent on spatial frequency, gain 1 at PIVOT cycles/px; natural pictures differ by as much
SLOPE, PIVOT, LEAST_GAIN, MOST_GAIN = (-0.35, 0.6), 0.08, 0.35, 2.5
DYE_MIX = 0.7  # most of a plane that is a mixture of the others
CURVE = (0.7, 1.5)  # exponent of the absorbance
VEIL = 0.5  # most absorbance of an even background under a dense section


class VariedPhotographs(Photographs):
    """`Photographs` whose every draw is varied at random; for training, never for judging."""

    #: nuclei of a few pixels, as in a photograph taken with a small magnification
    coarsest = 3.5

    def draw(self, rng: Rng, shape: tuple[int, int]) -> list[F32]:
        """As `Photographs.draw`, then changed by `vary`; some are two photographs in one."""
        planes = super().draw(rng, shape)
        if rng.uniform() < LAID:
            share = np.float32(rng.uniform(0.3, 0.7))
            other = super().draw(rng, shape)
            planes = [
                share * one + (np.float32(1.0) - share) * two
                for one, two in zip(planes, other, strict=True)
            ]
        return vary(planes, rng)


def vary(planes: list[F32], rng: Rng) -> list[F32]:
    """Change absorbance in R, G and B (each (h, w) float32, periodic) in its spectrum, its dyes,
    its contrast and its background; the results are new, not negative, and as strong in the mean
    where no background is added."""
    strength = float(np.mean([plane.mean() for plane in planes]))
    if rng.uniform() < TILTED:
        gain = spectral_gain(planes[0].shape, float(rng.uniform(*SLOPE)))
        planes = [_filtered(plane, gain) for plane in planes]
    if rng.uniform() < DYED:
        share = rng.uniform(0.0, DYE_MIX)
        mix = (1.0 - share) * np.eye(3) + share * rng.dirichlet((0.7, 0.7, 0.7), 3)
        planes = [
            np.asarray(sum(np.float32(w) * p for w, p in zip(row, planes, strict=True)))
            for row in mix
        ]
    if rng.uniform() < CURVED:
        power = np.float32(np.exp(rng.uniform(*np.log(CURVE))))
        planes = [np.maximum(plane, 0.0) ** power for plane in planes]
    now = float(np.mean([plane.mean() for plane in planes]))
    scale = np.float32(strength / max(now, 1e-6))
    veil = np.zeros(3)
    if rng.uniform() < VEILED:
        veil = rng.uniform(0.0, VEIL) * rng.uniform(0.2, 1.0, 3)
    return [
        np.asarray(np.maximum(plane * scale, 0.0) + np.float32(background), np.float32)
        for plane, background in zip(planes, veil, strict=True)
    ]


def spectral_gain(shape: tuple[int, ...], slope: float) -> F32:
    """Amplitude gain (f / PIVOT)^slope on the frequencies of `rfft2`; 1 for the mean."""
    h, w = shape
    place = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None, :])
    place[0, 0] = PIVOT
    gain = np.clip((place / PIVOT) ** slope, LEAST_GAIN, MOST_GAIN)
    return np.asarray(gain, np.float32)


def _filtered(plane: F32, gain: F32) -> F32:
    spectrum = fft.rfft2(plane) * gain
    return np.asarray(np.maximum(fft.irfft2(spectrum, s=plane.shape), 0.0), np.float32)
