"""Which readings of a map are believed: closed-form leave-one-out.

With K the covariance of all readings, a reading differs from what the others say by
[K^-1 z]_i / [K^-1]_ii, with variance 1 / [K^-1]_ii (Rasmussen and Williams 2006, 5.4.2). The worst
is dropped while it is more than `GATE_SD` off. Two neighbours that agree with each other against
the rest are no accident but a step or a fold: neither is ever dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

GATE_SD = 4.0
BOTH_OFF_SD = 2.0  # of a pair that agrees, each is at least this far off
LEAST_KEPT = 8


@dataclass(frozen=True, slots=True)
class Judged:
    """`kept`: indices of the readings that are believed; of each of them `off_um` from what the
    others say, and `sd_um` of that; `inverse`: K^-1 of those kept."""

    kept: I64
    off_um: F64
    sd_um: F64
    inverse: F64

    @property
    def doubtful(self) -> I64:
        """Kept, and yet beyond the gate: they agree with a neighbour, or there are too few."""
        return self.kept[np.abs(self.off_um) > GATE_SD * self.sd_um]


def judge(z_um: F64, covariance: F64, distance_um: F64, neighbour_um: float) -> Judged:
    """All readings at once, from the beginning: an older verdict does not bind.

    `covariance`: of the readings, noise included; `distance_um` between them; nearer than
    `neighbour_um` are neighbours.
    """
    kept = np.arange(len(z_um))
    while True:
        inverse = np.asarray(np.linalg.inv(covariance[np.ix_(kept, kept)]), dtype=np.float64)
        weights = inverse @ z_um[kept]
        precision = np.array(np.diag(inverse), dtype=np.float64)
        judged = Judged(kept, weights / precision, np.power(precision, -0.5), inverse)
        if len(kept) <= LEAST_KEPT:
            return judged
        near = distance_um[np.ix_(kept, kept)] <= neighbour_um
        worst = _worst(judged, weights, near)
        if worst is None:
            return judged
        kept = np.delete(kept, worst)


def _worst(judged: Judged, weights: F64, near: npt.NDArray[np.bool_]) -> int | None:
    """The reading farthest off that no neighbour agrees with."""
    off = np.abs(judged.off_um) / judged.sd_um
    for i in np.argsort(-off):
        if not off[i] > GATE_SD:
            return None
        others = [int(j) for j in np.flatnonzero(near[i]) if j != i]
        if not any(_agree(int(i), j, judged.inverse, weights) for j in others):
            return int(i)
    return None


def _agree(i: int, j: int, inverse: F64, weights: F64) -> bool:
    """Whether two readings, both left out, differ from the others in the same way."""
    pair = np.array([i, j])
    covariance = np.linalg.inv(inverse[np.ix_(pair, pair)])
    off = covariance @ weights[pair]
    sd = np.sqrt(np.diag(covariance))
    apart_sd = np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))
    return bool(
        off[0] * off[1] > 0
        and (np.abs(off) >= BOTH_OFF_SD * sd).all()
        and abs(off[0] - off[1]) <= GATE_SD * apart_sd
    )
