"""The offset between what a person calls sharp and where the networks are in focus."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from edge.appliance.calibrate.drive_calibration import WAIT_S, CalibrationRefused
from edge.camera import Frame
from edge.errors import CameraLost, CameraStalled
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate
from edge.measure.sensor import Measurer

FRAMES, LEAST = 7, 4  # looked at, and answered at least
MOST_UM = 10.0  # as `loop.focus_offset_um` allows


@dataclass(frozen=True, slots=True)
class OffsetHere:
    """`focus_offset_um` for the config, its 95 % half-width, and the frames it comes from."""

    focus_offset_um: float
    focus_offset_95_um: float
    frames: int


def offset_here(sensor: Measurer, next_frame: Callable[[float], Frame]) -> OffsetHere:
    """From frames of the field as it stands; nothing moves.

    The half-width is that of one estimate, which all frames of one field share, and the scatter
    between frames on top. CalibrationRefused where too few frames tell a defocus, or one that no
    offset should hide.
    """
    estimates: list[FocusEstimate] = []
    why = "no frame"
    for _ in range(FRAMES):
        try:
            frame = next_frame(WAIT_S)
        except CameraLost:
            raise
        except CameraStalled as stalled:  # one frame less
            why = str(stalled)
            continue
        estimate = sensor.measure(frame, Lap()).estimate
        if isinstance(estimate, FocusEstimate):
            estimates.append(estimate)
        else:
            why = estimate.reason.value
    if len(estimates) < LEAST:
        raise CalibrationRefused(
            f"{len(estimates)} of {FRAMES} frames tell a defocus, {LEAST} are the least: {why}"
        )
    readings = [each.defocus_um for each in estimates]
    offset_um = -statistics.median(readings)
    if not abs(offset_um) <= MOST_UM:
        raise CalibrationRefused(
            f"the networks read {-offset_um:+.1f} um here, {MOST_UM:g} um is the most that an "
            "offset may be: focus by eye first, or look for the mistake"
        )
    interval = statistics.median(each.interval_um for each in estimates)
    scatter = 1.96 * statistics.stdev(readings) / math.sqrt(len(readings))
    return OffsetHere(offset_um, math.hypot(interval, scatter), len(estimates))
