"""How far a frame lies outside the training: each witness alone, the worst of them, and what the
loop does about it."""

import dataclasses
import json
import math
import time
import timeit

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.appliance.focus import verb as focus_verb
from edge.appliance.frame_result import FrameResult
from edge.appliance.report.focus_record import FieldRecord
from edge.camera import Frame, PixelFormat
from edge.decide.controllers import SingleFrame
from edge.decide.decision import Decision
from edge.errors import EngineRejected
from edge.latency import Lap
from edge.loop import step
from edge.measure.aggregate import FocusEstimate, Reason
from edge.measure.defocus import Defocus, PatchDefocus
from edge.measure.importance import ClassRule, Sparsity
from edge.measure.photometry import PHOTOMETRY, photometry_of
from edge.measure.sensor import CpuMeasurer, measure
from edge.measure.training_range import FEATURES, WORST, Bound, DomainShift, TrainingRange, features
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.rig import build_rig
from edge.settings import CameraSettings, Config, LoopSettings, ModelSettings, StageSettings
from engines import manifest as manifests
from engines.manifest import NOMINAL_OPTICS, Manifest, Output
from tests.support.fake_microscope import Clock, FakeCamera, FakeStage
from tests.support.tiny_models import write_dpn, write_rin

OBJECTIVE = Objective(na=0.75, magnification=20, um_per_px=0.34)
OUTPUTS = tuple(
    Output(name, shape, "1")
    for name, shape in (
        ("defocus_um", ("k",)), ("spread_um", ("k",)), ("optics", ("k", 4)), ("novelty", ("k",))
    )
)  # fmt: skip
BOUNDS = {"spherical aberration": [0.2, 0.8], "axial colour": [0.8, 1.2], "novelty": 2.0}


def _patches(optics=None, novelty=None, k=3):
    ones = np.ones(k, np.float32)
    return PatchDefocus(
        ones, ones, ones, tuple((0, i) for i in range(k)), Sparsity.EX_SPARSE, True,
        None if optics is None else np.array(optics, np.float32),
        None if novelty is None else np.array(novelty, np.float32),
    )  # fmt: skip


def _training_range(bounds, action="warn", combine="weighted", outputs=OUTPUTS):
    given = {"action": action, "combine": combine, "bounds": bounds}
    calibration = {"envelope": json.loads(json.dumps(given))}
    return TrainingRange.of(
        Manifest("dpn", "dpn.onnx", "0" * 64, (), outputs, NOMINAL_OPTICS, calibration=calibration)
    )


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
        _training_range({"novelty": bad})


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
        _training_range({feature: [0.5, 1.0]}, outputs=OUTPUTS[:2])
    assert _training_range({"colour": [0.5, 1.0]}, outputs=OUTPUTS[:2]).bounds


# --- the patches' witnesses


@pytest.mark.parametrize("combine", ["weighted", "median"])
def test_patches_agree_on_one_value(combine):
    optics = [[0.5, 0.1, 1.0, 0.2], [0.5, 0.1, 1.0, 0.2], [0.5, 0.1, 1.0, 0.2]]
    values = features({}, _patches(optics, [1.0, 7.0, 2.0]), combine)
    assert values["spherical aberration"] == pytest.approx((0.5, math.hypot(0.1, 0.03)))
    assert values["axial colour"] == pytest.approx((1.0, math.hypot(0.2, 0.05)))
    assert values["novelty"] == (2.0, 0.0)


def test_sure_patches_weigh_more_but_none_decides_alone():
    sure, vague = [0.9, 1e-6, 0.7, 1e-6], [0.4, 0.09, 1.0, 0.15]
    values = features({}, _patches([sure, vague, vague]), "weighted")
    w = 1 / 0.03**2, 1 / (0.09**2 + 0.03**2)
    mean = (w[0] * 0.9 + 2 * w[1] * 0.4) / (w[0] + 2 * w[1])
    assert values["spherical aberration"][0] == pytest.approx(mean)
    assert 0.4 < mean < 0.9
    assert features({}, _patches([sure, vague, vague]), "median")["axial colour"][0] == (
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
    training_range = _training_range(BOUNDS)
    shift = training_range({}, _patches([optics] * 3, [novelty] * 3))
    assert shift == DomainShift(pytest.approx(score), feature, score > 1)


def test_few_patches_have_their_own_bound():
    training_range = _training_range({"novelty": {"1": 4.0, "9": 2.0}})
    alarms = [training_range({}, _patches(novelty=[3.0] * k, k=k)).alarm for k in (1, 8, 9, 31)]
    assert alarms == [False, False, True, True]


def test_without_bounds_or_witnesses_nothing_is_claimed():
    known = _patches([[9.0, 0, 9.0, 0]] * 3, [99.0] * 3)
    assert TrainingRange()({"colour": 1.0}, known) is None
    assert (
        TrainingRange.of(Manifest("dpn", "d", "0" * 64, (), (), NOMINAL_OPTICS)) == TrainingRange()
    )
    assert _training_range(BOUNDS)({"colour": 1.0}, _patches()) is None
    assert _training_range({"colour": 0.5})({"colour": 1.0}, _patches(k=0)).alarm


numbers = st.floats(allow_nan=True, allow_infinity=True, width=32)


@settings(derandomize=True, max_examples=60)
@given(st.lists(numbers, min_size=5, max_size=5))
def test_any_answer_has_a_score_that_json_can_say(values):
    training_range = _training_range(BOUNDS, "hold")
    with np.errstate(all="ignore"):
        shift = training_range({}, _patches([values[:4]] * 3, [values[4]] * 3))
    json.dumps(dataclasses.asdict(shift), allow_nan=False)
    assert shift.hold == shift.alarm == (not shift.score <= 1)


# --- light and colour


def _small(red, green, blue):
    picture = np.empty((1, 512, 512, 3), np.uint8)
    picture[...] = red, green, blue
    return picture


def test_photometry_of_plain_pictures():
    plain = photometry_of(_small(200, 100, 50))
    assert set(plain) == set(PHOTOMETRY)
    assert plain["background"] == pytest.approx(350 / 3)
    assert plain["red balance"] == pytest.approx(math.log2(201 / 101))
    assert plain["blue balance"] == pytest.approx(math.log2(51 / 101))
    assert (plain["saturated"], plain["black"], plain["contrast"]) == (0.0, 0.0, 0.0)
    assert plain["colour"] == pytest.approx(150 / 200)
    assert photometry_of(_small(255, 128, 0))["saturated"] == 1.0
    assert photometry_of(_small(255, 128, 0))["black"] == 1.0
    assert photometry_of(_small(90, 90, 90))["colour"] == 0.0


def test_photometry_counts_shares_and_sees_the_ground_behind_the_specimen():
    picture = _small(180, 180, 180)
    picture[0, :128, :, 1] = 255  # a quarter burnt out in one channel
    picture[0, 500:, :, :] = 0
    light = photometry_of(picture)
    assert light["saturated"] == pytest.approx(0.25, abs=0.02)
    assert light["black"] == pytest.approx(12 / 512, abs=0.01)
    specimen = _small(230, 230, 230)
    specimen[0, :, : int(512 * 0.9)] = 60  # nine tenths are covered
    assert photometry_of(specimen)["background"] == 230
    assert photometry_of(specimen)["contrast"] > photometry_of(_small(60, 60, 60))["contrast"]


@pytest.mark.parametrize("level", [0, 1, 255])
def test_photometry_is_finite_on_any_even_picture(level):
    assert all(map(math.isfinite, photometry_of(_small(level, level, level)).values()))


def test_photometry_is_cheap():
    picture = np.random.default_rng(0).integers(0, 256, (1, 512, 512, 3), np.uint8)
    patches = _patches(np.full((31, 4), 0.5), np.ones(31), k=31)
    training_range = _training_range({**BOUNDS, **{name: [-99.0, 999.0] for name in PHOTOMETRY}})
    judge = timeit.Timer(
        lambda: training_range(photometry_of(picture), patches), timer=time.process_time
    )
    assert min(judge.repeat(repeat=40, number=5)) / 5 < 1e-3  # 0.3 ms on a busy core


# --- in the loop


def _picture(blue=30):
    pixels = np.full((2048, 2448, 3), (0, 255, blue), np.uint8)
    for i in (1, 3, 5):
        y, x = 16 + 224 * i, 216 + 224 * i
        pixels[y : y + 224, x : x + 224] = (128 + 4 * 6, 0, blue)  # 6 um too low
    return pixels


def _see(models, pixels):
    sensor, nets = build_sensor(ModelSettings(*models, threads=1), OBJECTIVE, ClassRule())
    lap = Lap()
    measurement = measure(sensor, Frame(pixels, PixelFormat.RGB8, 0, 0, 0), lap)
    for net in nets:
        net.close()
    return measurement


def _calibration(action):
    return {"action": action, "combine": "weighted", "bounds": BOUNDS}


@pytest.fixture
def models(tmp_path):
    """Two networks whose DPN was not calibrated: measured off the instrument only."""
    (tmp_path / "plain").mkdir()
    return write_rin(tmp_path / "plain"), write_dpn(tmp_path / "plain", calibration={})


def test_outputs_are_found_by_name(witnesses):
    measurement = _see(witnesses(), _picture())
    assert measurement.estimate.defocus_um == 6.0
    assert measurement.patches.spread_um.tolist() == pytest.approx([0.3] * 3)
    np.testing.assert_allclose(measurement.patches.optics, [[0.3, 0.05, 1.0, 0.1]] * 3, rtol=1e-6)
    assert measurement.patches.novelty.tolist() == pytest.approx([1.0] * 3)
    assert measurement.shift is None
    assert measurement.photometry["colour"] > 0.5


def test_a_model_without_witnesses_works_as_before(models):
    measurement = _see(models, _picture())
    assert isinstance(measurement.estimate, FocusEstimate)
    assert (measurement.patches.optics, measurement.patches.novelty, measurement.shift) == (
        None,
        None,
        None,
    )


@pytest.mark.parametrize(("blue", "alarm"), [(40, False), (95, True)])
@pytest.mark.parametrize("action", ["warn", "hold"])
def test_only_hold_takes_the_estimate_away(witnesses, blue, alarm, action):
    measurement = _see(witnesses(envelope=_calibration(action)), _picture(blue))
    assert measurement.shift.alarm is alarm
    if alarm and action == "hold":
        assert measurement.estimate.reason is Reason.OUTSIDE_TRAINING
        assert measurement.estimate.rejected_um == 6.0
    else:
        assert measurement.estimate.defocus_um == 6.0


class Pictures(FakeCamera):
    def next(self, timeout_s):
        return dataclasses.replace(super().next(timeout_s), pixels=_picture(95))


@pytest.mark.parametrize(("action", "moves"), [("hold", []), ("warn", [6.0])])
def test_no_glass_moves_on_a_frame_outside_the_training(witnesses, action, moves):
    clock = Clock()
    config = Config(
        CameraSettings("recorded", 50.0),
        StageSettings("binary", -100.0, 100.0, 1),
        OBJECTIVE,
        ModelSettings(*witnesses(envelope=_calibration(action)), threads=1),
    )
    rig = build_rig(config, Pictures(clock), FakeStage(clock), clock)
    outcomes = [step(rig) for _ in range(5 if action == "hold" else 1)]
    if action == "hold":
        ends = {(outcome.decision, outcome.reason) for outcome in outcomes}
        assert ends == {(Decision.HOLD, "outside-training")}
    assert rig.stage.moves == moves
    assert outcomes[0].measurement.shift.alarm
    record = FieldRecord(0, "cell", "ex-sparse", 0.0, None, 0.0, 0.0, outcomes)
    shift = record.as_json()["frames"][0]["shift"]
    assert (shift["feature"], shift["alarm"]) == ("novelty", True)
    rig.close()


def test_the_focus_verb_tells_the_shift(witnesses, models, capsys):
    inside = _see(witnesses(envelope=_calibration("warn")), _picture())
    outside = _see(witnesses(envelope=_calibration("hold")), _picture(95))
    alone = SingleFrame(LoopSettings(deadband_um=0.3), Objective(0.75, 20, 0.34))
    rows = [
        focus_verb._as_json(FrameResult.of(measurement, alone.plan(measurement.estimate)))
        for measurement in (inside, outside, _see(models, _picture()))
    ]
    assert [row["shift"] and row["shift"]["alarm"] for row in rows] == [False, True, None]
    assert rows[1]["shift"]["score"] == pytest.approx(95 / 60)
    assert (rows[1]["decision"], rows[1]["reason"]) == ("HOLD", "outside-training")
    focus_verb._print([{**row, "file": "x", "latency_ms": {"total": 9.0}} for row in rows])
    lines = capsys.readouterr().out.splitlines()
    assert "shift 0.67, 9 ms" in lines[0]
    assert "OUTSIDE THE TRAINING (novelty, shift 1.58)" in lines[1]
    assert "shift" not in lines[2]


# --- models that cannot be used


@pytest.mark.parametrize(
    ("outputs", "why"),
    [
        (OUTPUTS[1:], "has no output defocus_um"),
        (OUTPUTS[:1], "has no output spread_um"),
        ((*OUTPUTS[:2], Output("optics", ("k",), "1")), "optics has shape"),
        ((*OUTPUTS[:2], Output("optics", ("k", 3), "1")), "optics has shape"),
        ((*OUTPUTS[:2], Output("novelty", ("k", 1), "1")), "novelty has shape"),
    ],
)
def test_outputs_that_are_not_a_dpns_are_rejected(outputs, why):
    engine = type("E", (), {})()
    engine.manifest = Manifest("dpn", "dpn.onnx", "0" * 64, (), outputs, NOMINAL_OPTICS)
    with pytest.raises(manifests.EngineRejected, match=why):
        Defocus(engine, None)


def test_a_free_dimension_and_unknown_outputs_are_accepted():
    engine = type("E", (), {})()
    outputs = (Output("defocus_um", (-1,), "um"), *OUTPUTS[1:], Output("later", (1,), "1"))
    engine.manifest = Manifest("dpn", "dpn.onnx", "0" * 64, (), outputs, NOMINAL_OPTICS)
    Defocus(engine, None)


def test_an_impossible_envelope_stops_the_start(witnesses):
    models = witnesses(envelope={"action": "hold"})
    with pytest.raises(EngineRejected, match=r"calibration\.envelope must have"):
        build_sensor(ModelSettings(*models, threads=1), OBJECTIVE, ClassRule())


def test_every_feature_is_named_once():
    assert len(set(FEATURES)) == len(FEATURES) == 3 + len(PHOTOMETRY)
    assert CpuMeasurer(None, None, None, None).training_range == TrainingRange()
