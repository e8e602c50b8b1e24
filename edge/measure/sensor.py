"""A frame to an estimate: needs no stage, moves nothing. Read `CpuMeasurer.measure`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

from edge.camera import Frame
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus, aggregate
from edge.measure.best_patches import cut
from edge.measure.budget import PatchBudget
from edge.measure.colour_order import PATCHES as ORDER_PATCHES
from edge.measure.colour_order import ColourOrder, swapped
from edge.measure.defocus import Defocus, Enough, PatchDefocus
from edge.measure.importance import Importance, Ranked
from edge.measure.interval import IntervalModel
from edge.measure.photometry import photometry_of
from edge.measure.plain_look import PlainLook
from edge.measure.preprocess import PATCH_PX, Preprocessor
from edge.measure.training_range import DomainShift, TrainingRange, worse
from edge.measure.units import estimate_in_um, patches_in_um


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one frame says. `shift`: how far it lies outside the model's training, None when the
    model cannot tell; `photometry`: its light and colour, see edge.measure.photometry."""

    ranked: Ranked
    patches: PatchDefocus
    estimate: FocusEstimate | NoFocus
    shift: DomainShift | None = None
    photometry: Mapping[str, float] = field(default_factory=dict)


class Measurer(Protocol):
    """A frame's way as far as the estimate: needs no stage, moves nothing. On the CPU CpuMeasurer,
    on the GPU edge.measure.gpu_sensor.GpuMeasurer."""

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """Frame to estimate; the lap gets the stages' times."""


@runtime_checkable
class LooksAgain(Protocol):
    """A Measurer that may look at a frame once more, for what moves nothing and only rings."""

    def second_look(self, frame: Frame, measured: Measurement) -> Measurement:
        """`measured`, with what the second look adds to its shift."""


@dataclass(frozen=True, slots=True)
class CpuMeasurer:
    """A frame's way on the CPU, part by part."""

    preprocess: Preprocessor
    importance: Importance
    defocus: Defocus
    interval_model: IntervalModel
    training_range: TrainingRange = field(default_factory=TrainingRange)
    budget: PatchBudget = field(default_factory=lambda: PatchBudget(None))
    enough_um: float | None = None  # an interval as narrow as this needs no more patches
    plain: PlainLook | None = None
    order: ColourOrder | None = None
    axial_unit: float = 1.0  # um of the instrument for one of the models'

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """Frame to estimate, in the order of the paper's figure 5."""
        self.budget.arrived()
        patches = lap("preprocess", self.preprocess(frame))
        scores = lap("rin", self.importance(patches))  # which patches hold content
        ranked = lap("select", self.importance.rank(scores))
        photometry = photometry_of(patches.small)
        enough = self._enough(frame, photometry)
        defocus = lap("dpn", self.defocus(patches, ranked, enough))  # signed um, one per patch
        shift = self.training_range(photometry, defocus)  # how far outside the training
        plain = self.plain(frame, defocus.cells) if self.plain else None
        plain = worse(plain, self._exchanged(frame, defocus))
        shift = worse(shift, lap("plain_look", plain))  # smear, sharp dirt, noise, colours
        estimate = lap(
            "aggregate", aggregate(defocus, frame, self.interval_model, shift, photometry)
        )
        unit = self.axial_unit
        return Measurement(
            ranked, patches_in_um(defocus, unit), estimate_in_um(estimate, unit), shift, photometry
        )

    def second_look(self, frame: Frame, measured: Measurement) -> Measurement:
        """Exchanged colours: now and then the DPN is asked twice more."""
        if self.order is None:
            return measured
        readings = patches_in_um(measured.patches, 1.0 / self.axial_unit)  # as the DPN says it
        self._ask_order(self.order, frame, readings)
        return replace(measured, shift=worse(measured.shift, swapped(self.order)))

    def _exchanged(self, frame: Frame, readings: PatchDefocus) -> DomainShift | None:
        """Before the move: a frame that speaks against its colours is looked at now, not later."""
        if self.order is None:
            return None
        if self.order.suspects(readings):
            self._ask_order(self.order, frame, readings)
        return swapped(self.order)

    def _ask_order(self, order: ColourOrder, frame: Frame, readings: PatchDefocus) -> None:
        if order.due(readings):
            made = self.preprocess
            best = cut(frame, readings.cells[:ORDER_PATCHES], made.grid, made.pixels)
            order.look(best.reshape(-1, PATCH_PX, PATCH_PX, 3), readings)

    def _enough(self, frame: Frame, photometry: Mapping[str, float]) -> Enough | None:
        if self.enough_um is None:
            return None
        most_um = self.enough_um

        def enough(so_far: PatchDefocus) -> bool:
            estimate = aggregate(so_far, frame, self.interval_model, None, photometry)
            return isinstance(estimate, FocusEstimate) and estimate.interval_um <= most_um

        return enough


def measure(sensor: Measurer, frame: Frame, lap: Lap) -> Measurement:
    """Frame to estimate, on whatever the sensor runs on."""
    return sensor.measure(frame, lap)


def second_look(sensor: Measurer, frame: Frame, measured: Measurement) -> Measurement:
    """What may be asked once the move is on its way; `measured` as it is where nothing is asked."""
    return sensor.second_look(frame, measured) if isinstance(sensor, LooksAgain) else measured


def measure_in_full(sensor: Measurer, frame: Frame, lap: Lap) -> Measurement:
    """Both looks at once: for a picture that moves nothing."""
    return lap.after("second_look", second_look(sensor, frame, measure(sensor, frame, lap)))
