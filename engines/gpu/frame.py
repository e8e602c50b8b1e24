"""A whole frame on the GPU: pixels in, one small struct out.

    copy -> prepare -> RIN -> select -> gather -> DPN -> collect -> copy back

The host waits once. How many patches a frame has is known only on the GPU, so the DPN runs on as
many as the last frame needed; when the struct says that this one needs more, the second half is
run again with room for them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.errors import EngineRejected, GpuFailed
from engines.gpu.cuda import Cuda, Pinned, Repeated
from engines.gpu.tensorrt_engine import TensorRtEngine
from engines.kernels.launch import COLLECT, FORMATS, MASK, SELECT
from engines.kernels.result import RESULT

MEMORY = ("copy", "mapped")
STAGES = ("copy", "preprocess", "rin", "select", "gather", "dpn", "collect")


@dataclass(frozen=True, slots=True)
class ResampledCrop:
    """Of each row and column of the crop: the frame's first pixel, then the weights, (2016, 1 +
    taps) int32 each; `inside`: rows and columns of patches, each from..to, that the frame holds."""

    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    inside: tuple[tuple[int, int], tuple[int, int]]

    @property
    def kind(self) -> tuple[Any, ...]:
        """What differs from crop to crop."""
        return self.rows.tobytes(), self.columns.tobytes(), self.inside


@dataclass(frozen=True, slots=True)
class View:
    """A frame as kernels see it: `pixels` C-contiguous uint8, rows first; `pixel_format` by its
    GenICam name; `left`, `top`: of the crop, px; `resampled`: how the crop is made of a frame of
    another pixel size or size, None = it is a part of it."""

    pixels: npt.NDArray[np.uint8]
    pixel_format: str
    width: int
    left: int
    top: int
    resampled: ResampledCrop | None = None

    @property
    def kind(self) -> tuple[Any, ...]:
        """What must not change while the same memory and graphs are used."""
        own = self.pixels.shape, self.pixel_format, self.width, self.left, self.top
        return own if self.resampled is None else (*own, self.resampled.kind)


@dataclass(frozen=True, slots=True)
class ChoiceRule:
    """When a patch counts, and how many are measured:
    edge.measure.importance.ClassRule.k_by_class."""

    threshold: float
    dense: int
    sparse: int
    ex_sparse: int


class GpuFrame:
    """Both networks and the kernels on one stream; closes neither.

    `memory`: "copy" moves each frame to the GPU's memory, "mapped" lets the kernels read it in the
    host's, which on a Jetson is the same chips; measure which is faster (`sparsefocus selftest`).
    """

    def __init__(
        self, cuda: Cuda, rin: TensorRtEngine, dpn: TensorRtEngine, rule: ChoiceRule,
        memory: str = "copy", graphs: bool = True,
    ) -> None:  # fmt: skip
        if memory not in MEMORY:
            raise ValueError(f"frame memory {memory!r} must be one of {MEMORY}")
        self._cuda, self._rin, self._dpn, self._rule = cuda, rin, dpn, rule
        self._memory, self._use_graphs = memory, graphs
        self._result = cuda.allocate(RESULT.itemsize)
        self._back = cuda.pin(RESULT.itemsize)
        self._kind: tuple[Any, ...] | None = None
        self._pinned: Pinned | None = None
        self._device = 0
        self._work: dict[tuple[str, int], Repeated] = {}
        self._slots = min(dpn.sizes)
        self._tables: list[int | Pinned] = []
        self._inside: tuple[tuple[int, int], tuple[int, int]] | None = None
        self._mark: Callable[[str], None] = _nothing

    def __call__(self, view: View) -> np.void:
        """One frame; a copy of its struct (engines.kernels.result.RESULT). GpuFailed."""
        self._take(view)
        return self._finish(lambda name, slots: self._work_for(name, slots)())

    def timed(self, view: View) -> tuple[np.void, dict[str, float]]:
        """One frame enqueued plainly with events between: its struct, and ms on the GPU by stage
        (STAGES; what was run again counts to it)."""
        marks = [("", self._cuda.event())]
        self._take(view)
        self._mark = lambda name: marks.append((name, self._cuda.event()))
        try:
            result = self._finish(lambda name, slots: self._enqueue(name, slots))
        finally:
            self._mark = _nothing
        spent = dict.fromkeys(STAGES, 0.0)
        for (_, before), (name, after) in itertools.pairwise(marks):
            spent[name] += float(after.time_since(before))
        return result, spent

    @property
    def graph(self) -> str:
        """ "graph", or why work is enqueued plainly; of the frames seen so far."""
        reasons = {work.refused for work in self._work.values() if work.refused}
        if reasons:
            return "plain: " + "; ".join(sorted(reasons))
        return "graph" if any(work.is_graph for work in self._work.values()) else "plain: new"

    def _finish(self, run: Callable[[str, int], None]) -> np.void:
        run("frame", self._slots)
        self._cuda.synchronize()
        result = np.frombuffer(self._back.array.tobytes(), RESULT)[0]
        wanted = int(result["k"])
        if wanted > max(self._dpn.sizes) or wanted < 0:
            raise GpuFailed(f"the GPU chose {wanted} patches: its answer is not to be trusted")
        slots = self._dpn.size_for(wanted)
        if wanted > self._slots:
            run("patches", slots)
            self._cuda.synchronize()
            result = np.frombuffer(self._back.array.tobytes(), RESULT)[0]
        self._slots = slots
        return result

    def _take(self, view: View) -> None:
        """The frame's pixels to where the GPU will read them."""
        if view.kind != self._kind:
            self._prepare_for(view)
        assert self._pinned is not None
        np.copyto(self._pinned.array, view.pixels.reshape(-1))

    def _prepare_for(self, view: View) -> None:
        if view.pixel_format not in FORMATS:
            raise EngineRejected(f"the GPU has no kernels for {view.pixel_format}")
        self._cuda.forget(list(self._work.values()))
        self._work.clear()
        mapped = self._memory == "mapped"
        if self._pinned is None or self._pinned.array.nbytes != view.pixels.nbytes:
            gone: list[int | Pinned] = [self._pinned] if self._pinned else []
            gone += [self._device] if self._device else []
            self._pinned, self._device, self._kind = None, 0, None
            self._cuda.release(*gone)
            self._pinned = self._cuda.pin(view.pixels.nbytes, mapped)
            self._device = 0 if mapped else self._cuda.allocate(view.pixels.nbytes)
        self._cuda.release(*self._tables)
        self._tables, self._inside, self._kind = [], None, view.kind
        self._format = FORMATS[view.pixel_format]
        self._prepare, self._gather = self._format.prepare, self._format.gather
        self._view = {
            "frame": self._pinned.address if mapped else self._device,
            "width": view.width,
            "height": view.pixels.shape[0],
            "pitch": view.pixels.strides[0],
            "left": view.left,
            "top": view.top,
            "red": self._format.red,
        }
        if view.resampled is not None:
            self._resample(view.resampled)

    def _resample(self, crop: ResampledCrop) -> None:
        """The other kernels, and their tables to the GPU."""
        self._prepare = self._format.prepare_resampled
        self._gather = self._format.gather_resampled
        del self._view["left"], self._view["top"]
        for name, taps, table in (("rows", "row_taps", crop.rows),
                                  ("columns", "column_taps", crop.columns)):  # fmt: skip
            pinned = self._cuda.pin(table.nbytes)
            pinned.array[:] = np.ascontiguousarray(table).reshape(-1).view(np.uint8)
            there = self._cuda.allocate(table.nbytes)
            self._tables += [pinned, there]
            self._cuda.copy_in(there, pinned.array)
            self._view[name], self._view[taps] = there, table.shape[1] - 1
        self._inside = crop.inside

    def _work_for(self, name: str, slots: int) -> Repeated:
        key = (name, slots)
        if key not in self._work:
            self._work[key] = self._cuda.repeated(
                lambda: self._enqueue(name, slots), self._use_graphs
            )
        return self._work[key]

    def _enqueue(self, name: str, slots: int) -> None:
        if name == "frame":
            self._enqueue_choice()
        self._enqueue_patches(slots)

    def _enqueue_choice(self) -> None:
        cuda, rin, rule = self._cuda, self._rin, self._rule
        assert self._pinned is not None
        if self._device:
            cuda.copy_in(self._device, self._pinned.array)
        self._mark("copy")
        cuda.launch(self._prepare, **self._view, small=rin.given, result=self._result)
        self._mark("preprocess")
        rin.enqueue(1)
        self._mark("rin")
        if self._inside is not None:
            (top, bottom), (left, right) = self._inside
            edges = {"top": top, "bottom": bottom, "left": left, "right": right}
            cuda.launch(MASK, scores=rin.answers["importance"], **edges)
        cuda.launch(
            SELECT,
            scores=rin.answers["importance"],
            threshold=rule.threshold,
            dense=rule.dense,
            sparse=rule.sparse,
            ex_sparse=rule.ex_sparse,
            result=self._result,
        )
        self._mark("select")

    def _enqueue_patches(self, slots: int) -> None:
        cuda, dpn = self._cuda, self._dpn
        cuda.launch(self._gather, slots, **self._view, result=self._result, patches=dpn.given)
        self._mark("gather")
        dpn.enqueue(slots)
        self._mark("dpn")
        cuda.launch(
            COLLECT,
            defocus_um=dpn.answers["defocus_um"],
            spread_um=dpn.answers["spread_um"],
            optics=dpn.answers.get("optics"),
            novelty=dpn.answers.get("novelty"),
            slots=slots,
            result=self._result,
        )
        cuda.copy_out(self._back.array, self._result)
        self._mark("collect")


def _nothing(_: str) -> None:
    pass
