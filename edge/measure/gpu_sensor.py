"""A frame's way on the GPU, behind the same `measure` as on the CPU.

The GPU leaves its choice, the DPN's answers and a sample of the picture in one struct
(engines.kernels.result); from there on the same code as on the CPU path decides: range,
aggregate, interval.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edge.camera import Frame
from edge.errors import EngineRejected
from edge.latency import Lap
from edge.measure.aggregate import aggregate
from edge.measure.colour_order import LEARNT
from edge.measure.defocus import NEEDED, SHAPES, PatchDefocus, output_names
from edge.measure.importance import ClassRule, Ranked
from edge.measure.interval import IntervalModel
from edge.measure.photometry import of_sample
from edge.measure.plain_look import PlainLook
from edge.measure.preprocess import (
    GRID,
    PAPER,
    axes_of,
    check_pixels,
    crop_origin,
    is_plain,
)
from edge.measure.raw_pixels import width_px
from edge.measure.resample import Axis
from edge.measure.sensor import Measurement
from edge.measure.training_range import TrainingRange, worse
from edge.measure.units import estimate_in_um, patches_in_um
from engines.engine import Engine
from engines.gpu.frame import ChoiceRule, GpuFrame, ResampledCrop, View
from engines.manifest import Manifest


class GpuMeasurer:
    """See edge.measure.sensor.CpuMeasurer. `manifest` is the DPN's."""

    def __init__(self, gpu: GpuFrame, rule: ClassRule, manifest: Manifest) -> None:
        self._gpu, self._rule = gpu, rule
        self.interval_model = IntervalModel.of(manifest)
        self.training_range = TrainingRange.of(manifest)
        self.plain, self.axial_unit, self.pixels = PlainLook(), 1.0, 1.0
        self._outputs = {output.name for output in manifest.outputs} & set(SHAPES)
        self._outputs.discard(LEARNT)  # the kernels' result has no room for it

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """Frame to estimate. The lap has "gpu" (all that runs there), "plain_look", "aggregate"."""
        result = lap("gpu", self._gpu(view(frame, self.pixels)))
        ranked = _ranked(result, self._rule)
        defocus = _defocus(result, ranked, self._outputs)
        photometry = of_sample(result["sample"])
        shift = self.training_range(photometry, defocus)
        shift = worse(shift, lap("plain_look", self.plain(frame, defocus.cells)))
        in_units = aggregate(defocus, frame, self.interval_model, shift, photometry)
        estimate = lap("aggregate", estimate_in_um(in_units, self.axial_unit))
        patches = patches_in_um(defocus, self.axial_unit)
        return Measurement(ranked, patches, estimate, shift, photometry)


def open_gpu_sensor(
    rin: Manifest, dpn: Manifest, rule: ClassRule, memory: str, graphs: bool = True
) -> tuple[GpuMeasurer, tuple[Engine, ...]]:
    """The sensor, and its engines to be closed; EngineRejected as engines.gpu.open_gpu.open_gpu."""
    from engines.gpu.open_gpu import open_gpu

    output_names(dpn)
    cuda, rin_net, dpn_net = open_gpu(rin, dpn)
    try:
        choice = ChoiceRule(rule.threshold, *rule.k_by_class)
        sensor = GpuMeasurer(GpuFrame(cuda, rin_net, dpn_net, choice, memory, graphs), rule, dpn)
    except BaseException:
        rin_net.close()
        dpn_net.close()
        raise
    return sensor, (rin_net, dpn_net)


def view(frame: Frame, pixels: float = 1.0) -> View:
    """What the kernels need to know of a frame; `pixels`: of the models for one of the frame.
    ConfigError as edge.measure.preprocess.crop_origin and axes_of."""
    memory, name = np.ascontiguousarray(frame.pixels), frame.pixel_format.value
    check_pixels(frame)
    if is_plain(frame, PAPER, pixels):
        top, left = crop_origin(frame)
        return View(memory, name, width_px(frame), left, top)
    rows, columns = axes_of(frame, PAPER, pixels)
    crop = ResampledCrop(_table(rows), _table(columns), (rows.cells, columns.cells))
    return View(memory, name, width_px(frame), 0, 0, crop)


@lru_cache(maxsize=8)
def _table(axis: Axis) -> npt.NDArray[np.int32]:
    return np.ascontiguousarray(np.column_stack([axis.first, axis.weights]), np.int32)


def _ranked(result: np.void, rule: ClassRule) -> Ranked:
    finite = bool(result["scores_finite"])
    scores = result["scores"].copy() if finite else np.full((GRID, GRID), np.nan, np.float32)
    above = int(result["above"]) if finite else 0
    sparsity, k = rule.classify(above)
    if k != result["k"] or (result["measured"] != k):
        raise EngineRejected(
            f"the GPU chose {result['k']} patches and measured {result['measured']}, not {k}"
        )
    cells = tuple((int(i) // GRID, int(i) % GRID) for i in result["cells"][:k])
    chosen = result["chosen"][:k].copy()
    centroid = rule.centroid(scores)
    return Ranked(scores, sparsity, k, cells, chosen, centroid, rule.left_out(above, k))


def _defocus(result: np.void, ranked: Ranked, outputs: set[str]) -> PatchDefocus:
    """As edge.measure.defocus.Defocus answers: NaN in all that a network must say when one is not
    finite, nothing of what it may."""
    k, finite = ranked.k, bool(result["answers_finite"])
    answers = {name: result[name][:k].copy() for name in outputs if finite and k}
    for name in NEEDED:
        answers.setdefault(name, np.full(k, np.nan, np.float32))
    return PatchDefocus(
        answers["defocus_um"],
        answers["spread_um"],
        ranked.importance,
        ranked.cells,
        ranked.sparsity,
        ranked.finite and finite,
        answers.get("optics"),
        answers.get("novelty"),
        ranked.centroid,
        ranked.left_out,
    )
