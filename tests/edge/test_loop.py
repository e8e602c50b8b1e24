"""Every way a frame can end is an Outcome; nothing that may happen in operation escapes step()."""

import dataclasses

import pytest

from edge.decide.decision import Decision
from edge.errors import ConfigError, EngineRejected
from edge.loop import MAX_STALLS, focus_field, step
from edge.measure.aggregate import Reason
from edge.state import State
from engines.errors import GpuFailed
from firmware_bridge.errors import LinkLost, StageRefused, StageSilent, StageUncertain
from tests.support.fake_microscope import (
    LIMITS,
    MS,
    estimate,
    fixed_answer,
    microscope,
    no_focus,
)


def test_move_then_in_focus():
    rig, _ = microscope(focus_um=3.0)
    first, second = step(rig), step(rig)
    assert first.decision is Decision.MOVE
    assert first.move.target_um == pytest.approx(3.0)
    assert first.sent_ns is not None
    assert first.frame_id == 0
    assert first.estimate.defocus_um == pytest.approx(3.0)
    assert second.decision is Decision.IN_FOCUS
    assert second.move is None
    assert rig.state.value is State.TRACKING
    assert rig.stage.glass_um == pytest.approx(3.0)


def test_latency_has_every_stage():
    rig, _ = microscope()
    outcome = step(rig)
    assert list(outcome.latency_ms) == [
        "preprocess", "rin", "select", "dpn", "plain_look", "aggregate", "plan", "move",
        "second_look", "total",
    ]  # fmt: skip
    assert outcome.age_ms == pytest.approx(2.0)


@pytest.mark.parametrize("reason", list(Reason))
def test_no_focus_never_moves(reason):
    rig, eye = microscope()
    eye.answer = fixed_answer(no_focus, reason, d=9.0, interval=0.1)
    for _ in range(20):
        outcome = step(rig)
        assert (outcome.decision, outcome.reason) == (Decision.HOLD, reason.value)
        assert rig.state.value is State.HOLDING
    assert rig.stage.moves == []


@pytest.mark.parametrize(
    ("d", "interval"),
    [(float("nan"), 0.1), (float("inf"), 0.1), (3.0, float("nan")), (3.0, float("inf"))],
)
def test_estimate_that_is_not_finite_never_moves(d, interval):
    rig, eye = microscope()
    eye.answer = fixed_answer(estimate, d, interval)
    assert {step(rig).decision for _ in range(5)} == {Decision.HOLD}
    assert rig.stage.moves == []


def test_holding_goes_back_to_tracking():
    rig, eye = microscope(focus_um=3.0)
    eye.answer = fixed_answer(no_focus)
    step(rig)
    eye.answer = None
    assert step(rig).decision is Decision.MOVE


def test_delayed_frame_is_refused():
    rig, eye = microscope(focus_um=3.0)
    see = type(eye).__call__

    def slow(frame):
        rig.clock.now_ns += 200 * MS  # the networks took this long
        eye.answer = None
        view = see(eye, frame)
        eye.answer = slow
        return view

    eye.answer = slow
    outcome = step(rig)
    assert outcome.decision is Decision.REFUSE
    assert outcome.reason.startswith("stale")
    assert outcome.move is None
    assert outcome.plan is not None
    assert rig.stage.moves == []


def test_repeated_frame_moves_once():
    rig, _ = microscope(focus_um=3.0)
    rig.camera.repeat = True
    outcomes = [step(rig) for _ in range(5)]
    assert [o.decision for o in outcomes[:2]] == [Decision.MOVE, Decision.HOLD]
    assert {o.decision for o in outcomes[1:]} <= {Decision.HOLD, Decision.REFUSE}
    assert len(rig.stage.moves) == 1


def test_stalls_hold_and_then_shut_down():
    rig, _ = microscope()
    rig.camera.stalls = MAX_STALLS - 1
    outcomes = [step(rig) for _ in range(MAX_STALLS)]
    assert {o.decision for o in outcomes[:-1]} == {Decision.HOLD}
    assert outcomes[0].reason.startswith("camera-stalled")
    assert outcomes[0].frame_id is None
    assert outcomes[-1].decision is Decision.IN_FOCUS
    rig.camera.stalls = MAX_STALLS
    outcomes = [step(rig) for _ in range(MAX_STALLS)]
    assert outcomes[-1].decision is Decision.SHUTDOWN
    assert rig.stage.stops == 0  # at rest: a stop latches it, for a fault that is not its own


def test_stalls_count_in_a_row():
    rig, _ = microscope()
    for _ in range(3):
        rig.camera.stalls = MAX_STALLS - 1
        decisions = {step(rig).decision for _ in range(MAX_STALLS)}
        assert decisions == {Decision.HOLD, Decision.IN_FOCUS}


def test_refusing_stage_is_reported():
    rig, _ = microscope(focus_um=3.0)
    rig.stage.fail = StageRefused("LIMIT", "low switch")
    outcome = step(rig)
    assert outcome.decision is Decision.REFUSE
    assert "low switch" in outcome.reason
    assert rig.state.value is State.TRACKING


@pytest.mark.parametrize("where", ["fail", "fail_z", "fail_status"])
@pytest.mark.parametrize("error", [StageUncertain("no answer"), LinkLost("gone")])
def test_uncertain_stage_shuts_down(where, error):
    rig, _ = microscope(focus_um=3.0)
    setattr(rig.stage, where, error)
    outcome = step(rig)
    assert outcome.decision is Decision.SHUTDOWN
    assert "uncertain" in outcome.reason
    assert rig.stage.stops == 1
    setattr(rig.stage, where, None)
    assert step(rig).decision is Decision.REFUSE
    assert rig.stage.moves == []


@pytest.mark.parametrize("error", [EngineRejected("a"), GpuFailed("a"), ConfigError()])
def test_broken_engine_or_camera_shuts_down(error):
    rig, eye = microscope()

    def broken(frame):
        raise error

    eye.answer = broken
    assert step(rig).decision is Decision.SHUTDOWN
    assert rig.stage.stops == 0  # at rest: a stop latches it, for a fault that is not its own


@pytest.mark.parametrize("what", ["camera", "engine", "axis that does not answer"])
def test_an_axis_that_is_not_known_to_rest_is_stopped_whatever_is_gone(what):
    rig, eye = microscope(focus_um=6.0)
    rig.stage.travel_ms = 1e6
    assert step(rig).move is not None
    rig.camera.stalls = MAX_STALLS
    if what == "engine":
        rig.camera.stalls = 0

        def broken(frame):
            raise GpuFailed("a")

        eye.answer = broken
    elif what != "camera":
        rig.stage.travel_ms, rig.stage.fail_status = 1.0, LinkLost("silent")
    outcomes = [step(rig) for _ in range(max(1, rig.camera.stalls))]
    assert outcomes[-1].decision is Decision.SHUTDOWN
    assert rig.stage.stops == 1


@pytest.mark.parametrize("lost", [0.3, 1.0])
def test_lost_steps(lost):
    """A stage that loses a third of each move still gets there; one that loses all is stopped."""
    rig, _ = microscope(focus_um=10.0)
    rig.stage.lost = lost
    outcomes = focus_field(rig)
    assert len(rig.stage.moves) <= 4
    if lost < 1:
        assert outcomes[-1].decision is Decision.IN_FOCUS
    else:
        assert rig.state.value is State.SHUTDOWN
        assert max(rig.stage.moves) <= 10


def test_window_is_never_left_and_the_end_is_reported():
    tight = dataclasses.replace(LIMITS, z_max_um=5.0)
    rig, _ = microscope(limits=tight, focus_um=8.0)
    outcome = step(rig)
    assert outcome.decision is Decision.REFUSE
    assert outcome.reason.startswith("outside-window")
    assert rig.guard.refused["outside-window"] == 1
    assert rig.stage.moves == []


@pytest.mark.parametrize("where", ["fail_status", "fail_z", "fail"])
def test_a_stage_that_is_silent_at_rest_is_waited_for(where):
    rig, _ = microscope(focus_um=3.0)
    setattr(rig.stage, where, StageSilent("no answer"))
    held = [step(rig) for _ in range(20)]
    assert all("stage-silent" in outcome.reason for outcome in held)
    assert {outcome.decision for outcome in held} <= {Decision.HOLD, Decision.REFUSE}
    assert rig.stage.moves == []
    assert not rig.state.reason
    setattr(rig.stage, where, None)
    assert step(rig).decision is Decision.MOVE
    assert step(rig).decision is Decision.IN_FOCUS


def test_a_late_result_is_dropped_but_heard():
    """What a frame shows of the last move is true however late its result comes (H3, H8)."""
    rig, _ = microscope(sign=-1, focus_um=8.0)
    assert step(rig).decision is Decision.VERIFY
    rig.late_ms = 0.5
    late = [step(rig) for _ in range(4)]
    assert late[0].decision is Decision.HOLD
    assert late[0].reason.startswith("late: 1 ms after the exposure")
    assert rig.controller.strikes == 1
    rig.late_ms = 100.0
    outcomes = [step(rig) for _ in range(6)]
    assert outcomes[0].reason.startswith("roll-back")
    assert outcomes[-1].reason == "rolled-back"
    assert rig.stage.moves == pytest.approx([8.0, 0.0])


def test_a_late_result_may_end_in_a_shutdown_and_never_in_a_move():
    rig, _ = microscope(sign=-1, focus_um=2.0)
    assert step(rig).decision is Decision.MOVE
    assert step(rig).decision is Decision.MOVE
    rig.late_ms = 0.5
    assert step(rig).decision is Decision.SHUTDOWN
    assert len(rig.stage.moves) == 2
