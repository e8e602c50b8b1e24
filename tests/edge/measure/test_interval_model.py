"""The interval's coefficients as the manifest has them, and those that are impossible."""

import dataclasses
import math

import pytest

from edge.measure.aggregate import aggregate
from edge.measure.interval import IntervalModel
from engines.manifest import NOMINAL_OPTICS, EngineRejected, Manifest
from tests.support.patch_answers import FRAME, aggregate_of, patch_answers


def manifest_of(**calibration):
    return Manifest("dpn", "dpn.onnx", "0" * 64, (), (), NOMINAL_OPTICS, calibration=calibration)


def test_calibration_comes_from_the_manifest():
    shipped = IntervalModel(range_um=NOMINAL_OPTICS.range_um)
    got = IntervalModel.of(manifest_of(interval={"scale_um": 0.5, "distance": -2}, other=1))
    assert got == dataclasses.replace(shipped, scale_um=0.5, distance=-2.0)
    assert IntervalModel.of(manifest_of()) == shipped
    new = {"importance": 0.7, "least_um": 0.2, "factors": {"9": 1.5, "1": 2}}
    assert IntervalModel.of(manifest_of(interval=new)) == dataclasses.replace(
        shipped, importance=0.7, least_um=0.2, factors=((1, 2.0), (9, 1.5))
    )


def test_the_coefficients_for_so_many_patches_are_those_applied():
    table = {"scale_um": {"1": 2, "31": 5}, "network": {"1": 1, "9": 0.5}, "patches": 0.3}
    got = IntervalModel.of(manifest_of(interval=table))
    assert (got.scale_um, got.network) == (((1, 2.0), (31, 5.0)), ((1, 1.0), (9, 0.5)))
    for k, scale_um, network in ((1, 2.0, 1.0), (8, 2.0, 1.0), (9, 2.0, 0.5), (31, 5.0, 0.5)):
        plain = IntervalModel(got.range_um, scale_um=scale_um, network=network, patches=0.3)
        assert got.interval_um(3.0, 0.4, 1.0, k) == plain.interval_um(3.0, 0.4, 1.0, k)
    assert got.widened(2.0).interval_um(3.0, 0.4, 1.0, 9) == pytest.approx(
        2.0 * got.interval_um(3.0, 0.4, 1.0, 9)
    )


def test_the_best_of_more_patches_are_judged_as_few():
    """Nine of thirty agree better than all thirty would: the coefficients of nine are not for
    them."""
    interval_model = IntervalModel(
        25.0, scale_um=((1, 3.0), (9, 1.0)), network=((1, 1.0), (9, 0.5)),
        factors=((1, 1.0), (3, 2.0), (9, 1.0)),
    )  # fmt: skip
    for k in (9, 31):
        whole = aggregate_of([2.0] * k, interval_model=interval_model)
        measured = dataclasses.replace(patch_answers([2.0] * k), left_out=1)
        best = aggregate(measured, FRAME, interval_model)
        assert whole.interval_um == pytest.approx(0.3**0.5, rel=1e-6)
        assert best.interval_um == pytest.approx(2.0 * 3.0 * 0.3, rel=1e-6)
        assert best.defocus_um == whole.defocus_um
    for k in (1, 3, 8):
        measured = dataclasses.replace(patch_answers([2.0] * k), left_out=5)
        assert aggregate(measured, FRAME, interval_model) == aggregate_of(
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
        IntervalModel.of(manifest_of(interval=bad))


def test_names_of_earlier_manifests_are_read():
    today = {"single_patch_um": 1.6, "single_patch_relative": 0.04, "background": 0.2}
    former = {"lone_um": 1.6, "lone_relative": 0.04, "ground": 0.2}
    assert IntervalModel.of(manifest_of(interval=former)) == IntervalModel.of(
        manifest_of(interval=today)
    )
    with pytest.raises(EngineRejected, match=r"calibration\.interval\.lone_um"):
        IntervalModel.of(manifest_of(interval={**former, **today}))


def test_calibration_that_is_no_object_is_rejected():
    with pytest.raises(EngineRejected, match=r"calibration\.interval"):
        IntervalModel.of(manifest_of(interval=[1]))
