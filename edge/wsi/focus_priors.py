"""What is believed of a slide's surface before it is measured: four answers behind one contract.

A plane, a spline, a thin plate and a Gaussian process are the same thing here: a covariance between
the heights of two places, from which `edge.wsi.focus_map` interpolates, and says how sure it is.
Each holds a weak belief in a tilted plane. Places are mm from the middle of the map, heights um.
`roughness` scales what is believed beyond the plane; docs/whole_slide.md has the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

PLANE_UM = 30.0  # sd of the height in the middle
PLANE_UM_PER_MM = 3.0  # sd of the tilt along x and along y


class Prior(Protocol):
    """A belief."""

    @property
    def name(self) -> str:
        """As a config or a map's file says it."""
        ...

    @property
    def relief_um(self) -> float:
        """Sd of what lies beside this surface at any place, and tells nothing of another."""
        ...

    def covariance(self, a: F64, b: F64) -> F64:
        """um^2 between places (n, 2) and (m, 2): (n, m)."""
        ...


def plane_covariance(a: F64, b: F64) -> F64:
    """Of a tilted plane."""
    return PLANE_UM**2 + PLANE_UM_PER_MM**2 * (a @ b.T)


def _distance(a: F64, b: F64) -> F64:
    return np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1])


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane and nothing else: all relief is noise to it."""

    relief_um: float = 1.0
    name = "plane"

    def covariance(self, a: F64, b: F64) -> F64:
        """See Prior."""
        return plane_covariance(a, b)


@dataclass(frozen=True, slots=True)
class GaussianProcess:
    """A plane, a sagging slide, and relief of two lengths (Matern 3/2).

    Lengths in mm, amplitudes in um; `bow_um_per_mm2`: sd of the coefficients of x^2, y^2, xy.
    """

    roughness: float = 1.0
    coarse_um: float = 1.0
    coarse_mm: float = 1.5
    fine_um: float = 0.4
    fine_mm: float = 0.4
    bow_um_per_mm2: float = 0.1
    relief_um: float = 0.05
    name = "gaussian-process"

    def covariance(self, a: F64, b: F64) -> F64:
        """See Prior."""
        distance = _distance(a, b)
        relief = self.coarse_um**2 * _matern(distance, self.coarse_mm)
        relief += self.fine_um**2 * _matern(distance, self.fine_mm)
        bow = self.bow_um_per_mm2**2 * (_squares(a) @ _squares(b).T)
        return plane_covariance(a, b) + bow + self.roughness**2 * relief


def _matern(distance: F64, length: float) -> F64:
    scaled = math.sqrt(3.0) * distance / length
    return (1.0 + scaled) * np.exp(-scaled)


def _squares(a: F64) -> F64:
    return np.stack([a[:, 0] ** 2, a[:, 1] ** 2, a[:, 0] * a[:, 1]], axis=1)


#: three places beside which a thin plate's bending is counted (Wahba 1990, 2.4): any will do
_NAILS_MM = 6.0 * np.array([[math.cos(t), math.sin(t)] for t in (0.5, 2.6, 4.7)])


@dataclass(frozen=True, slots=True)
class ThinPlate:
    """A plate that resists bending: the usual interpolation between key points, with an answer to
    how sure it is. `bending_um_per_mm`: how readily it bends."""

    roughness: float = 1.0
    bending_um_per_mm: float = 1.0
    relief_um: float = 0.2
    name = "thin-plate"

    def covariance(self, a: F64, b: F64) -> F64:
        """See Prior. r^2 log r is no covariance by itself; what is left of it after a plane
        through three nails is taken out of both sides is one."""
        pa, pb = _through_nails(a), _through_nails(b)
        nails = _NAILS_MM
        kernel = _bending(a, b) - pa @ _bending(nails, b) - _bending(a, nails) @ pb.T
        kernel += pa @ _bending(nails, nails) @ pb.T
        scale = (self.roughness * self.bending_um_per_mm) ** 2
        return plane_covariance(a, b) + scale * kernel


def _bending(a: F64, b: F64) -> F64:
    squared = _distance(a, b) ** 2
    return 0.5 * squared * np.log(np.maximum(squared, 1e-30))


def _through_nails(a: F64) -> F64:
    """Of each place, the weights by which a plane's heights at the nails give its height there."""
    corners = np.column_stack([np.ones(3), _NAILS_MM])
    weights: F64 = np.column_stack([np.ones(len(a)), a]) @ np.linalg.inv(corners)
    return weights


KNOT_MM = 1.5
_HALF_MM = 18.0  # a slide is 75 x 25 mm; its scanned part is less than 36 x 36


@dataclass(frozen=True, slots=True)
class Spline:
    """A cubic spline on a lattice of KNOT_MM whose second differences are penalised (P-spline).

    `bending_um`: sd of a second difference of neighbouring knots. Places farther than 18 mm from
    the middle are taken to lie on the edge.
    """

    roughness: float = 1.0
    bending_um: float = 0.8
    relief_um: float = 0.3
    name = "spline"

    def covariance(self, a: F64, b: F64) -> F64:
        """See Prior."""
        scale = (self.roughness * self.bending_um) ** 2
        return plane_covariance(a, b) + scale * (_hats(a) @ _knots() @ _hats(b).T)


@lru_cache(maxsize=1)
def _knots() -> F64:
    """Covariance of the lattice's coefficients for a unit of bending."""
    count = _count()
    eye = np.eye(count)
    second = np.diff(eye, 2, axis=0)
    bends = second.T @ second
    precision = np.kron(bends, eye) + np.kron(eye, bends) + 1e-3 * np.eye(count * count)
    return np.asarray(np.linalg.inv(precision), dtype=np.float64)


def _count() -> int:
    return round(2 * _HALF_MM / KNOT_MM) + 3


def _hats(a: F64) -> F64:
    """Cubic B-splines at places: (n, knots in x times knots in y)."""
    x, y = (_one_way(a[:, axis]) for axis in (0, 1))
    return (x[:, :, None] * y[:, None, :]).reshape(len(a), -1)


def _one_way(mm: F64) -> F64:
    at = (np.clip(mm, -_HALF_MM, _HALF_MM) + _HALF_MM) / KNOT_MM + 1.0
    far = np.abs(at[:, None] - np.arange(_count())[None, :])
    near = 2.0 / 3.0 - far**2 + far**3 / 2.0
    return np.where(far < 1.0, near, np.maximum(2.0 - far, 0.0) ** 3 / 6.0)


PRIORS: dict[str, type[Plane] | type[GaussianProcess] | type[ThinPlate] | type[Spline]] = {
    "plane": Plane,
    "spline": Spline,
    "thin-plate": ThinPlate,
    "gaussian-process": GaussianProcess,
}
