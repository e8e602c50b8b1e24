"""The parts meet: a frame of real size through real (tiny) networks, and everything that must
stop the start."""

import dataclasses
import json

import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.decide.decision import Decision
from edge.errors import ConfigError, EngineRejected
from edge.latency import Lap
from edge.loop import step
from edge.measure.aggregate import Reason
from edge.measure.importance import Sparsity
from edge.measure.sensor import measure
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.rig import HOLD_RULES, build_rig
from edge.settings import CameraSettings, Config, LoopSettings, ModelSettings, StageSettings
from edge.state import State
from engines.onnx_engine import OnnxEngine
from firmware_bridge.errors import StageError
from tests.support.fake_microscope import MS, Clock, FakeCamera, FakeStage, frame_at
from tests.support.tiny_models import CALIBRATED, write_dpn, write_rin

OBJECTIVE = Objective(na=0.75, magnification=20, um_per_px=0.34)


def _config(models, **stage):
    return Config(
        camera=CameraSettings("recorded", 50.0),
        stage=StageSettings("binary", -100.0, 100.0, 1, **stage),
        objective=OBJECTIVE,
        models=ModelSettings(*models, threads=1),
        loop=LoopSettings(),
    )


def _picture(cells, red=None):
    """A field with content in `cells`; red codes the defocus: 128 + 4 d."""
    pixels = np.full((2048, 2448, 3), (0, 255, 30), np.uint8)
    for i, (row, column) in enumerate(cells):
        y, x = 16 + 224 * row, 216 + 224 * column
        pixels[y : y + 224, x : x + 224, 1] = 0
        pixels[y : y + 224, x : x + 224, 0] = 128 + 4 * (red[i] if red else 2)
    return pixels


def _measure(models, pixels):
    sensor, nets = build_sensor(
        ModelSettings(*models, threads=1), OBJECTIVE, LoopSettings().classes
    )
    measurement = measure(sensor, Frame(pixels, PixelFormat.RGB8, 0, 0, 0), Lap())
    for net in nets:
        net.close()
    return measurement


def test_frame_to_estimate(models):
    cells = [(0, 0), (4, 4), (8, 8), (8, 0)]
    measurement = _measure(models, _picture(cells, [3, 3, 5, 9]))
    assert measurement.ranked.sparsity is Sparsity.EX_SPARSE
    assert len(measurement.ranked.cells) == 3
    assert set(measurement.ranked.cells) <= set(cells)
    by_cell = dict(
        zip(measurement.patches.cells, measurement.patches.defocus_um.tolist(), strict=True)
    )
    assert all(
        by_cell[cell] == dict(zip(cells, [3, 3, 5, 9], strict=True))[cell] for cell in by_cell
    )
    assert measurement.estimate.defocus_um == np.median(list(by_cell.values()))
    assert measurement.patches.spread_um.tolist() == pytest.approx([0.3] * 3)


@pytest.mark.parametrize(("rows", "k"), [(9, 31), (2, 18)])
def test_dense_and_sparse(models, rows, k):
    measurement = _measure(models, _picture([(r, c) for r in range(rows) for c in range(9)]))
    assert measurement.ranked.k == k
    assert measurement.estimate.defocus_um == 2.0


def test_blank_field(models):
    measurement = _measure(models, _picture([]))
    assert measurement.estimate.reason is Reason.BLANK
    assert measurement.ranked.sparsity is Sparsity.BLANK


def test_network_that_answers_nan(tmp_path):
    models = write_rin(tmp_path), write_dpn(tmp_path, poison=True)
    measurement = _measure(models, _picture([(1, 1), (2, 2)], [3, -32]))  # red 0 is poison
    assert measurement.estimate.reason is Reason.NOT_FINITE


class Pictures(FakeCamera):
    pixels = None

    def next(self, timeout_s):
        return dataclasses.replace(super().next(timeout_s), pixels=self.pixels)


def _rig(models, pixels, **stage):
    clock = Clock()
    camera = Pictures(clock)
    camera.pixels = pixels
    return build_rig(_config(models, **stage), camera, FakeStage(clock), clock)


def test_a_built_rig_moves_by_what_it_sees(models):
    rig = _rig(models, _picture([(4, 4), (5, 5), (6, 6)], [7, 7, 7]))
    assert rig.state.value is State.READY
    outcome = step(rig)
    assert outcome.decision is Decision.VERIFY
    assert rig.stage.moves == [7.0]
    assert outcome.scores.shape == (9, 9)
    rig.close()
    rig.close()
    assert rig.state.reason == "closed"
    assert (rig.stage.stops, rig.camera.closed > 0, rig.stage.closed > 0) == (1, True, True)


def test_closing_leaves_an_axis_at_rest_as_it_is_and_stops_one_that_does_not_answer(models):
    rig = _rig(models, _picture([]))
    rig.close()
    assert (rig.stage.stops, rig.stage.closed) == (0, 1)
    rig = _rig(models, _picture([]))
    rig.stage.fail_status = StageError("gone")
    rig.close()
    assert rig.stage.stops == 1


def test_uncalibrated_direction_measures_and_never_moves(models):
    clock = Clock()
    camera = Pictures(clock)
    camera.pixels = _picture([(4, 4)], [3])
    config = _config(models)
    config = dataclasses.replace(config, stage=dataclasses.replace(config.stage, focus_direction=0))
    rig = build_rig(config, camera, FakeStage(clock), clock)
    outcome = step(rig)
    assert outcome.decision is Decision.REFUSE
    assert outcome.reason.startswith("sign-unknown")
    assert outcome.estimate.defocus_um == 3.0
    assert rig.stage.moves == []
    rig.close()


def test_defaults_follow_the_config(models):
    rig = _rig(models, None, settle_ms=9.0)
    assert rig.guard.limits.max_age_ms == 100.0
    assert rig.guard.limits.settle_ms == 9.0
    assert rig.stall_s == pytest.approx(0.15)
    rig.close()


@pytest.mark.parametrize("factor", [0.971, 1.029])
@pytest.mark.parametrize("name", ["na", "magnification", "um_per_px"])
def test_models_for_nearly_this_objective(models, name, factor):
    """Makers round; 3 % is within what the interval was fitted for."""
    objective = dataclasses.replace(OBJECTIVE, **{name: getattr(OBJECTIVE, name) * factor})
    config = dataclasses.replace(_config(models), objective=objective)
    build_rig(config, FakeCamera(Clock()), FakeStage(Clock())).close()


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"um_per_px": 0.17}, "um_per_px"),
        ({"na": 0.95}, "na"),
        ({"magnification": 40}, "magnification"),
        ({"na": 0.75 * 1.031}, "na"),
        ({"um_per_px": 0.34 * 0.969}, "um_per_px"),
        ({"magnification": 20 * 1.031}, "magnification"),
    ],
)
def test_models_of_one_instrument_alone(tmp_path, changes, names):
    models = write_rin(tmp_path), write_dpn(tmp_path)
    for path in models:
        values = json.loads(path.read_text())
        del values["optics"]["family"]
        path.write_text(json.dumps(values))
    objective = dataclasses.replace(OBJECTIVE, **changes)
    config = dataclasses.replace(_config(models), objective=objective)
    with pytest.raises(EngineRejected, match=f"objective.{names} = "):
        build_rig(config, FakeCamera(Clock()), FakeStage(Clock()))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"na": 0.95}, "objective.na = 0.95 is outside 0.28 to 0.8"),
        ({"na": 0.25}, "objective.na = 0.25 is outside 0.28 to 0.8"),
        ({"um_per_px": 0.1}, r"um_per_px = 0.1 is outside 0.147 to 0.513 \(0.2 to 0.7 lambda/NA\)"),
        ({"um_per_px": 0.52}, "um_per_px = 0.52 is outside 0.147 to 0.513"),
        ({"refractive_index": 1.5}, "refractive_index = 1.5 is outside 1 to 1, for which"),
    ],
)
def test_an_objective_outside_the_family(models, changes, says):
    objective = dataclasses.replace(OBJECTIVE, **changes)
    config = dataclasses.replace(_config(models), objective=objective)
    with pytest.raises(EngineRejected, match=says):
        build_rig(config, FakeCamera(Clock()), FakeStage(Clock()))


def test_models_changed_places(models):
    with pytest.raises(EngineRejected, match="is a dpn, not a rin"):
        build_rig(_config(models[::-1]), FakeCamera(Clock()), FakeStage(Clock()))


def test_models_with_another_preprocessing(tmp_path):
    rin, dpn = write_rin(tmp_path), write_dpn(tmp_path)
    values = json.loads(dpn.read_text())
    values["preprocessing"]["patch_px"] = 256
    dpn.write_text(json.dumps(values))
    with pytest.raises(EngineRejected, match="patch_px=256"):
        build_rig(_config((rin, dpn)), FakeCamera(Clock()), FakeStage(Clock()))


def test_step_above_the_calibrated_range(models):
    with pytest.raises(ConfigError, match=r"max_step_um = 28 must be at most 27"):
        build_rig(_config(models, max_step_um=28.0), FakeCamera(Clock()), FakeStage(Clock()))


@pytest.mark.parametrize("lacks", ["envelope", *HOLD_RULES, "interval"])
def test_a_model_that_was_not_calibrated_moves_no_glass(tmp_path, lacks):
    """What is not in its calibration would never hold: refused, and said by name."""
    interval = {k: v for k, v in CALIBRATED["interval"].items() if k != lacks}
    whole = {"interval": interval, "envelope": CALIBRATED["envelope"]}
    calibration = {key: value for key, value in whole.items() if key != lacks}
    models = write_rin(tmp_path), write_dpn(tmp_path, calibration=calibration)
    clock = Clock()
    with pytest.raises(ConfigError, match=rf"dpn.json: calibration\..*{lacks}.* is missing"):
        build_rig(_config(models), FakeCamera(clock), FakeStage(clock))


def test_unknown_drivers_and_options(models):
    config = _config(models)
    clock = Clock()
    camera = FakeCamera(clock)
    unknown = dataclasses.replace(config.stage, driver="hydraulic")
    with pytest.raises(ConfigError, match=r"stage\.driver = 'hydraulic' must be one of"):
        build_rig(dataclasses.replace(config, stage=unknown), camera)
    assert camera.closed == 1  # what was opened is closed again
    unknown = dataclasses.replace(config.camera, options={"folder": "x", "colour": 1})
    with pytest.raises(ConfigError, match=r"camera\.options\.colour is not"):
        build_rig(dataclasses.replace(config, camera=unknown), stage=FakeStage(clock))
    window = dataclasses.replace(config.stage, options={"z_max_um": 5000.0})
    with pytest.raises(ConfigError, match=r"stage\.options\.z_max_um"):
        build_rig(dataclasses.replace(config, stage=window), camera)


def test_dead_link_does_not_stop_the_shutdown(models):
    rig = _rig(models, None)

    def gone():
        raise OSError("unplugged")

    rig.stage.stop = rig.stage.close = gone
    rig.close()
    assert rig.state.value is State.SHUTDOWN


def test_frame_too_small_shuts_down_with_its_size(models):
    rig = _rig(models, np.zeros((200, 640, 3), np.uint8))
    outcome = step(rig)
    assert outcome.decision is Decision.SHUTDOWN
    assert "a side of 200 px is 200 px" in outcome.reason
    rig.close()


def test_frame_helper_is_sane():
    frame = frame_at(10 * MS)
    assert frame.exposure_start_ns < frame.exposure_mid_ns < frame.exposure_end_ns


def test_the_first_frame_is_not_late(models, monkeypatch):
    """A network's first run takes several times as long as the next ones: it is done before."""
    clock, warm, infer = Clock(), set(), OnnxEngine.infer

    def slow_once(self, batch):
        if (self.manifest.name, len(batch)) not in warm:
            warm.add((self.manifest.name, len(batch)))
            clock.now_ns += 500 * MS
        return infer(self, batch)

    monkeypatch.setattr(OnnxEngine, "infer", slow_once)
    camera = FakeCamera(clock)
    rig = build_rig(_config(models), camera=camera, stage=FakeStage(clock), clock=clock)
    pixels = _picture([(row, column) for row in range(9) for column in range(9)])
    frame = dataclasses.replace(frame_at(clock()), pixels=pixels)
    monkeypatch.setattr(camera, "next", lambda timeout_s: frame)
    assert step(rig).decision is Decision.MOVE
    rig.close()


def test_warming_up_teaches_nothing(models):
    fresh, nets = build_sensor(ModelSettings(*models, threads=1), OBJECTIVE, LoopSettings().classes)
    clock = Clock()
    rig = build_rig(_config(models), camera=FakeCamera(clock), stage=FakeStage(clock), clock=clock)
    assert rig.sensor.budget.patch_ms == fresh.budget.patch_ms
    assert vars(rig.sensor.order).keys() == vars(fresh.order).keys()
    for name, value in vars(fresh.order).items():
        assert callable(value) or vars(rig.sensor.order)[name] == value, name
    rig.close()
    for net in nets:
        net.close()
