"""The parts meet: a frame of real size through real (tiny) networks, and everything that must
stop the start."""

import dataclasses

import numpy as np
import pytest

from edge.decide.decision import Decision
from edge.loop import step
from edge.measure.aggregate import Reason
from edge.measure.importance import Sparsity
from edge.open_sensor import build_sensor
from edge.rig import build_rig
from edge.settings import LoopSettings, ModelSettings
from edge.state import State
from engines.onnx_engine import OnnxEngine
from firmware_bridge.errors import StageError
from tests.support.fake_microscope import MS, Clock, FakeCamera, FakeStage, frame_at
from tests.support.painted_rig import (
    OBJECTIVE,
    Pictures,
    config_of,
    measurement_of,
    picture_of,
    rig_of,
)
from tests.support.tiny_models import write_dpn, write_rin


def test_frame_to_estimate(models):
    cells = [(0, 0), (4, 4), (8, 8), (8, 0)]
    measurement = measurement_of(models, picture_of(cells, [3, 3, 5, 9]))
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
    measurement = measurement_of(
        models, picture_of([(r, c) for r in range(rows) for c in range(9)])
    )
    assert measurement.ranked.k == k
    assert measurement.estimate.defocus_um == 2.0


def test_blank_field(models):
    measurement = measurement_of(models, picture_of([]))
    assert measurement.estimate.reason is Reason.BLANK
    assert measurement.ranked.sparsity is Sparsity.BLANK


def test_network_that_answers_nan(tmp_path):
    models = write_rin(tmp_path), write_dpn(tmp_path, poison=True)
    measurement = measurement_of(models, picture_of([(1, 1), (2, 2)], [3, -32]))  # red 0 is poison
    assert measurement.estimate.reason is Reason.NOT_FINITE


def test_a_built_rig_moves_by_what_it_sees(models):
    rig = rig_of(models, picture_of([(4, 4), (5, 5), (6, 6)], [7, 7, 7]))
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
    rig = rig_of(models, picture_of([]))
    rig.close()
    assert (rig.stage.stops, rig.stage.closed) == (0, 1)
    rig = rig_of(models, picture_of([]))
    rig.stage.fail_status = StageError("gone")
    rig.close()
    assert rig.stage.stops == 1


def test_uncalibrated_direction_measures_and_never_moves(models):
    clock = Clock()
    camera = Pictures(clock)
    camera.pixels = picture_of([(4, 4)], [3])
    config = config_of(models)
    config = dataclasses.replace(config, stage=dataclasses.replace(config.stage, focus_direction=0))
    rig = build_rig(config, camera, FakeStage(clock), clock)
    outcome = step(rig)
    assert outcome.decision is Decision.REFUSE
    assert outcome.reason.startswith("sign-unknown")
    assert outcome.estimate.defocus_um == 3.0
    assert rig.stage.moves == []
    rig.close()


def test_defaults_follow_the_config(models):
    rig = rig_of(models, None, settle_ms=9.0)
    assert rig.guard.limits.max_age_ms == 100.0
    assert rig.guard.limits.settle_ms == 9.0
    assert rig.stall_s == pytest.approx(0.15)
    rig.close()


def test_dead_link_does_not_stop_the_shutdown(models):
    rig = rig_of(models, None)

    def gone():
        raise OSError("unplugged")

    rig.stage.stop = rig.stage.close = gone
    rig.close()
    assert rig.state.value is State.SHUTDOWN


def test_frame_too_small_shuts_down_with_its_size(models):
    rig = rig_of(models, np.zeros((200, 640, 3), np.uint8))
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
    rig = build_rig(config_of(models), camera=camera, stage=FakeStage(clock), clock=clock)
    pixels = picture_of([(row, column) for row in range(9) for column in range(9)])
    frame = dataclasses.replace(frame_at(clock()), pixels=pixels)
    monkeypatch.setattr(camera, "next", lambda timeout_s: frame)
    assert step(rig).decision is Decision.MOVE
    rig.close()


def test_warming_up_teaches_nothing(models):
    fresh, nets = build_sensor(ModelSettings(*models, threads=1), OBJECTIVE, LoopSettings().classes)
    clock = Clock()
    rig = build_rig(
        config_of(models), camera=FakeCamera(clock), stage=FakeStage(clock), clock=clock
    )
    assert rig.sensor.budget.patch_ms == fresh.budget.patch_ms
    assert vars(rig.sensor.order).keys() == vars(fresh.order).keys()
    for name, value in vars(fresh.order).items():
        assert callable(value) or vars(rig.sensor.order)[name] == value, name
    rig.close()
    for net in nets:
        net.close()
