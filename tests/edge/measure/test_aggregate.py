"""Median, spread, interval and the reasons for having none."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.importance import Sparsity
from edge.measure.interval import IntervalModel
from edge.measure.photometry import LEAST_BACKGROUND
from edge.measure.training_range import DomainShift
from edge.optics import Objective
from tests.support.patch_answers import CALIBRATION, aggregate_of

FITTED = IntervalModel(
    25.0, scale_um=50.0, network=1.5, patches=0.4, distance=-0.5, importance=0.1, colour=0.3,
    background=0.2,
)  # fmt: skip


def test_median_ignores_an_outlier():
    estimate = aggregate_of([3.0, 3.1, 2.9, 3.0, 19.0])
    assert isinstance(estimate, FocusEstimate)
    assert estimate.defocus_um == pytest.approx(3.0)
    assert estimate.spread_um == pytest.approx(1.4826 * 0.1, rel=1e-3)
    assert (estimate.patches, estimate.sparsity) == (5, Sparsity.SPARSE)
    assert (estimate.exposure_start_ns, estimate.exposure_mid_ns) == (1000, 2000)


def test_interval_grows_with_what_makes_it_uncertain():
    assert aggregate_of([2.0] * 9).interval_um == pytest.approx(
        0.6, rel=1e-6
    )  # twice the network's
    base = aggregate_of([2.0] * 9, interval_model=FITTED).interval_um
    assert base == pytest.approx(
        50 * 0.3**1.5 * 0.05**0.4 * 3.0**-0.5 * 0.002**0.1 * 0.07**0.3 * 25.0**0.2, rel=1e-5
    )
    assert aggregate_of([2.0] * 9, [0.9] * 9, interval_model=FITTED).interval_um > base
    little = aggregate_of(
        [1.8, 1.8, 1.9, 2, 2, 2, 2.1, 2.2, 2.2], interval_model=FITTED
    ).interval_um
    much = aggregate_of([1, 1, 1, 2, 2, 2, 3, 3, 3], interval_model=FITTED).interval_um
    assert base < little < much
    assert aggregate_of([20.0] * 9, interval_model=FITTED).interval_um < base  # a negative exponent
    grey, usual, red = (
        aggregate_of([2.0] * 31, interval_model=FITTED, photometry={"colour": colour}).interval_um
        for colour in (0.0, 0.06, 0.3)
    )
    assert grey < usual < red
    dark, bright, white = (
        aggregate_of(
            [2.0] * 31, interval_model=FITTED, photometry={"background": level}
        ).interval_um
        for level in (160.0, 231.0, 255.0)
    )
    assert bright == white < dark  # nothing but specimen is seen in a dark one
    for photometry in ({"background": 160.0}, {"colour": 0.3}):
        few = aggregate_of([2.0] * 9, interval_model=FITTED, photometry=photometry).interval_um
        assert few == base  # beside few patches there is clear glass: it tells the lamp


def test_no_interval_is_narrower_than_two_standard_errors_of_the_patches():
    sure = dataclasses.replace(CALIBRATION, scale_um=1e-3)
    spread_um = 1.4826  # half of the patches are 1 um off
    answer = aggregate_of([1, 1, 1, 1, 2, 3, 3, 3, 3], interval_model=sure)
    assert answer.interval_um == pytest.approx(2 * spread_um / 3)


def test_interval_has_a_factor_for_the_number_of_patches():
    wide = dataclasses.replace(CALIBRATION, factors=((2, 3.0), (9, 0.5)))
    plain = {k: aggregate_of([2.0] * k).interval_um for k in (1, 2, 3, 8, 9, 31)}
    scaled = {k: aggregate_of([2.0] * k, interval_model=wide).interval_um for k in plain}
    ratio = {k: scaled[k] / plain[k] for k in plain}
    assert ratio == pytest.approx({1: 3.0, 2: 3.0, 3: 3.0, 8: 3.0, 9: 0.5, 31: 0.5})


def test_interval_grows_where_the_importance_falls_short():
    doubtful = dataclasses.replace(CALIBRATION, scale_um=90.0, importance=0.5)
    base = aggregate_of([2.0] * 2, interval_model=doubtful).interval_um
    short = aggregate_of([2.0] * 2, interval_model=doubtful, importance=[0.7, 0.9]).interval_um
    assert short / base == pytest.approx(math.sqrt(0.202 / 0.002), rel=1e-5)  # of the mean, 0.8


def test_interval_has_a_least_width():
    sure = IntervalModel(25.0, factors=((1, 0.1),))
    assert aggregate_of([2.0] * 9, [0.0] * 9, interval_model=sure).interval_um == 0.1
    narrow = dataclasses.replace(sure, least_um=0.0)  # and a spread of 0 is taken for 1 nm
    assert aggregate_of([2.0] * 9, [0.0] * 9, interval_model=narrow).interval_um == pytest.approx(
        2e-4
    )


@pytest.mark.parametrize(
    "numbers", [(math.nan, 0.1, 0.1), (1.0, math.nan, 0.1), (1.0, 0.1, math.nan)]
)
@pytest.mark.parametrize("interval_model", [CALIBRATION, FITTED])
def test_least_width_does_not_hide_what_is_not_a_number(interval_model, numbers):
    assert math.isnan(interval_model.interval_um(*numbers, k=3))


@pytest.mark.parametrize("defocus", [[3.0] * 9, [25.1] * 9, [-9, -8, -9, 9, 8, 9]])
def test_frame_outside_the_training_is_held_only_where_the_model_asks_for_it(defocus):
    alone = aggregate_of(defocus)
    warned = aggregate_of(defocus, shift=DomainShift(3.0, "novelty", alarm=True))
    held = aggregate_of(defocus, shift=DomainShift(3.0, "novelty", alarm=True, hold=True))
    if isinstance(warned, FocusEstimate):  # the controller is told, and decides
        assert warned.outside == "novelty"
        warned = dataclasses.replace(warned, outside="")
    if alone == aggregate_of([25.1] * 9):  # a strange picture's distance is not even evidence
        assert warned == held
    else:
        assert repr(warned) == repr(alone)
    assert isinstance(held, NoFocus)
    assert held.reason is Reason.OUTSIDE_TRAINING
    assert held.rejected_um == pytest.approx(float(np.median(np.float32(defocus))))
    assert held.interval_um == alone.interval_um
    assert held.exposure_mid_ns == 2000


@pytest.mark.parametrize("defocus", [[3.0] * 9, [25.1] * 9, [-25.1], [-9, -8, -9, 9, 8, 9]])
def test_without_light_nothing_is_said(defocus):
    """Whatever the networks make of the noise: not even that a move was not a good one."""
    least = LEAST_BACKGROUND
    dark = aggregate_of(defocus, photometry={"background": least - 0.01})
    assert (dark.reason, dark.exposure_mid_ns) == (Reason.TOO_DARK, 2000)
    assert math.isnan(dark.rejected_um)
    assert math.isnan(dark.interval_um)
    lit = aggregate_of(defocus, photometry={"background": least})
    assert isinstance(lit, FocusEstimate) or lit.reason is not Reason.TOO_DARK


def test_blank_and_not_finite_keep_their_reason_outside_the_training():
    outside = DomainShift(3.0, "background", alarm=True, hold=True)
    assert aggregate_of([], shift=outside).reason is Reason.BLANK
    assert aggregate_of([1.0], finite=False, shift=outside).reason is Reason.NOT_FINITE


@pytest.mark.parametrize(
    ("defocus", "reason"),
    [
        ([], Reason.BLANK),
        ([25.1] * 9, Reason.OUTSIDE_RANGE),
        ([-25.1], Reason.OUTSIDE_RANGE),
        ([-9, -8, -9, 9, 8, 9], Reason.PATCHES_DISAGREE),
        ([0, 20], Reason.PATCHES_DISAGREE),
    ],
)
def test_reasons(defocus, reason):
    answer = aggregate_of(defocus)
    assert isinstance(answer, NoFocus)
    assert answer.reason is reason
    assert answer.exposure_mid_ns == 2000
    assert math.isnan(answer.rejected_um) == (reason is Reason.BLANK)


def test_a_network_that_sees_two_distances_gives_none():
    wide = aggregate_of([2.0] * 3, [9.0, 9.0, 9.0])
    assert isinstance(wide, NoFocus)
    assert wide.reason is Reason.AMBIGUOUS
    assert wide.rejected_um == pytest.approx(2.0)
    assert isinstance(aggregate_of([2.0] * 3, [4.0, 4.0, 9.0]), FocusEstimate)  # the middle patch
    assert isinstance(aggregate_of([20.0] * 3, [8.5, 8.5, 8.5]), FocusEstimate)  # 4 + 20 / 4


def test_a_patch_that_nothing_confirms_must_be_surer():
    """A bubble's rim looks like a lone cell: the network's own doubt is all there is to go by."""
    strict = dataclasses.replace(CALIBRATION, single_patch_um=3.0)
    alone = aggregate_of([-19.0], [3.1], interval_model=strict)
    assert isinstance(alone, NoFocus)
    assert alone.reason is Reason.AMBIGUOUS
    assert isinstance(aggregate_of([-19.0], [3.0], interval_model=strict), FocusEstimate)
    assert isinstance(aggregate_of([-19.0] * 2, [3.1] * 2, interval_model=strict), FocusEstimate)
    assert isinstance(
        aggregate_of([-19.0], [3.1]), FocusEstimate
    )  # a model that does not ask for it
    far = dataclasses.replace(CALIBRATION, single_patch_um=2.0, single_patch_relative=0.05)
    assert isinstance(
        aggregate_of([-20.0], [2.9], interval_model=far), FocusEstimate
    )  # 2 + 20 / 20
    assert isinstance(aggregate_of([-20.0], [3.1], interval_model=far), NoFocus)
    assert isinstance(aggregate_of([10.0], [2.9], interval_model=far), NoFocus)


def test_one_or_two_patches_must_be_clearly_content():
    """Dust on the sensor looks a little like a cell far from focus, wherever the glass is."""
    strict = dataclasses.replace(CALIBRATION, few_importance=0.87)
    assert strict.believes_few(2, 0.87, 1.0)
    assert not strict.believes_few(2, 0.86, 1.0)
    assert not strict.believes_few(1, float("nan"), float("nan"))
    assert strict.believes_few(3, 0.81, 1.0)
    sure = dataclasses.replace(strict, few_um=1.2)
    assert sure.believes_few(1, 0.81, 1.2)
    assert not sure.believes_few(1, 0.81, 1.3)
    assert CALIBRATION.believes_few(1, 0.0, 9.0)  # a model that does not ask for it
    speck = aggregate_of(
        [9.0], [1.0], interval_model=dataclasses.replace(strict, few_importance=1.01)
    )
    assert isinstance(speck, NoFocus)
    assert speck.reason is Reason.AMBIGUOUS


def test_range_is_inclusive():
    assert isinstance(aggregate_of([25.0] * 9), FocusEstimate)


def test_not_finite_wins():
    assert aggregate_of([1.0, 2.0], finite=False).reason is Reason.NOT_FINITE
    assert aggregate_of([], finite=False).reason is Reason.NOT_FINITE


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(derandomize=True)
@given(arrays.arrays(np.float32, 3, elements=floats), arrays.arrays(np.float32, 3, elements=floats))
def test_any_finite_answer_is_an_estimate_inside_the_range_or_a_reason(defocus, spread):
    answer = aggregate_of(defocus, spread, interval_model=FITTED)
    if isinstance(answer, FocusEstimate):
        assert abs(answer.defocus_um) <= 25
        assert 0 <= answer.interval_um < math.inf


def test_depth_of_field_is_the_papers():
    objective = Objective(na=0.75, magnification=20, um_per_px=0.34)
    assert objective.depth_of_field_um == pytest.approx(1.21, abs=0.01)
    assert 0.57 <= objective.half_depth_um <= 0.67
    assert objective.deadband_um == objective.half_depth_um / 2
