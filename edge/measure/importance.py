"""RIN: which of the 81 patches hold content, how sparse the field is, and which k to measure.

The class rule is ours (the paper names the classes and their k, section 4.4, not how to tell
them at run time): n = patches with importance above p. So is measuring every one of them, up to 31:
in a thick section each lies at a height of its own, and the paper's 9 or 3 best are a poor draw
from them (docs/decisions/0010-measure-all-that-holds-content.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from edge.measure.preprocess import MAX_PATCHES, Cell, Inside, Patches
from engines.engine import Engine
from engines.manifest import OutputNotFinite


class Sparsity(str, Enum):
    """How much of the field holds content."""

    DENSE = "dense"
    SPARSE = "sparse"
    EX_SPARSE = "ex-sparse"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class ClassRule:
    """The class by n: dense from `dense` on, sparse from `sparse` on, ex-sparse from 1 on.

    k = min(n, dense) with `every`; without, the paper's: dense, sparse, or min(n, ex_sparse).
    """

    threshold: float = 0.8
    dense: int = MAX_PATCHES
    sparse: int = 9
    ex_sparse: int = 3
    every: bool = True

    def classify(self, n: int) -> tuple[Sparsity, int]:
        """The class and k for `n` patches above the threshold."""
        if n >= self.dense:
            return Sparsity.DENSE, self.dense
        if n >= self.sparse:
            return Sparsity.SPARSE, n if self.every else self.sparse
        if n >= 1:
            return Sparsity.EX_SPARSE, n if self.every else min(self.ex_sparse, n)
        return Sparsity.BLANK, 0

    @property
    def k_by_class(self) -> tuple[int, int, int]:
        """k alone, as the kernel takes it (engines/kernels/select.cu): k = the first for n from the
        first on, the second for n from the second on, below min(n, the third)."""
        if self.every:
            return self.dense, self.dense, self.dense
        return self.dense, self.sparse, self.ex_sparse

    def left_out(self, n: int, k: int) -> int:
        """How many of `n` patches above the threshold are not among the `k`, though 31 could be."""
        return min(n, self.dense) - k

    def centroid(self, scores: npt.NDArray[np.float32]) -> tuple[float, float] | None:
        """Mean row and column of the patches above the threshold; None without any."""
        rows, columns = np.nonzero(scores > self.threshold)
        return (float(rows.mean()), float(columns.mean())) if len(rows) else None


@dataclass(frozen=True, slots=True)
class Ranked:
    """The chosen patches, best first.

    scores: (9, 9), or the model's grid, float32 in 0..1, NaN everywhere when the network failed
    on this frame;
    cells: k pairs (row, column); importance: (k,) float32, the scores of `cells`;
    centroid: mean row and column of all patches with content, chosen or not; None without any;
    left_out: how many with content were not chosen although 31 could be (`ClassRule.every` False).
    """

    scores: npt.NDArray[np.float32]
    sparsity: Sparsity
    k: int
    cells: tuple[Cell, ...]
    importance: npt.NDArray[np.float32]
    centroid: tuple[float, float] | None = None
    left_out: int = 0

    @property
    def finite(self) -> bool:
        """False when the network answered NaN or infinity: then k is 0."""
        return bool(np.isfinite(self.scores).all())


class Importance:
    """The RIN and the choice."""

    def __init__(self, engine: Engine, rule: ClassRule) -> None:
        self._engine = engine
        self._rule = rule

    def __call__(self, patches: Patches) -> npt.NDArray[np.float32]:
        """(9, 9), or the model's grid, float32 importance in 0..1; all NaN when the network's
        answer is not finite."""
        grid = self._engine.manifest.preprocessing.grid
        try:
            scores = self._engine.infer(patches.small)[0].reshape(grid)
        except OutputNotFinite:
            return np.full(grid, np.nan, np.float32)
        return scores if patches.inside is None else _inside(scores, patches.inside)

    def rank(self, scores: npt.NDArray[np.float32]) -> Ranked:
        """Class and top k; equal scores keep reading order. No patch is chosen on NaN."""
        n = int(np.count_nonzero(scores > self._rule.threshold))
        n = n if np.isfinite(scores).all() else 0
        sparsity, k = self._rule.classify(n)
        flat = scores.reshape(-1)
        best = np.argsort(-flat, kind="stable")[:k]
        columns = scores.shape[1]
        cells = tuple((int(i) // columns, int(i) % columns) for i in best)
        centroid, left_out = self._rule.centroid(scores), self._rule.left_out(n, k)
        return Ranked(scores, sparsity, k, cells, flat[best], centroid, left_out)


def _inside(scores: npt.NDArray[np.float32], inside: Inside) -> npt.NDArray[np.float32]:
    """Nothing is of importance where the frame has no picture."""
    there = tuple(slice(*each) for each in inside)
    only = np.zeros_like(scores)
    only[there] = scores[there]
    return only
