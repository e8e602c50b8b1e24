"""How far a frame lies outside the training: each witness alone, the worst of them, and what the
loop does about it."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.measure.photometry import PHOTOMETRY
from edge.measure.sensor import CpuMeasurer
from edge.measure.training_range import FEATURES, WORST, Bound, DomainShift, TrainingRange, features
from engines import manifest as manifests
from engines.manifest import NOMINAL_OPTICS, Manifest
from tests.support.known_range import BOUNDS, OUTPUTS, patches_of, training_range_of

# --- one bound


def test_score_is_the_distance_from_the_middle_in_half_widths():
    bound = Bound.of([0.2, 0.8])
    assert [bound.score(v, 0.0) for v in (0.5, 0.2, 0.8, 1.1, -0.1)] == pytest.approx(
        [0.0, 1.0, 1.0, 2.0, 2.0]
    )
    assert Bound.of(4).score(6.0, 9.0) == 1.5  # one-sided: no deviation, no low


def test_a_vague_estimate_does_not_alarm():
    bound = Bound.of([0.2, 0.8, 2.0])
    assert bound.score(1.0, 0.0) == pytest.approx(0.5 / 0.3)
    assert bound.score(1.0, 0.1) == pytest.approx(1.0)
    assert bound.score(1.0, 0.3) < 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e300])
def test_what_is_not_a_number_is_outside(value):
    assert Bound.of([0.2, 0.8]).score(value, 0.0) == WORST
    if not value < 0:
        assert Bound.of(2.0).score(value, 0.0) == WORST


@pytest.mark.parametrize(
    "bad",
    [0, -1, True, "1", None, math.nan, math.inf, [1], [1, 1], [2, 1], [1, 2, -1], [1, 2, 3, 4],
     [1, "2"], [0, 1e9], [0, math.nan], 1e-300, {}, {"x": 1}, {"1": 0}, {"0": 1}],
)  # fmt: skip
def test_impossible_bounds_are_rejected(bad):
    with pytest.raises(
        manifests.EngineRejected, match=r"dpn\.onnx: calibration\.envelope.*novelty"
    ):
        training_range_of({"novelty": bad})


@pytest.mark.parametrize(
    "bad",
    [
        [],
        {},
        {"action": "warn", "combine": "median"},
        {"action": "stop", "combine": "median", "bounds": {"novelty": 1}},
        {"action": ["warn"], "combine": "median", "bounds": {"novelty": 1}},
        {"action": "warn", "combine": "mean", "bounds": {"novelty": 1}},
        {"action": "warn", "combine": "median", "bounds": {}},
        {"action": "warn", "combine": "median", "bounds": [1]},
        {"action": "warn", "combine": "median", "bounds": {"coma": 1}},
        {"action": "warn", "combine": "median", "bounds": {"novelty": 1}, "more": 1},
    ],
)
def test_impossible_envelopes_are_rejected(bad):
    with pytest.raises(manifests.EngineRejected, match=r"calibration\.envelope"):
        TrainingRange.of(
            Manifest("dpn", "d", "0" * 64, (), OUTPUTS, NOMINAL_OPTICS,
                     calibration={"envelope": bad})
        )  # fmt: skip


@pytest.mark.parametrize("feature", ["novelty", "spherical aberration", "axial colour"])
def test_a_bound_needs_the_output_it_judges(feature):
    with pytest.raises(manifests.EngineRejected, match="needs the output"):
        training_range_of({feature: [0.5, 1.0]}, outputs=OUTPUTS[:2])
    assert training_range_of({"colour": [0.5, 1.0]}, outputs=OUTPUTS[:2]).bounds


# --- the patches' witnesses


@pytest.mark.parametrize("combine", ["weighted", "median"])
def test_patches_agree_on_one_value(combine):
    optics = [[0.5, 0.1, 1.0, 0.2], [0.5, 0.1, 1.0, 0.2], [0.5, 0.1, 1.0, 0.2]]
    values = features({}, patches_of(optics, [1.0, 7.0, 2.0]), combine)
    assert values["spherical aberration"] == pytest.approx((0.5, math.hypot(0.1, 0.03)))
    assert values["axial colour"] == pytest.approx((1.0, math.hypot(0.2, 0.05)))
    assert values["novelty"] == (2.0, 0.0)


def test_sure_patches_weigh_more_but_none_decides_alone():
    sure, vague = [0.9, 1e-6, 0.7, 1e-6], [0.4, 0.09, 1.0, 0.15]
    values = features({}, patches_of([sure, vague, vague]), "weighted")
    w = 1 / 0.03**2, 1 / (0.09**2 + 0.03**2)
    mean = (w[0] * 0.9 + 2 * w[1] * 0.4) / (w[0] + 2 * w[1])
    assert values["spherical aberration"][0] == pytest.approx(mean)
    assert 0.4 < mean < 0.9
    assert features({}, patches_of([sure, vague, vague]), "median")["axial colour"][0] == (
        pytest.approx(1.0)
    )


@pytest.mark.parametrize(
    ("optics", "novelty", "feature", "score"),
    [
        ([0.5, 0, 1.0, 0], 1.0, "novelty", 0.5),
        ([0.95, 0, 1.0, 0], 1.0, "spherical aberration", 1.5),
        ([0.05, 0, 1.0, 0], 1.0, "spherical aberration", 1.5),
        ([0.5, 0, 1.6, 0], 1.0, "axial colour", 3.0),
        ([0.5, 0, 1.0, 0], 9.0, "novelty", 4.5),
        ([0.95, 0, 1.6, 0], 9.0, "novelty", 4.5),
    ],
)
def test_the_worst_feature_decides_and_is_named(optics, novelty, feature, score):
    training_range = training_range_of(BOUNDS)
    shift = training_range({}, patches_of([optics] * 3, [novelty] * 3))
    assert shift == DomainShift(pytest.approx(score), feature, score > 1)


def test_few_patches_have_their_own_bound():
    training_range = training_range_of({"novelty": {"1": 4.0, "9": 2.0}})
    alarms = [training_range({}, patches_of(novelty=[3.0] * k, k=k)).alarm for k in (1, 8, 9, 31)]
    assert alarms == [False, False, True, True]


def test_without_bounds_or_witnesses_nothing_is_claimed():
    known = patches_of([[9.0, 0, 9.0, 0]] * 3, [99.0] * 3)
    assert TrainingRange()({"colour": 1.0}, known) is None
    assert (
        TrainingRange.of(Manifest("dpn", "d", "0" * 64, (), (), NOMINAL_OPTICS)) == TrainingRange()
    )
    assert training_range_of(BOUNDS)({"colour": 1.0}, patches_of()) is None
    assert training_range_of({"colour": 0.5})({"colour": 1.0}, patches_of(k=0)).alarm


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


@settings(derandomize=True, max_examples=60)
@given(st.lists(numbers, min_size=5, max_size=5))
def test_any_answer_has_a_score_that_json_can_say(values):
    training_range = training_range_of(BOUNDS, "hold")
    with np.errstate(all="ignore"):
        shift = training_range({}, patches_of([values[:4]] * 3, [values[4]] * 3))
    json.dumps(dataclasses.asdict(shift), allow_nan=False)
    assert shift.hold == shift.alarm == (not shift.score <= 1)


def test_every_feature_is_named_once():
    assert len(set(FEATURES)) == len(FEATURES) == 3 + len(PHOTOMETRY)
    assert CpuMeasurer(None, None, None, None).training_range == TrainingRange()
