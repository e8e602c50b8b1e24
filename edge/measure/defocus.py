"""DPN: the signed defocus of each chosen patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.measure.budget import PatchBudget
from edge.measure.importance import Ranked, Sparsity
from edge.measure.preprocess import Cell, Patches, Preprocessor
from engines.engine import Engine
from engines.manifest import EngineRejected, Manifest, OutputNotFinite

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
_NONE = np.empty(0, np.float32)
#: what a DPN may answer, by name: values per patch; the first two it must
SHAPES = {
    "defocus_um": ("k",),
    "spread_um": ("k",),
    "optics": ("k", 4),
    "novelty": ("k",),
    "colour_order": ("k",),
}
NEEDED = ("defocus_um", "spread_um")


@dataclass(frozen=True, slots=True)
class PatchDefocus:
    """One value per chosen patch, best patch first; all arrays float32, (k,) where not said.

    defocus_um: positive = raise the objective; spread_um: half-width of the network's own 68 %
    interval; importance: 0..1. k = 0 on a blank field. NaN where a network's answer was not
    finite (`finite` is False then, also when it was the RIN's).

    optics: (k, 4), the slide's spherical aberration W040 in waves, its standard deviation, the
    axial colour in um, its standard deviation; novelty: about 1 on patches like those trained
    on; colour_order: log of the odds that red and blue are the right way round. None where the
    network does not tell, was not run, or was not finite.

    centroid: mean row and column of all patches with content, chosen or not; None without any;
    left_out: how many with content were not measured although 31 could be, by rule or for want of
    time: these are the best of more, and agree better than all would.
    """

    defocus_um: F32
    spread_um: F32
    importance: F32
    cells: tuple[Cell, ...]
    sparsity: Sparsity
    finite: bool
    optics: F32 | None = None
    novelty: F32 | None = None
    centroid: tuple[float, float] | None = None
    left_out: int = 0
    colour_order: F32 | None = None


#: whether what was measured so far is good enough
Enough = Callable[[PatchDefocus], bool]


class Defocus:
    """The DPN on the patches that the RIN chose (paper section 4.2)."""

    def __init__(
        self, engine: Engine, preprocessor: Preprocessor, budget: PatchBudget | None = None
    ) -> None:
        """EngineRejected when the network's outputs are not a DPN's."""
        self._engine = engine
        self._preprocessor = preprocessor
        self.budget = budget or PatchBudget(None)
        self._names = output_names(engine.manifest)

    def __call__(
        self, patches: Patches, ranked: Ranked, enough: Enough | None = None
    ) -> PatchDefocus:
        """Measure `ranked.cells`, or the first of them when the budget ends there or `enough` says
        so of what was measured; nothing is run on a blank field."""
        if not ranked.k:
            return self._of(dict.fromkeys(NEEDED, _NONE), ranked)
        parts: list[tuple[F32, ...]] = []
        first = 0
        for last in self.budget.groups(ranked.k, stepwise=enough is not None):
            if parts and not self.budget.fits(last - first):
                break
            self.budget.begin()
            try:
                cells = ranked.cells[first:last]
                parts.append(self._engine.infer(self._preprocessor.gather(patches, cells)))
            except OutputNotFinite:
                return self._of(self._nothing(ranked.k), ranked)
            self.budget.learn(last - first)
            first = last
            if enough is not None and last < ranked.k and enough(self._joined(parts, ranked)):
                break
        return self._joined(parts, ranked)

    def through(self, preprocessor: Preprocessor) -> Defocus:
        """The same network, patches from another preprocessor."""
        return Defocus(self._engine, preprocessor, self.budget)

    def again(self, patches: U8) -> Mapping[str, F32]:
        """The DPN's answers, by name, on other pictures of patches: (n, 224, 224, 3) uint8 RGB, at
        most 31. NaN where they are not finite."""
        try:
            answers = self._engine.infer(patches)
        except OutputNotFinite:
            return self._nothing(len(patches))
        return {name: np.array(one) for name, one in zip(self._names, answers, strict=True)}

    def _joined(self, parts: list[tuple[F32, ...]], ranked: Ranked) -> PatchDefocus:
        columns = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        return self._of(dict(zip(self._names, columns, strict=True)), ranked)

    @staticmethod
    def _nothing(k: int) -> dict[str, F32]:
        return dict.fromkeys(NEEDED, np.full(k, np.nan, np.float32))

    @staticmethod
    def _of(answer: Mapping[str, F32], ranked: Ranked) -> PatchDefocus:
        k = len(answer[NEEDED[0]])
        finite = ranked.finite and all(bool(np.isfinite(each).all()) for each in answer.values())
        return PatchDefocus(
            answer["defocus_um"],
            answer["spread_um"],
            ranked.importance[:k],
            ranked.cells[:k],
            ranked.sparsity,
            finite,
            answer.get("optics"),
            answer.get("novelty"),
            ranked.centroid,
            ranked.left_out + ranked.k - k,
            answer.get("colour_order"),
        )


def output_names(manifest: Manifest) -> tuple[str, ...]:
    """The outputs' names in the engine's order; EngineRejected when they are not a DPN's. Unknown
    ones are ignored: they harm nothing."""
    shapes = {output.name: output.shape for output in manifest.outputs}
    for name, shape in SHAPES.items():
        if name in NEEDED and name not in shapes:
            raise EngineRejected(f"{manifest.file}: has no output {name}")
        actual = tuple("k" if size == -1 else size for size in shapes.get(name, shape))
        if actual != shape:
            raise EngineRejected(f"{manifest.file}: {name} has shape {actual}, not {shape}")
    return tuple(output.name for output in manifest.outputs)
