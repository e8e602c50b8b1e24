"""The part of the self-test that needs a GPU: kernels, graphs, and the time of each stage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from edge.appliance.selftest.checks import (
    FORMATS,
    WARM_UP,
    Check,
    Findings,
    frame_of,
    quantiles,
    timed,
)
from edge.camera import Frame
from edge.latency import Lap
from edge.measure.gpu_sensor import GpuMeasurer, view
from edge.measure.importance import ClassRule
from edge.measure.preprocess import GRID, CpuPreprocessor
from edge.measure.sensor import Measurer, measure
from engines.golden import LIMITS
from engines.gpu.cuda import Cuda
from engines.gpu.frame import MEMORY, ChoiceRule, GpuFrame
from engines.gpu.tensorrt_engine import TensorRtEngine
from engines.kernels.result import RESULT

U8 = npt.NDArray[np.uint8]
_OF_EARLIER_FRAMES = ("defocus_um", "spread_um", "optics", "novelty")


class GpuTest:
    """The checks on opened engines; closes nothing."""

    def __init__(
        self, cuda: Cuda, rin: TensorRtEngine, dpn: TensorRtEngine, classes: ClassRule
    ) -> None:
        self._cuda, self._rin, self._dpn, self._classes = cuda, rin, dpn, classes

    def fill(self, findings: Findings, rgb: U8, cpu: Measurer, count: int) -> None:
        """Add every check and all times to `findings`; `cpu` is the reference."""
        findings.checks += [self._kernels(rgb, name) for name in FORMATS]
        findings.checks.append(self._whole(rgb, cpu))
        findings.checks.append(self._graphs(rgb))
        frames = [frame_of(rgb, "RGB8", i) for i in range(2)]
        for memory in MEMORY:
            sensor = GpuMeasurer(self._path(memory), self._classes, self._dpn.manifest)
            for stage, values in timed(sensor, frames, count).items():
                findings.latency_ms[f"{stage}, frame memory {memory}"] = values
        path = self._path()
        laps = [path.timed(view(frames[i % 2]))[1] for i in range(WARM_UP + count)]
        for stage, values in quantiles(laps[WARM_UP:]).items():
            findings.latency_ms[f"on the GPU: {stage}"] = values

    def _path(self, memory: str = "copy", graphs: bool = True) -> GpuFrame:
        rule = self._classes
        choice = ChoiceRule(rule.threshold, *rule.k_by_class)
        return GpuFrame(self._cuda, self._rin, self._dpn, choice, memory, graphs)

    def _kernels(self, rgb: U8, name: str) -> Check:
        """The networks' inputs, byte by byte."""
        frame, prepare = frame_of(rgb, name), CpuPreprocessor()
        result = self._path(graphs=False)(view(frame))
        ready = prepare(frame)
        small = self._read(self._rin.given, ready.small.nbytes)
        wrong = int(np.count_nonzero(small != ready.small.reshape(-1)))
        k = int(result["measured"])
        cells = [divmod(int(cell), GRID) for cell in result["cells"][:k]]
        wanted = prepare.gather(ready, cells).reshape(-1)
        patches = self._read(self._dpn.given, wanted.nbytes) if k else wanted
        wrong += int(np.count_nonzero(patches != wanted))
        total = small.size + wanted.size
        return Check(f"kernels, {name}", not wrong, f"{wrong} of {total} bytes differ, k = {k}")

    def _read(self, address: int, size_bytes: int) -> U8:
        held = self._cuda.pin(size_bytes)
        self._cuda.copy_out(held.array, address)
        self._cuda.synchronize()
        values = held.array.copy()
        self._cuda.release(held)
        return values

    def _whole(self, rgb: U8, cpu: Measurer) -> Check:
        """The same frame by both ways."""
        frame = frame_of(rgb, "RGB8")
        gpu = GpuMeasurer(self._path(), self._classes, self._dpn.manifest)
        ours, theirs = (measure(path, frame, Lap()) for path in (gpu, cpu))
        same = sorted(ours.ranked.cells) == sorted(theirs.ranked.cells)
        um = [float(np.median(measurement.patches.defocus_um)) for measurement in (ours, theirs)]
        near = abs(um[0] - um[1]) <= LIMITS["defocus_um"]
        detail = (
            f"{'the same' if same else 'OTHER'} {ours.ranked.k} patches, "
            f"{um[0]:+.3f} um, on the CPU {um[1]:+.3f} um (limit {LIMITS['defocus_um']:g})"
        )
        return Check("whole frame against the CPU", same and near and bool(ours.ranked.k), detail)

    def _graphs(self, rgb: U8) -> Check:
        """Three frames by a graph and by plain launches: the structs, field by field."""
        frames = [frame_of(rgb, "RGB8"), frame_of(255 - rgb, "RGB8"), frame_of(rgb, "RGB8")]
        graph, plain = self._path(), self._path(graphs=False)
        differing: set[str] = set()
        for frame in frames * 2:
            one, other = (_meant(path, frame) for path in (graph, plain))
            differing |= {name for name in one if one[name] != other[name]}
        detail = f"{graph.graph}; " + (f"differ in {sorted(differing)}" if differing else "equal")
        return Check("graph against plain launches", not differing, detail)


def _meant(path: Callable[..., np.void], frame: Frame) -> dict[str, bytes]:
    """The fields of a Result as bytes, without what earlier frames may have left in them."""
    result = path(view(frame))
    measured = int(result["measured"])
    fields = {name: np.asarray(result[name]) for name in RESULT.names or ()}
    fields.update({name: fields[name][:measured] for name in _OF_EARLIER_FRAMES})
    return {name: values.tobytes() for name, values in fields.items()}
