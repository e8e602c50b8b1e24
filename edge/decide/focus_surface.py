"""Where focus lies along the scan: height and slope, from the fields behind, for the field ahead.

A Kalman filter on [height, slope] over x. Its measurement is z at mid-exposure + defocus, with the
frame's own interval as noise; between fields the surface may roughen (process noise). A reading far
off what was expected is set aside once - dust, a fold, one wrong answer - and believed when the
next one agrees with it: then the specimen has a step, the height jumps there and the slope stays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

SD_PER_INTERVAL = 1 / 1.96  # a 95 % half-width in standard deviations
NO_SLOPE_SD = 5e-3  # um per um, before the slope is known
GATE_SD = 4.0  # a reading farther off than this is set aside once


@dataclass(frozen=True, slots=True)
class SurfaceNoise:
    """How much the surface changes along the scan: height, um per root mm; slope, (um per mm) per
    root mm. The defaults let sections of 1 um relief and bent slides be followed."""

    height_um: float = 0.10
    slope_um_per_mm: float = 0.15


@dataclass(frozen=True, slots=True)
class Expected:
    """Focus height at a place, and the half-width (95 %) within which it is known."""

    z_um: float
    interval_um: float


class Surface(Protocol):
    """What knows where focus lies along a line of the scan: the line itself, from the fields behind
    (FocusSurface), or the map of a whole slide (edge.wsi.map_line)."""

    @property
    def known(self) -> bool:
        """Whether it knows anything."""
        ...

    def at(self, x_um: float) -> Expected:
        """What to expect at `x_um`; infinitely uncertain where it does not know."""
        ...

    def read(self, x_um: float, z_um: float, interval_um: float) -> bool:
        """A reading: focus lies at `z_um`, within `interval_um`. False when it was set aside."""
        ...

    def forget(self) -> None:
        """Another line."""
        ...


class FocusSurface:
    """Along one scan line. x in um, either way; z in um of the stage."""

    def __init__(self, noise: SurfaceNoise = SurfaceNoise()) -> None:
        self._noise = noise
        self.forget()

    def forget(self) -> None:
        """Another line, or another slide: nothing is known."""
        self._x_um: float  # of the newest reading; these three are from the first one on
        self._state: F64
        self._covariance: F64
        self._aside: tuple[float, float, float] | None = None  # x, z, sd
        self.readings = 0

    @property
    def known(self) -> bool:
        """Whether there was a reading."""
        return self.readings > 0

    @property
    def slope_um_per_mm(self) -> float:
        """The slope now; 0 before there are two readings."""
        return 1e3 * float(self._state[1]) if self.known else 0.0

    def at(self, x_um: float) -> Expected:
        """What to expect at `x_um`; infinitely uncertain before the first reading."""
        if not self.known:
            return Expected(math.nan, math.inf)
        state, covariance = self._carried(x_um)
        return Expected(float(state[0]), math.sqrt(float(covariance[0, 0])) / SD_PER_INTERVAL)

    def read(self, x_um: float, z_um: float, interval_um: float) -> bool:
        """A reading: focus lies at `z_um`, within `interval_um`. False when it was set aside.

        ValueError for what is not a number: nothing is learned from a doubt.
        """
        if not (math.isfinite(x_um) and math.isfinite(z_um) and interval_um > 0):
            raise ValueError(f"no reading: z = {z_um} um within {interval_um} um at x = {x_um} um")
        sd = interval_um * SD_PER_INTERVAL
        if not self.known:
            self._begin(x_um, z_um, sd)
            return True
        state, covariance = self._carried(x_um)
        innovation = z_um - float(state[0])
        if abs(innovation) > GATE_SD * math.sqrt(float(covariance[0, 0]) + sd**2):
            return self._far_off(x_um, z_um, sd)
        self._aside = None
        self._correct(x_um, state, covariance, innovation, sd)
        return True

    def _begin(self, x_um: float, z_um: float, sd: float) -> None:
        self._x_um, self._state = x_um, np.array([z_um, 0.0])
        self._covariance = np.diag([sd**2, NO_SLOPE_SD**2])
        self.readings = 1

    def _far_off(self, x_um: float, z_um: float, sd: float) -> bool:
        """Set aside, or a step when the reading before was set aside and agrees."""
        before, self._aside = self._aside, (x_um, z_um, sd)
        if before is None:
            return False
        rise_um = float(self._state[1]) * (x_um - before[0])
        if abs(z_um - before[1] - rise_um) > GATE_SD * math.hypot(sd, before[2], self._walk(x_um)):
            return False
        state, covariance = self._carried(x_um)
        state[0], covariance[0, 1], covariance[1, 0] = z_um, 0.0, 0.0
        covariance[0, 0] = sd**2
        self._x_um, self._state, self._covariance, self._aside = x_um, state, covariance, None
        self.readings += 1
        return True

    def _walk(self, x_um: float) -> float:
        """How far the height may have wandered since the last reading, standard deviation."""
        return self._noise.height_um * math.sqrt(abs(x_um - self._x_um) / 1e3)

    def _carried(self, x_um: float) -> tuple[F64, F64]:
        """State and covariance at `x_um`, with what may have changed on the way there."""
        dx = x_um - self._x_um
        step = np.array([[1.0, dx], [0.0, 1.0]])
        mm = abs(dx) / 1e3
        wander = np.diag([self._noise.height_um**2, (self._noise.slope_um_per_mm / 1e3) ** 2]) * mm
        return step @ self._state, step @ self._covariance @ step.T + wander

    def _correct(
        self, x_um: float, state: F64, covariance: F64, innovation: float, sd: float
    ) -> None:
        gain = covariance[:, 0] / (covariance[0, 0] + sd**2)
        keep = np.eye(2) - np.outer(gain, [1.0, 0.0])
        self._state = state + gain * innovation
        # Joseph's form: stays symmetric and positive over any number of fields
        self._covariance = keep @ covariance @ keep.T + np.outer(gain, gain) * sd**2
        self._x_um = x_um
        self.readings += 1
