"""H3: with the focus sign inverted the runtime stops within two moves of the glass, never crashes
the objective into the window's end, and a sound microscope is never stopped."""

import dataclasses
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.decide.conduct import SIGN
from edge.decide.decision import Decision
from edge.loop import focus_field, step
from edge.measure.aggregate import Reason
from edge.state import State
from tests.support.fake_microscope import LIMITS, SETTINGS, microscope

STARTS = [0.6, -0.6, 0.9, 1.5, -2.0, 3.0, 4.9, -5.1, 8.0, -12.0, 14.0, -20.0, 24.9, 25.0, -25.0]


def _run(rig, frames=40):
    outcomes = []
    for _ in range(frames):
        outcomes.append(step(rig))
        if rig.state.value is State.SHUTDOWN:
            break
    return outcomes


@pytest.mark.parametrize("saturate", [25.0, 27.0, 30.0, 1000.0])
@pytest.mark.parametrize("start", STARTS)
def test_inverted_stage_is_stopped_within_two_moves(start, saturate):
    rig, _ = microscope(z_um=0, sign=-1, focus_um=start, saturate_um=saturate)
    outcomes = _run(rig)
    assert len(rig.stage.moves) <= 2
    assert rig.state.value is State.SHUTDOWN
    assert outcomes[-1].decision is Decision.SHUTDOWN
    assert rig.stage.stops == 1
    assert max(map(abs, rig.stage.moves)) <= max(3 * abs(start), 0.1)
    if abs(start) < 12 and saturate > 25:
        assert SIGN in rig.state.reason


@pytest.mark.parametrize("start", STARTS)
def test_wrong_calibration_of_a_sound_stage_is_stopped_alike(start):
    wrong = dataclasses.replace(SETTINGS, focus_direction=-1)
    rig, _ = microscope(settings=wrong, focus_um=start)
    _run(rig)
    assert len(rig.stage.moves) <= 2
    assert rig.state.value is State.SHUTDOWN


@pytest.mark.parametrize("start", [6.0, -14.0, 25.0])
def test_inverted_stage_that_leaves_the_specimen_unreadable(start):
    """Twice as far from focus the RIN may find nothing at all: no sign to compare."""
    rig, eye = microscope(sign=-1, focus_um=start)
    see = type(eye).__call__

    def blank_when_far(frame):
        eye.answer = None
        view = see(eye, frame)
        eye.answer = blank_when_far
        d = getattr(view, "defocus_um", 99.0)
        if abs(d) > abs(start) + 0.1:
            return dataclasses.replace(
                _blank(), exposure_start_ns=frame.exposure_start_ns,
                exposure_mid_ns=frame.exposure_mid_ns,
            )  # fmt: skip
        return view

    eye.answer = blank_when_far
    _run(rig)
    assert len(rig.stage.moves) == 2
    assert rig.stage.moves[1] == 0  # back to where it was
    assert rig.state.value is State.SHUTDOWN
    assert SIGN in rig.state.reason


def _blank():
    from tests.support.fake_microscope import no_focus

    return no_focus(Reason.BLANK)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    start=st.floats(-25, 25),
    interval=st.floats(0.05, 3.9),
    saturate=st.floats(25, 200),
    verify=st.floats(0.5, 30),
    deadband=st.floats(0.1, 2),
)
def test_any_inverted_start_ends_within_two_moves(start, interval, saturate, verify, deadband):
    choice = dataclasses.replace(SETTINGS, verify_above_um=verify, deadband_um=deadband)
    rig, _ = microscope(
        settings=choice, sign=-1, focus_um=start, saturate_um=saturate, interval_um=interval
    )
    outcomes = _run(rig)
    assert len(rig.stage.moves) <= 2
    moved = bool(rig.stage.moves)
    assert moved == (rig.state.value is State.SHUTDOWN), [o.reason for o in outcomes]


def test_strikes_survive_a_new_field():
    """A scanner that allows one move per field is stopped in the second field."""
    one_shot = dataclasses.replace(SETTINGS, max_shots=1)
    rig, _ = microscope(settings=one_shot, sign=-1, focus_um=2.0)
    first = focus_field(rig)
    assert [o.decision for o in first] == [Decision.MOVE, Decision.HOLD]
    assert first[-1].reason == "max-shots"
    assert rig.controller.strikes == 1
    second = focus_field(rig)
    assert [o.decision for o in second] == [Decision.MOVE, Decision.SHUTDOWN]
    assert len(rig.stage.moves) == 2


def test_moves_that_no_frame_followed_are_not_repeated_field_by_field():
    """The camera fails after every move, so that nothing ever speaks against the sign."""
    rig, eye = microscope(sign=-1, focus_um=6.0)
    see = rig.camera.next

    def following(timeout_s):
        if len(rig.stage.moves) > moves:
            rig.camera.stalls = 1
        return see(timeout_s)

    rig.camera.next = following
    ends = []
    for _ in range(15):
        rig.stalls, moves = 0, len(rig.stage.moves)
        eye.focus_um = -rig.stage.glass_um + 6.0
        ends.append(focus_field(rig)[-1])
    assert len(rig.stage.moves) == 2
    assert {o.reason for o in ends[2:]} == {"unproven: no frame was seen after the last moves"}
    assert rig.state.value is not State.SHUTDOWN  # nothing was seen, and nobody is blamed
    for _ in range(10):  # the camera is well again: one move more, and it is judged
        moves = 10_000
        eye.focus_um = -rig.stage.glass_um + 6.0
        outcomes = focus_field(rig)
        if outcomes[-1].decision is Decision.SHUTDOWN:
            break
    assert rig.state.value is State.SHUTDOWN
    assert len(rig.stage.moves) <= 4


def test_a_sign_that_was_confirmed_needs_no_more_proof():
    rig, eye = microscope(focus_um=6.0)
    focus_field(rig)
    assert rig.controller.sign_confirmed
    for n in range(6):
        rig.controller.new_field()
        eye.focus_um = rig.stage.glass_um + 6.0
        while len(rig.stage.moves) < 2 + n:
            step(rig)
    assert len(rig.stage.moves) == 7


@pytest.mark.parametrize("sign", [1, -1])
def test_sound_microscope_with_noise_is_never_stopped(sign):
    """300 fields, estimates with the error that their interval promises (95 % = 0.9 um)."""
    noise = random.Random(7)
    choice = dataclasses.replace(SETTINGS, focus_direction=sign)
    limits = dataclasses.replace(LIMITS, focus_direction=sign)
    rig, eye = microscope(
        settings=choice, limits=limits, sign=sign, interval_um=0.9,
        noise=lambda: noise.gauss(0, 0.46), range_um=30, saturate_um=60,
    )  # fmt: skip
    left = []
    for _ in range(300):
        eye.focus_um = sign * rig.stage.glass_um + noise.uniform(-24, 24)
        outcomes = focus_field(rig)
        assert rig.state.value is not State.SHUTDOWN, outcomes[-1].reason
        left.append(abs(eye.focus_um - sign * rig.stage.glass_um))
    assert sorted(left)[285] < 1.8
    assert sum(left) / len(left) < 0.6
    assert rig.controller.sign_confirmed


def test_a_person_restarts_with_a_clean_slate():
    rig, eye = microscope(sign=-1, focus_um=3.0)
    _run(rig)
    rig.stage.latched = "STOPPED"
    rig.restart()
    assert (rig.state.value, rig.stage.latched) == (State.READY, None)
    assert (rig.controller.strikes, rig.controller.sign_confirmed) == (0, False)
    eye.sign = 1  # repaired
    eye.focus_um = rig.stage.glass_um + 3
    assert focus_field(rig)[-1].decision is Decision.IN_FOCUS
    assert rig.controller.sign_confirmed
