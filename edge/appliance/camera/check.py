"""`sparsefocus camera check`: frames of an opened camera, counted, timed, their colours judged."""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np

from edge.camera import Camera, Frame
from edge.errors import CameraLost, CameraStalled
from edge.latency import Lap
from edge.measure.colour_order import LIMIT, ColourOrder, Order
from edge.measure.sensor import Measurer, measure_in_full

BACK_S = 30.0  # how long a camera that went away is waited for
LOOK_S = 0.1
LOOKS = 12  # frames that are measured for their colours

log = logging.getLogger(__name__)


def measure(camera: Camera, count: int, timeout_s: float) -> dict[str, Any]:
    """Take `count` frames; what they are, how often they come, how old they are when they are
    here (from the end of the exposure, as it is known) and what was lost.

    CameraLost when it went away and is not tried again, or did not come back within BACK_S;
    CameraStalled when it does not deliver.
    """
    wait = _Patience(camera, timeout_s)
    first = wait.first()
    began_dropped, began_incomplete = camera.dropped, camera.incomplete
    mids, ages, stalls, newest = [first.exposure_mid_ns], [_age_ms(first)], 0, first
    while len(mids) < count:
        try:
            newest = wait.next()
        except CameraLost:
            raise
        except CameraStalled:
            stalls += 1
            if stalls > count:
                raise
            continue
        mids.append(newest.exposure_mid_ns)
        ages.append(_age_ms(newest))
    counted = newest.frame_id - first.frame_id
    return {
        "width_px": newest.pixels.shape[1],
        "height_px": newest.pixels.shape[0],
        "pixel_format": newest.pixel_format.value,
        "frames": len(mids),
        "dropped": camera.dropped - began_dropped,
        "incomplete": camera.incomplete - began_incomplete,
        "stalls": stalls,
        "times_lost": wait.times_lost,
        "period_ms": round((mids[-1] - mids[0]) / counted / 1e6, 3),
        "exposure_ms": round((newest.exposure_end_ns - newest.exposure_start_ns) / 1e6, 3),
        "time_uncertainty_ms": round(newest.time_uncertainty_ns / 1e6, 3),
        "age_ms": {f"p{q}": round(float(np.percentile(ages, q)), 2) for q in (50, 99, 100)},
    }


class _Patience:
    """Takes frames; waits for a camera that is being opened again, and says so once each time."""

    def __init__(self, camera: Camera, timeout_s: float) -> None:
        self._camera, self._timeout_s = camera, timeout_s
        self.times_lost = 0

    def first(self) -> Frame:
        """Pipelines take their time to start: longer than any later frame may."""
        try:
            return self.next()
        except CameraLost:
            raise
        except CameraStalled:
            return self.next()

    def next(self) -> Frame:
        """CameraLost after BACK_S without the camera; CameraStalled as from Camera.next."""
        give_up_s: float | None = None
        while True:
            try:
                return self._camera.next(self._timeout_s)
            except CameraLost as lost:
                if not self._camera.tries_again:
                    raise
                if give_up_s is None:
                    give_up_s = time.monotonic() + BACK_S
                    self.times_lost += 1
                    log.warning("%s; waiting %g s for it", lost, BACK_S)
                if time.monotonic() > give_up_s:
                    raise
                time.sleep(LOOK_S)


def _age_ms(frame: Frame) -> float:
    return (time.monotonic_ns() - frame.exposure_end_ns) / 1e6


def colours_of(camera: Camera, sensor: Measurer, order: ColourOrder, timeout_s: float) -> str:
    """What the camera's frames say about the order of red and blue (edge.measure.colour_order), or
    why they say nothing. Frames of one field at one height are one look."""
    for _ in range(LOOKS):
        frame = camera.next(timeout_s)
        if frame.pixel_format.value.startswith("Mono"):
            return "grey"
        measure_in_full(sensor, frame, Lap())
        if order.order is not Order.UNKNOWN:
            break
    if order.evidence <= -LIMIT:
        return f"{Order.SWAPPED.value} (red and blue): another pixel_format, or a Bayer phase"
    if order.order is Order.RIGHT:
        return order.order.value
    return "cannot tell: show several fields or heights of a stained specimen while it runs"
