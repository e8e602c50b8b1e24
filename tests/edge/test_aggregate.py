"""Median, spread, interval and the reasons for having none."""

import dataclasses
import math

import numpy as np
import pytest
from fake_microscope import PIXELS
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from edge.aggregate import Calibration, FocusEstimate, NoFocus, Reason, aggregate
from edge.camera import Frame, PixelFormat
from edge.defocus import PatchDefocus
from edge.importance import Sparsity
from edge.optics import Objective
from engines.manifest import NOMINAL_OPTICS, EngineRejected, Manifest

FRAME = Frame(PIXELS, PixelFormat.RGB8, 7, 1000, 3000)
CALIBRATION = Calibration(range_um=25.0)


def _measured(defocus, spread=None, finite=True):
    defocus = np.array(defocus, np.float32)
    spread = np.full_like(defocus, 0.3) if spread is None else np.array(spread, np.float32)
    cells = tuple((0, i) for i in range(len(defocus)))
    ones = np.ones_like(defocus)
    return PatchDefocus(defocus, spread, ones, cells, Sparsity.SPARSE, finite)


def _aggregate(*args, **more):
    return aggregate(_measured(*args, **more), FRAME, CALIBRATION)


def test_median_ignores_an_outlier():
    estimate = _aggregate([3.0, 3.1, 2.9, 3.0, 19.0])
    assert isinstance(estimate, FocusEstimate)
    assert estimate.defocus_um == pytest.approx(3.0)
    assert estimate.spread_um == pytest.approx(1.4826 * 0.1, rel=1e-3)
    assert (estimate.patches, estimate.sparsity) == (5, Sparsity.SPARSE)
    assert (estimate.exposure_start_ns, estimate.exposure_mid_ns) == (1000, 2000)


def test_interval_grows_with_what_makes_it_uncertain():
    base = _aggregate([2.0] * 9).interval_um
    assert base == pytest.approx(math.hypot(0.3, 0.3 * (1 + 1 / 3), 0.05 * 2.0), rel=1e-6)
    assert _aggregate([2.0] * 3).interval_um > base
    assert _aggregate([2.0] * 9, [0.9] * 9).interval_um > base
    assert _aggregate([1, 1.5, 2, 2, 2, 2, 2, 2.5, 3]).interval_um >= base
    assert _aggregate([20.0] * 9).interval_um > base
    assert _aggregate([2.0]).interval_um > _aggregate([2.0] * 3).interval_um


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


def test_range_is_inclusive():
    assert isinstance(_aggregate([25.0] * 9), FocusEstimate)


def test_not_finite_wins():
    assert _aggregate([1.0, 2.0], finite=False).reason is Reason.NOT_FINITE
    assert _aggregate([], finite=False).reason is Reason.NOT_FINITE


floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(derandomize=True)
@given(arrays.arrays(np.float32, 3, elements=floats), arrays.arrays(np.float32, 3, elements=floats))
def test_any_finite_answer_is_an_estimate_inside_the_range_or_a_reason(defocus, spread):
    answer = _aggregate(defocus, spread)
    if isinstance(answer, FocusEstimate):
        assert abs(answer.defocus_um) <= 25
        assert 0 <= answer.interval_um < math.inf


def _manifest(**calibration):
    return Manifest("dpn", "dpn.onnx", "0" * 64, (), (), NOMINAL_OPTICS, calibration=calibration)


def test_calibration_comes_from_the_manifest():
    shipped = Calibration(range_um=NOMINAL_OPTICS.range_um)
    got = Calibration.of(_manifest(interval={"floor_um": 0.5, "network": 2}, other=1))
    assert got == dataclasses.replace(shipped, floor_um=0.5, network=2)
    assert Calibration.of(_manifest()) == shipped


@pytest.mark.parametrize(
    "bad", [{"flor": 1}, {"floor_um": -1}, {"floor_um": "1"}, {"network": None}, {"range_um": 99}]
)
def test_impossible_calibration_is_rejected(bad):
    with pytest.raises(EngineRejected, match=r"calibration\.interval"):
        Calibration.of(_manifest(interval=bad))


def test_calibration_that_is_no_object_is_rejected():
    with pytest.raises(EngineRejected, match=r"calibration\.interval"):
        Calibration.of(_manifest(interval=[1]))


def test_depth_of_field_is_the_papers():
    objective = Objective(na=0.75, magnification=20, um_per_px=0.34)
    assert objective.depth_of_field_um == pytest.approx(1.21, abs=0.01)
    assert 0.57 <= objective.half_depth_um <= 0.67
    assert objective.deadband_um == objective.half_depth_um / 2
    assert objective.object_um(224) == pytest.approx(76.16)
