"""A user's offset moves what is asked for and nothing else."""

from __future__ import annotations

import numpy as np

from edge.camera import Frame, PixelFormat
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.defocus import PatchDefocus
from edge.measure.focus_offset import with_offset
from edge.measure.importance import Ranked, Sparsity
from edge.measure.sensor import Measurement

FRAME = Frame(np.zeros((8, 8), np.uint8), PixelFormat.MONO8, 0, 0, 0)
NONE = np.empty(0, np.float32)


class Fixed:
    """Says the same of every frame."""

    def __init__(self, estimate: FocusEstimate | NoFocus) -> None:
        ranked = Ranked(np.zeros((9, 9), np.float32), Sparsity.SPARSE, 0, (), NONE)
        patches = PatchDefocus(NONE, NONE, NONE, (), Sparsity.SPARSE, True)
        self.found = Measurement(ranked, patches, estimate)

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """The one answer."""
        return self.found


def focused_with(offset_um: float, sensor: Fixed) -> FocusEstimate | NoFocus:
    """What is said with an offset."""
    return with_offset(sensor, offset_um).measure(FRAME, Lap()).estimate


ESTIMATE = FocusEstimate(3.0, 0.4, 9, Sparsity.SPARSE, 0, 0, 0.1)


def test_a_positive_offset_ends_higher_and_keeps_its_interval() -> None:
    estimate = focused_with(1.5, Fixed(ESTIMATE))
    assert isinstance(estimate, FocusEstimate)
    assert estimate.defocus_um == 4.5
    assert estimate.interval_um == 0.4


def test_no_focus_stays_no_focus() -> None:
    nothing = NoFocus(Reason.BLANK, Sparsity.BLANK, 0, 0)
    assert focused_with(1.5, Fixed(nothing)) is nothing


def test_another_region_replaces_the_offset_and_zero_takes_it_away() -> None:
    plain = Fixed(ESTIMATE)
    first = with_offset(plain, 1.0)
    second = with_offset(first, -2.0).measure(FRAME, Lap()).estimate
    assert isinstance(second, FocusEstimate)
    assert second.defocus_um == 1.0
    assert with_offset(first, 0.0) is plain
