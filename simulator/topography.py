"""The height of focus over a simulated slide, by published parameters.

Montalto 2011 (PMC3205523) found nm to several um within 1 mm. Here: a tilt, a bow, relief of two
lengths, a step where a section is cut thicker, and a stand that drifts. All of it is analytic, so
any place and moment may be asked, in any order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
_WAVES = 96  # of a Gaussian field of one length


@dataclass(frozen=True, slots=True)
class TopographyParameters:
    """um and mm. `relief`: (sd, length) each; `roughness` scales relief and step."""

    tilt_um_per_mm: float = 1.0
    bow_um: float = 4.0  # at `size_mm` / 2 from the middle
    relief: tuple[tuple[float, float], ...] = ((0.7, 1.5), (0.3, 0.35))
    step_um: float = 1.5
    drift_um_per_min: float = 0.0
    roughness: float = 1.0
    size_mm: float = 15.0


class Topography:
    """One slide; its middle is (0, 0). Same seed, same slide."""

    def __init__(
        self, seed: int, parameters: TopographyParameters = TopographyParameters()
    ) -> None:
        self.parameters = p = parameters
        rng = np.random.default_rng(seed)
        self._tilt = p.tilt_um_per_mm * _direction(rng)
        self._bow = p.bow_um * rng.choice([-1.0, 1.0]) * _direction(rng) ** 2
        self._step_along, self._step_mm = _direction(rng), rng.uniform(-0.25, 0.25) * p.size_mm
        self._waves = [gaussian_waves(rng, sd, length) for sd, length in p.relief]
        self._tissue = gaussian_waves(rng, 1.0, 2.0)

    def height_um(self, x_um: F64, y_um: F64, minutes: float = 0.0) -> F64:
        """Focus at places (any shape), `minutes` after the beginning."""
        p, x, y = self.parameters, np.asarray(x_um) / 1e3, np.asarray(y_um) / 1e3
        half = p.size_mm / 2
        plane = self._tilt[0] * x + self._tilt[1] * y
        bow = self._bow[0] * (x / half) ** 2 + self._bow[1] * (y / half) ** 2
        relief = sum((sum_of_waves(waves, x, y) for waves in self._waves), np.zeros_like(x))
        beyond = self._step_along[0] * x + self._step_along[1] * y > self._step_mm
        rough = relief + p.step_um * beyond
        return plane + bow + p.roughness * rough + p.drift_um_per_min * minutes

    def tissue(self, x_um: F64, y_um: F64) -> F64:
        """How much a place is tissue; the places above a quantile of it are."""
        return sum_of_waves(self._tissue, np.asarray(x_um) / 1e3, np.asarray(y_um) / 1e3)


Waves = tuple[F64, F64, float]  # wave vectors (n, 2) per mm, phases, amplitude of each


def _direction(rng: np.random.Generator) -> F64:
    angle = rng.uniform(0.0, 2.0 * math.pi)
    return np.array([math.cos(angle), math.sin(angle)])


def gaussian_waves(rng: np.random.Generator, sd: float, length_mm: float) -> Waves:
    """A Gaussian field of that length as a sum of plane waves (random Fourier features)."""
    vectors = rng.normal(0.0, 1.0 / length_mm, (_WAVES, 2))
    return vectors, rng.uniform(0.0, 2.0 * math.pi, _WAVES), sd * math.sqrt(2.0 / _WAVES)


def sum_of_waves(waves: Waves, x: F64, y: F64) -> F64:
    """The field at places (mm) of any shape."""
    vectors, phases, amplitude = waves
    angle = x[..., None] * vectors[:, 0] + y[..., None] * vectors[:, 1] + phases
    total: F64 = amplitude * np.cos(angle).sum(axis=-1)
    return total
