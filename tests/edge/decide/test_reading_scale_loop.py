"""What a reading is worth, in the closed loop: another iris is learned, a stage's faults are
not."""

import dataclasses
import math

import pytest

from edge.decide.controller import ControllerSettings
from edge.decide.decision import Decision
from edge.decide.reading_scale import FAMILY
from edge.loop import focus_field, step
from edge.state import State
from tests.support.fake_microscope import LIMITS, microscope

SETTINGS = ControllerSettings(1, 0.30, sharp_um=0.60, no_play=True, max_step_um=25.0)
STARTS = (18.0, -12.0, 15.0, -20.0, 9.0, -16.0)


def fields(rig, eye, starts=STARTS):
    """Each focused from `start` um off; how each ended, and the frames it took."""
    results = []
    for start in starts:
        eye.focus_um = rig.stage.glass_um + start
        results.append(focus_field(rig))
        assert rig.state.value is not State.SHUTDOWN, results[-1][-1].reason
    return results


def error_um(eye):
    return abs(eye.focus_um - eye.stage.glass_um)


@pytest.mark.parametrize("gain", [0.6, 0.82, 1.2, 1.4])
def test_another_iris_converges_and_is_learned(gain):
    rig, eye = microscope(settings=SETTINGS, gain=gain, range_um=30.0)
    first = fields(rig, eye, STARTS[:1])[0]
    assert first[-1].decision is Decision.IN_FOCUS
    later = fields(rig, eye, STARTS[1:])
    assert rig.controller.scale.known
    assert rig.controller.scale.value == pytest.approx(gain, abs=0.03)
    assert all(len(outcomes) == 2 for outcomes in later[1:])  # one move, and a look
    assert error_um(eye) < 0.3
    assert rig.controller.strikes == 0
    assert later[-1][-1].scale == rig.controller.scale


@pytest.mark.parametrize("gain", [0.75, 0.82, 1.2])
def test_after_one_verified_move_the_second_ends_there(gain):
    rig, eye = microscope(settings=SETTINGS, gain=gain)
    eye.focus_um = 20.0
    step(rig)
    step(rig)
    assert error_um(eye) < 0.3


def test_the_interval_is_as_wide_as_the_scale_is_doubtful():
    rig, eye = microscope(settings=SETTINGS)
    eye.focus_um = 20.0
    outcome = step(rig)
    assert outcome.estimate.interval_um == 0.2
    assert outcome.interval_um == pytest.approx(math.hypot(0.2, 20 * math.expm1(1.96 * FAMILY)))
    fields(rig, eye)
    eye.focus_um = rig.stage.glass_um + 20.0
    assert step(rig).interval_um < 2.0
    held, eye = microscope(settings=SETTINGS, answer=None)
    assert step(held).interval_um == pytest.approx(0.2)  # in focus nothing is doubtful


@pytest.mark.parametrize("gain", [0.6, 0.82, 1.0, 1.3])
def test_a_wrong_sign_is_shut_down_within_two_moves(gain):
    """Also where a scale was learned before somebody exchanged the wires."""
    for learned in (False, True):
        rig, eye = microscope(settings=SETTINGS, gain=gain)
        if learned:
            fields(rig, eye)
            rig.controller._conduct.sign_confirmed = False
        eye.sign = -1
        eye.focus_um = -rig.stage.glass_um + 12.0
        before = len(rig.stage.moves)
        for _ in range(200):
            if rig.state.value is State.SHUTDOWN:
                break
            step(rig)
        assert rig.state.value is State.SHUTDOWN
        assert len(rig.stage.moves) - before <= 2


def test_a_stage_that_slips_now_and_then_is_no_scale():
    rig, eye = microscope(settings=SETTINGS)
    for turn, start in enumerate(STARTS * 2):
        eye.focus_um = rig.stage.glass_um + start
        rig.stage.lost = 0.35 if turn % 2 else 0.0
        step(rig)
        rig.stage.lost = 0.0
        focus_field(rig)
        assert rig.controller.scale.value == 1.0 or not rig.controller.scale.known
    assert rig.state.value is not State.SHUTDOWN
    assert error_um(eye) < 0.31


def test_a_stage_that_ended_elsewhere_tells_nothing():
    rig, eye = microscope(settings=SETTINGS, gain=0.8)
    stage, real = rig.stage, rig.stage.move_to
    stage.move_to = lambda target, assumed: real(target - 3.0 * (target > 5), assumed)
    eye.focus_um = 18.0
    step(rig)
    step(rig)
    assert rig.controller.scale.interval == pytest.approx(1.96 * FAMILY)


def test_half_the_moves_lost_in_play_are_not_learned():
    """Without a drive that takes up the play: a reversal may have lost a part."""
    rig, eye = microscope(settings=dataclasses.replace(SETTINGS, no_play=False), gain=0.8)
    fields(rig, eye, (15.0, -15.0, 14.0, -16.0))
    assert not rig.controller.scale.known
    fields(rig, eye, (15.0, 15.0, 15.0, 15.0))
    assert rig.controller.scale.known
    assert rig.controller.scale.value == pytest.approx(0.8, abs=0.03)


def test_a_long_way_is_gone_in_steps_the_guard_takes():
    rig, eye = microscope(settings=SETTINGS, gain=0.7)
    fields(rig, eye)
    eye.focus_um = rig.stage.glass_um + 33.0  # reads 23
    eye.saturate_um, eye.range_um = 100.0, 27.0
    outcomes = focus_field(rig)
    assert not [o for o in outcomes if o.decision is Decision.REFUSE]
    assert outcomes[-1].decision is Decision.IN_FOCUS
    assert max(abs(b - a) for a, b in zip(rig.stage.moves, rig.stage.moves[1:], strict=False)) <= (
        LIMITS.max_step_um + 20.0
    )


def test_a_users_offset_is_in_um_of_the_stage():
    settings = dataclasses.replace(
        SETTINGS, offset_um=1.0, reading_scale=0.8, reading_scale_95=0.02
    )
    rig, eye = microscope(settings=settings)
    eye.answer = lambda frame: dataclasses.replace(
        _plain(eye, frame), defocus_um=0.8 * (10.0 - eye.stage.glass_um) + 1.0
    )
    focus_field(rig)
    assert rig.stage.glass_um == pytest.approx(11.0, abs=0.3)


def _plain(eye, frame):
    answer, eye.answer = eye.answer, None
    try:
        return eye(frame)
    finally:
        eye.answer = answer


@pytest.mark.parametrize("calibrated", [None, 0.05])
@pytest.mark.parametrize("hold", [False, True])
def test_a_first_frame_outside_the_training_is_held_where_asked(hold, calibrated):
    settings = dataclasses.replace(SETTINGS, hold_outside=hold, reading_scale_95=calibrated)
    rig, eye = microscope(settings=settings, outside="novelty")
    eye.focus_um = 12.0
    outcome = step(rig)
    if hold and calibrated is None:
        assert outcome.decision is Decision.HOLD
        assert outcome.reason == "outside-training: novelty"
        assert rig.stage.moves == []
    else:
        assert outcome.decision is Decision.VERIFY


def test_a_later_frame_outside_is_not():
    settings = dataclasses.replace(SETTINGS, hold_outside=True)
    rig, eye = microscope(settings=settings)
    eye.focus_um = 12.0
    step(rig)
    eye.outside, eye.focus_um = "novelty", 14.0
    assert step(rig).decision is Decision.MOVE
