"""DPN: the signed defocus of each chosen patch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.importance import Ranked, Sparsity
from edge.preprocess import Cell, Patches, Preprocessor
from engines.engine import Engine
from engines.manifest import OutputNotFinite

F32 = npt.NDArray[np.float32]
_NONE = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True)
class PatchDefocus:
    """One value per chosen patch, best patch first; all arrays (k,) float32.

    defocus_um: positive = raise the objective; spread_um: half-width of the network's own 68 %
    interval; importance: 0..1. k = 0 on a blank field. NaN where a network's answer was not
    finite (`finite` is False then, also when it was the RIN's).
    """

    defocus_um: F32
    spread_um: F32
    importance: F32
    cells: tuple[Cell, ...]
    sparsity: Sparsity
    finite: bool


class Defocus:
    """The DPN on the patches that the RIN chose (paper section 4.2)."""

    def __init__(self, engine: Engine, preprocessor: Preprocessor) -> None:
        self._engine = engine
        self._preprocessor = preprocessor

    def __call__(self, patches: Patches, ranked: Ranked) -> PatchDefocus:
        """Measure `ranked.cells`; nothing is run on a blank field."""
        defocus, spread = self._infer(patches, ranked) if ranked.k else (_NONE, _NONE)
        finite = ranked.finite and bool(np.isfinite(defocus).all() and np.isfinite(spread).all())
        return PatchDefocus(
            defocus, spread, ranked.importance, ranked.cells, ranked.sparsity, finite
        )

    def _infer(self, patches: Patches, ranked: Ranked) -> tuple[F32, F32]:
        try:
            defocus, spread = self._engine.infer(self._preprocessor.gather(patches, ranked.cells))
        except OutputNotFinite:
            unknown = np.full(ranked.k, np.nan, np.float32)
            return unknown, unknown
        return defocus, spread
