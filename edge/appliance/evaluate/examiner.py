"""One exposure of a z-stack through the networks, with what its manifest says of it."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic_ns

import numpy as np
import numpy.typing as npt

from edge.appliance.evaluate.sharpness_curve import COLUMN, reached
from edge.appliance.frame_result import FrameResult
from edge.camera import Frame, PixelFormat
from edge.decide.controllers import SingleFrame
from edge.errors import ConfigError
from edge.images.zstack import Exposure
from edge.latency import Lap
from edge.measure.sensor import Measurer, measure_in_full
from edge.optics import Objective
from edge.settings import LoopSettings

U8 = npt.NDArray[np.uint8]
_OWN_COLUMN = ("condition", "group", "slide", "split", COLUMN)


class Examiner:
    """Measures frames and says what the controller would do with each, taken alone."""

    def __init__(self, sensor: Measurer, objective: Objective) -> None:
        self._sensor = sensor
        self._alone = SingleFrame(LoopSettings(), objective)

    def examine(self, exposure: Exposure, pixels: U8, condition: str) -> FrameResult:
        """The result of one frame, `pixels` (h, w, 3) uint8 RGB; ConfigError when too small.

        `condition` is what the frame counts as where its manifest does not say.
        """
        now = monotonic_ns()
        try:
            frame = Frame(pixels, PixelFormat.RGB8, 1, now, now)
            measurement = measure_in_full(self._sensor, frame, Lap())
        except ConfigError as error:
            raise ConfigError(f"{where(exposure)}: {error}") from error
        plan = self._alone.plan(measurement.estimate)
        return _placed(FrameResult.of(measurement, plan), exposure, condition)


def where(exposure: Exposure) -> str:
    """The file and page, as an error names them."""
    return str(exposure.path) if exposure.page is None else f"{exposure.path} page {exposure.page}"


def _placed(result: FrameResult, exposure: Exposure, condition: str) -> FrameResult:
    """With what the manifest says of the frame, its truth and the sharpness reached."""
    extra = exposure.extra
    true = None if exposure.focus_z_um is None else exposure.focus_z_um - exposure.z_um
    # a difference of two heights is 0 to a picometre at best: 0 must be 0 for Eq. 4
    placed = replace(
        result,
        condition=extra.get("condition") or condition,
        group=extra.get("group") or "frames",
        slide=extra.get("slide") or exposure.stack_id,
        split=extra.get("split") or "",
        stack_id=exposure.stack_id,
        file=str(exposure.path),
        page=exposure.page,
        z_um=exposure.z_um,
        focus_z_um=exposure.focus_z_um,
        extra={name: value for name, value in extra.items() if name not in _OWN_COLUMN},
        true_um=None if true is None else round(true, 6) + 0.0,
    )
    error = placed.error_um
    if error is None:
        return placed
    return replace(placed, sharpness=reached(extra.get(COLUMN, ""), error, where(exposure)))
