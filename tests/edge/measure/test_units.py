"""An answer in um of the instrument at hand."""

import math

import numpy as np

from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.units import estimate_in_um, patches_in_um

ESTIMATE = FocusEstimate(4.0, 0.5, 9, Sparsity.SPARSE, 1, 2, 0.3, "novelty")
PATCHES = PatchDefocus(
    np.float32([1, -2]), np.float32([0.1, 0.2]), np.float32([0.9, 1]), ((0, 1), (2, 3)),
    Sparsity.SPARSE, True, np.ones((2, 4), np.float32), np.float32([1, 3]),
)  # fmt: skip


def test_the_models_own_um_are_left_as_they_are():
    assert estimate_in_um(ESTIMATE, 1.0) is ESTIMATE
    assert patches_in_um(PATCHES, 1.0) is PATCHES


def test_all_that_is_in_um_and_nothing_else():
    there = estimate_in_um(ESTIMATE, 2.5)
    assert there == FocusEstimate(10.0, 1.25, 9, Sparsity.SPARSE, 1, 2, 0.75, "novelty")
    patches = patches_in_um(PATCHES, 2.5)
    assert patches.defocus_um.tolist() == [2.5, -5.0]
    assert patches.spread_um.tolist() == np.float32([0.25, 0.5]).tolist()
    assert patches.defocus_um.dtype == np.float32
    assert patches.optics is PATCHES.optics
    assert patches.novelty is PATCHES.novelty


def test_no_focus_keeps_what_it_does_not_know():
    far = estimate_in_um(NoFocus(Reason.OUTSIDE_RANGE, Sparsity.DENSE, 1, 2, 30.0, 2.0), 2.0)
    assert (far.rejected_um, far.interval_um) == (60.0, 4.0)
    blank = estimate_in_um(NoFocus(Reason.BLANK, Sparsity.BLANK, 1, 2), 2.0)
    assert math.isnan(blank.rejected_um)
    assert math.isnan(blank.interval_um)
