"""Median, spread, interval and the reasons for having none."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.camera import Frame, PixelFormat
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason, aggregate
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.interval import IntervalModel
from edge.measure.photometry import LEAST_BACKGROUND
from edge.measure.training_range import DomainShift
from edge.optics import Objective
from engines.manifest import NOMINAL_OPTICS, EngineRejected, Manifest
from tests.support.fake_microscope import PIXELS

FRAME = Frame(PIXELS, PixelFormat.RGB8, 7, 1000, 3000)
CALIBRATION = IntervalModel(range_um=25.0)
FITTED = IntervalModel(
    25.0, scale_um=50.0, network=1.5, patches=0.4, distance=-0.5, importance=0.1, colour=0.3,
    background=0.2,
)  # fmt: skip


def _measured(defocus, spread=None, finite=True, importance=1.0):
    defocus = np.array(defocus, np.float32)
    spread = np.full_like(defocus, 0.3) if spread is None else np.array(spread, np.float32)
    cells = tuple((0, i) for i in range(len(defocus)))
    weights = np.broadcast_to(np.float32(importance), defocus.shape)
    return PatchDefocus(defocus, spread, weights, cells, Sparsity.SPARSE, finite)


def _aggregate(*args, interval_model=CALIBRATION, shift=None, photometry=None, **more):
    return aggregate(_measured(*args, **more), FRAME, interval_model, shift, photometry or {})


def test_median_ignores_an_outlier():
    estimate = _aggregate([3.0, 3.1, 2.9, 3.0, 19.0])
    assert isinstance(estimate, FocusEstimate)
    assert estimate.defocus_um == pytest.approx(3.0)
    assert estimate.spread_um == pytest.approx(1.4826 * 0.1, rel=1e-3)
    assert (estimate.patches, estimate.sparsity) == (5, Sparsity.SPARSE)
    assert (estimate.exposure_start_ns, estimate.exposure_mid_ns) == (1000, 2000)


def test_interval_grows_with_what_makes_it_uncertain():
    assert _aggregate([2.0] * 9).interval_um == pytest.approx(0.6, rel=1e-6)  # twice the network's
    base = _aggregate([2.0] * 9, interval_model=FITTED).interval_um
    assert base == pytest.approx(
        50 * 0.3**1.5 * 0.05**0.4 * 3.0**-0.5 * 0.002**0.1 * 0.07**0.3 * 25.0**0.2, rel=1e-5
    )
    assert _aggregate([2.0] * 9, [0.9] * 9, interval_model=FITTED).interval_um > base
    little = _aggregate([1.8, 1.8, 1.9, 2, 2, 2, 2.1, 2.2, 2.2], interval_model=FITTED).interval_um
    much = _aggregate([1, 1, 1, 2, 2, 2, 3, 3, 3], interval_model=FITTED).interval_um
    assert base < little < much
    assert _aggregate([20.0] * 9, interval_model=FITTED).interval_um < base  # a negative exponent
    grey, usual, red = (
        _aggregate([2.0] * 31, interval_model=FITTED, photometry={"colour": colour}).interval_um
        for colour in (0.0, 0.06, 0.3)
    )
    assert grey < usual < red
    dark, bright, white = (
        _aggregate([2.0] * 31, interval_model=FITTED, photometry={"background": level}).interval_um
        for level in (160.0, 231.0, 255.0)
    )
    assert bright == white < dark  # nothing but specimen is seen in a dark one
    for photometry in ({"background": 160.0}, {"colour": 0.3}):
        few = _aggregate([2.0] * 9, interval_model=FITTED, photometry=photometry).interval_um
        assert few == base  # beside few patches there is clear glass: it tells the lamp


def test_no_interval_is_narrower_than_two_standard_errors_of_the_patches():
    sure = dataclasses.replace(CALIBRATION, scale_um=1e-3)
    spread_um = 1.4826  # half of the patches are 1 um off
    answer = _aggregate([1, 1, 1, 1, 2, 3, 3, 3, 3], interval_model=sure)
    assert answer.interval_um == pytest.approx(2 * spread_um / 3)


def test_interval_has_a_factor_for_the_number_of_patches():
    wide = dataclasses.replace(CALIBRATION, factors=((2, 3.0), (9, 0.5)))
    plain = {k: _aggregate([2.0] * k).interval_um for k in (1, 2, 3, 8, 9, 31)}
    scaled = {k: _aggregate([2.0] * k, interval_model=wide).interval_um for k in plain}
    ratio = {k: scaled[k] / plain[k] for k in plain}
    assert ratio == pytest.approx({1: 3.0, 2: 3.0, 3: 3.0, 8: 3.0, 9: 0.5, 31: 0.5})


def test_interval_grows_where_the_importance_falls_short():
    doubtful = dataclasses.replace(CALIBRATION, scale_um=90.0, importance=0.5)
    base = _aggregate([2.0] * 2, interval_model=doubtful).interval_um
    short = _aggregate([2.0] * 2, interval_model=doubtful, importance=[0.7, 0.9]).interval_um
    assert short / base == pytest.approx(math.sqrt(0.202 / 0.002), rel=1e-5)  # of the mean, 0.8


def test_interval_has_a_least_width():
    sure = IntervalModel(25.0, factors=((1, 0.1),))
    assert _aggregate([2.0] * 9, [0.0] * 9, interval_model=sure).interval_um == 0.1
    narrow = dataclasses.replace(sure, least_um=0.0)  # and a spread of 0 is taken for 1 nm
    assert _aggregate([2.0] * 9, [0.0] * 9, interval_model=narrow).interval_um == pytest.approx(
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
    alone = _aggregate(defocus)
    warned = _aggregate(defocus, shift=DomainShift(3.0, "novelty", alarm=True))
    held = _aggregate(defocus, shift=DomainShift(3.0, "novelty", alarm=True, hold=True))
    if isinstance(warned, FocusEstimate):  # the controller is told, and decides
        assert warned.outside == "novelty"
        warned = dataclasses.replace(warned, outside="")
    if alone == _aggregate([25.1] * 9):  # a strange picture's distance is not even evidence
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
    dark = _aggregate(defocus, photometry={"background": least - 0.01})
    assert (dark.reason, dark.exposure_mid_ns) == (Reason.TOO_DARK, 2000)
    assert math.isnan(dark.rejected_um)
    assert math.isnan(dark.interval_um)
    lit = _aggregate(defocus, photometry={"background": least})
    assert isinstance(lit, FocusEstimate) or lit.reason is not Reason.TOO_DARK


def test_blank_and_not_finite_keep_their_reason_outside_the_training():
    outside = DomainShift(3.0, "background", alarm=True, hold=True)
    assert _aggregate([], shift=outside).reason is Reason.BLANK
    assert _aggregate([1.0], finite=False, shift=outside).reason is Reason.NOT_FINITE


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
    answer = _aggregate(defocus)
    assert isinstance(answer, NoFocus)
    assert answer.reason is reason
    assert answer.exposure_mid_ns == 2000
    assert math.isnan(answer.rejected_um) == (reason is Reason.BLANK)


def test_a_network_that_sees_two_distances_gives_none():
    wide = _aggregate([2.0] * 3, [9.0, 9.0, 9.0])
    assert isinstance(wide, NoFocus)
    assert wide.reason is Reason.AMBIGUOUS
    assert wide.rejected_um == pytest.approx(2.0)
    assert isinstance(_aggregate([2.0] * 3, [4.0, 4.0, 9.0]), FocusEstimate)  # the middle patch
    assert isinstance(_aggregate([20.0] * 3, [8.5, 8.5, 8.5]), FocusEstimate)  # 4 + 20 / 4


def test_a_patch_that_nothing_confirms_must_be_surer():
    """A bubble's rim looks like a lone cell: the network's own doubt is all there is to go by."""
    strict = dataclasses.replace(CALIBRATION, single_patch_um=3.0)
    alone = _aggregate([-19.0], [3.1], interval_model=strict)
    assert isinstance(alone, NoFocus)
    assert alone.reason is Reason.AMBIGUOUS
    assert isinstance(_aggregate([-19.0], [3.0], interval_model=strict), FocusEstimate)
    assert isinstance(_aggregate([-19.0] * 2, [3.1] * 2, interval_model=strict), FocusEstimate)
    assert isinstance(_aggregate([-19.0], [3.1]), FocusEstimate)  # a model that does not ask for it
    far = dataclasses.replace(CALIBRATION, single_patch_um=2.0, single_patch_relative=0.05)
    assert isinstance(_aggregate([-20.0], [2.9], interval_model=far), FocusEstimate)  # 2 + 20 / 20
    assert isinstance(_aggregate([-20.0], [3.1], interval_model=far), NoFocus)
    assert isinstance(_aggregate([10.0], [2.9], interval_model=far), NoFocus)


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
    speck = _aggregate(
        [9.0], [1.0], interval_model=dataclasses.replace(strict, few_importance=1.01)
    )
    assert isinstance(speck, NoFocus)
    assert speck.reason is Reason.AMBIGUOUS


def test_range_is_inclusive():
    assert isinstance(_aggregate([25.0] * 9), FocusEstimate)


def test_not_finite_wins():
    assert _aggregate([1.0, 2.0], finite=False).reason is Reason.NOT_FINITE
    assert _aggregate([], finite=False).reason is Reason.NOT_FINITE


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(derandomize=True)
@given(arrays.arrays(np.float32, 3, elements=floats), arrays.arrays(np.float32, 3, elements=floats))
def test_any_finite_answer_is_an_estimate_inside_the_range_or_a_reason(defocus, spread):
    answer = _aggregate(defocus, spread, interval_model=FITTED)
    if isinstance(answer, FocusEstimate):
        assert abs(answer.defocus_um) <= 25
        assert 0 <= answer.interval_um < math.inf


def _manifest(**calibration):
    return Manifest("dpn", "dpn.onnx", "0" * 64, (), (), NOMINAL_OPTICS, calibration=calibration)


def test_calibration_comes_from_the_manifest():
    shipped = IntervalModel(range_um=NOMINAL_OPTICS.range_um)
    got = IntervalModel.of(_manifest(interval={"scale_um": 0.5, "distance": -2}, other=1))
    assert got == dataclasses.replace(shipped, scale_um=0.5, distance=-2.0)
    assert IntervalModel.of(_manifest()) == shipped
    new = {"importance": 0.7, "least_um": 0.2, "factors": {"9": 1.5, "1": 2}}
    assert IntervalModel.of(_manifest(interval=new)) == dataclasses.replace(
        shipped, importance=0.7, least_um=0.2, factors=((1, 2.0), (9, 1.5))
    )


def test_the_law_of_so_many_patches_is_the_one_applied():
    table = {"scale_um": {"1": 2, "31": 5}, "network": {"1": 1, "9": 0.5}, "patches": 0.3}
    got = IntervalModel.of(_manifest(interval=table))
    assert (got.scale_um, got.network) == (((1, 2.0), (31, 5.0)), ((1, 1.0), (9, 0.5)))
    for k, scale_um, network in ((1, 2.0, 1.0), (8, 2.0, 1.0), (9, 2.0, 0.5), (31, 5.0, 0.5)):
        plain = IntervalModel(got.range_um, scale_um=scale_um, network=network, patches=0.3)
        assert got.interval_um(3.0, 0.4, 1.0, k) == plain.interval_um(3.0, 0.4, 1.0, k)
    assert got.widened(2.0).interval_um(3.0, 0.4, 1.0, 9) == pytest.approx(
        2.0 * got.interval_um(3.0, 0.4, 1.0, 9)
    )


def test_the_best_of_more_patches_are_judged_by_the_law_of_few():
    """Nine of thirty agree better than all thirty would: the coefficients of nine are not for
    them."""
    interval_model = IntervalModel(
        25.0, scale_um=((1, 3.0), (9, 1.0)), network=((1, 1.0), (9, 0.5)),
        factors=((1, 1.0), (3, 2.0), (9, 1.0)),
    )  # fmt: skip
    for k in (9, 31):
        whole = _aggregate([2.0] * k, interval_model=interval_model)
        measured = dataclasses.replace(_measured([2.0] * k), left_out=1)
        best = aggregate(measured, FRAME, interval_model)
        assert whole.interval_um == pytest.approx(0.3**0.5, rel=1e-6)
        assert best.interval_um == pytest.approx(2.0 * 3.0 * 0.3, rel=1e-6)
        assert best.defocus_um == whole.defocus_um
    for k in (1, 3, 8):
        measured = dataclasses.replace(_measured([2.0] * k), left_out=5)
        assert aggregate(measured, FRAME, interval_model) == _aggregate(
            [2.0] * k, interval_model=interval_model
        )


@pytest.mark.parametrize(
    "bad",
    [
        {"flor": 1},
        {"scale_um": 0},
        {"scale_um": "1"},
        {"scale_um": math.nan},
        {"network": None},
        {"network": -0.1},
        {"patches": -0.1},
        {"distance": 4.1},
        {"distance": math.nan},
        {"colour": -4.1},
        {"background": -0.1},
        {"single_patch_relative": -0.1},
        {"floor_um": 0.3},
        {"range_um": 99},
        {"importance": -0.1},
        {"factors": {}},
        {"factors": {"1": 0}},
        {"factors": {"1": -1}},
        {"factors": {"1": 1, "two": 1}},
        {"factors": {"0": 1}},
        {"factors": {"82": 1}},
        {"factors": {"01": 1}},
        {"factors": [1]},
        {"network": {}},
        {"network": {"1": 1, "31": -0.1}},
        {"patches": {"0": 1}},
        {"scale_um": {"1": 0}},
        {"distance": {"1": 0.5, "9": 4.1}},
        {"least_um": {"1": 0.1}},
    ],
)
def test_impossible_calibration_is_rejected(bad):
    with pytest.raises(EngineRejected, match=r"calibration\.interval"):
        IntervalModel.of(_manifest(interval=bad))


def test_names_of_earlier_manifests_are_read():
    today = {"single_patch_um": 1.6, "single_patch_relative": 0.04, "background": 0.2}
    former = {"lone_um": 1.6, "lone_relative": 0.04, "ground": 0.2}
    assert IntervalModel.of(_manifest(interval=former)) == IntervalModel.of(
        _manifest(interval=today)
    )
    with pytest.raises(EngineRejected, match=r"calibration\.interval\.lone_um"):
        IntervalModel.of(_manifest(interval={**former, **today}))


def test_calibration_that_is_no_object_is_rejected():
    with pytest.raises(EngineRejected, match=r"calibration\.interval"):
        IntervalModel.of(_manifest(interval=[1]))


def test_depth_of_field_is_the_papers():
    objective = Objective(na=0.75, magnification=20, um_per_px=0.34)
    assert objective.depth_of_field_um == pytest.approx(1.21, abs=0.01)
    assert 0.57 <= objective.half_depth_um <= 0.67
    assert objective.deadband_um == objective.half_depth_um / 2
