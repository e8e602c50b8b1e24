"""What a user calls sharp: a number added to every estimate, for a whole instrument or a region.

The networks' zero is where the specimen's own detail is sharpest. Somebody may want another plane:
by another focus measure, the top of a thick section, a marker below it. `with_offset` is put round
the estimator once (`loop.focus_offset_um`), or again for every region of a slide.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from edge.camera import Frame
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate
from edge.measure.sensor import Measurement, Measurer, second_look


@dataclass(slots=True)
class OffsetSensor:
    """An estimator whose answers are `offset_um` higher: positive = the objective ends that much
    above the sharpest plane. The interval stays: the offset is a wish, not a measurement. It may be
    set to another one between two frames."""

    inner: Measurer
    offset_um: float

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """See edge.measure.sensor.Measurer."""
        measurement = self.inner.measure(frame, lap)
        if not self.offset_um or not isinstance(measurement.estimate, FocusEstimate):
            return measurement
        defocus_um = measurement.estimate.defocus_um + self.offset_um
        return replace(measurement, estimate=replace(measurement.estimate, defocus_um=defocus_um))

    def second_look(self, frame: Frame, measured: Measurement) -> Measurement:
        """See edge.measure.sensor.LooksAgain."""
        return second_look(self.inner, frame, measured)


def with_offset(sensor: Measurer, offset_um: float, settable: bool = False) -> Measurer:
    """The estimator with this offset instead of any it had before; 0 = none, unless it is to be
    `settable`."""
    plain = sensor.inner if isinstance(sensor, OffsetSensor) else sensor
    return OffsetSensor(plain, offset_um) if offset_um or settable else plain


def offset_in(sensor: object) -> OffsetSensor | None:
    """The offset that is inside an estimator and what was put round it; None without one."""
    while sensor is not None and not isinstance(sensor, OffsetSensor):
        sensor = getattr(sensor, "inner", None)
    return sensor
