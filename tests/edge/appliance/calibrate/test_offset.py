"""What a person calls sharp, read from frames that nobody moved for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from edge.appliance.calibrate.drive_calibration import CalibrationRefused
from edge.appliance.calibrate.offset import FRAMES, offset_here
from edge.camera import Frame, PixelFormat
from edge.errors import CameraStalled
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Ranked, Sparsity
from edge.measure.sensor import Measurement

NONE = np.empty(0, np.float32)
FRAME = Frame(np.zeros((8, 8), np.uint8), PixelFormat.MONO8, 0, 0, 0)


class Reads:
    """An estimator that reads these values in turn; None = nothing to measure."""

    def __init__(self, values: Sequence[float | None]) -> None:
        self._values = itertools.cycle(values)

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """The next value with an interval of 0.3 um."""
        value = next(self._values)
        estimate = (
            NoFocus(Reason.BLANK, Sparsity.BLANK, 0, 0)
            if value is None
            else FocusEstimate(value, 0.3, 9, Sparsity.SPARSE, 0, 0, 0.1)
        )
        ranked = Ranked(np.zeros((9, 9), np.float32), Sparsity.SPARSE, 0, (), NONE)
        patches = PatchDefocus(NONE, NONE, NONE, (), Sparsity.SPARSE, True)
        return Measurement(ranked, patches, estimate)


def camera() -> Callable[[float], Frame]:
    """Always the same frame."""
    return lambda timeout_s: FRAME


def test_the_offset_takes_back_what_the_networks_read() -> None:
    offset = offset_here(Reads([0.5, 0.6, 0.7]), camera())
    assert offset.focus_offset_um == pytest.approx(-0.6)
    assert offset.frames == FRAMES
    assert 0.3 < offset.focus_offset_95_um < 0.4


def test_frames_without_an_estimate_do_not_count() -> None:
    offset = offset_here(Reads([1.0, 1.0, None]), camera())
    assert offset.frames == 5
    with pytest.raises(CalibrationRefused, match=r"3 of 7 frames tell a defocus.*blank"):
        offset_here(Reads([None, 1.0]), camera())


def test_an_offset_that_hides_a_mistake_is_refused() -> None:
    with pytest.raises(CalibrationRefused, match=r"read \+14.0 um here, 10 um is the most"):
        offset_here(Reads([14.0]), camera())


def test_a_frame_that_does_not_come_is_one_frame_less() -> None:
    came = itertools.count()

    def every_other(timeout_s: float) -> Frame:
        if next(came) % 2:
            raise CameraStalled("none")
        return FRAME

    assert offset_here(Reads([1.0]), every_other).frames == 4
