"""A frame outside the training in the loop: the alarm, what is held, what stops the start."""

import dataclasses

import numpy as np
import pytest

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
from edge.measure.defocus import Defocus
from edge.measure.importance import ClassRule
from edge.measure.sensor import measure
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.rig import build_rig
from edge.settings import CameraSettings, Config, LoopSettings, ModelSettings, StageSettings
from engines import manifest as manifests
from engines.manifest import NOMINAL_OPTICS, Manifest, Output
from tests.support.fake_microscope import Clock, FakeCamera, FakeStage
from tests.support.known_range import BOUNDS, OBJECTIVE, OUTPUTS
from tests.support.tiny_models import write_dpn, write_rin

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


@pytest.mark.parametrize(
    ("action", "held", "moves"), [("hold", False, []), ("warn", True, []), ("warn", False, [6.0])]
)
def test_no_glass_moves_on_a_frame_outside_the_training(witnesses, action, held, moves):
    """Where the model asks for it, or the loop's setting: by default."""
    assert LoopSettings().hold_outside_training
    clock = Clock()
    config = Config(
        CameraSettings("recorded", 50.0),
        StageSettings("binary", -100.0, 100.0, 1),
        OBJECTIVE,
        ModelSettings(*witnesses(envelope=_calibration(action)), threads=1),
        LoopSettings(hold_outside_training=held),
    )
    rig = build_rig(config, Pictures(clock), FakeStage(clock), clock)
    outcomes = [step(rig) for _ in range(1 if moves else 5)]
    if not moves:
        ends = {(outcome.decision, outcome.reason) for outcome in outcomes}
        why = "outside-training: novelty" if held else "outside-training"
        assert ends == {(Decision.HOLD, why)}
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
        focus_verb._as_json(
            FrameResult.of(measurement, alone.plan(measurement.estimate)), alone.scale
        )
        for measurement in (inside, outside, _see(models, _picture()))
    ]
    assert [row["shift"] and row["shift"]["alarm"] for row in rows] == [False, True, None]
    assert rows[1]["shift"]["score"] == pytest.approx(95 / 60)
    assert (rows[1]["decision"], rows[1]["reason"]) == ("HOLD", "outside-training")
    more = {"file": "x", "latency_ms": {"total": 9.0}, "scale": dataclasses.asdict(alone.scale)}
    focus_verb._print([{**row, **more} for row in rows])
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
