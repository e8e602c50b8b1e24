"""A field is focused frame by frame: what is waited for, what ends it, a second look beside the
move."""

import dataclasses

import pytest

from edge.decide.decision import Decision
from edge.errors import EngineRejected
from edge.loop import MAX_UNSETTLED, NOTHING, focus_field, step
from edge.measure.focus_offset import with_offset
from edge.measure.training_range import DomainShift
from tests.support.fake_microscope import (
    LIMITS,
    MS,
    SETTINGS,
    estimate,
    fixed_answer,
    microscope,
    no_focus,
)


def test_focus_field_ends_in_focus_without_unsettled_frames():
    rig, eye = microscope(focus_um=20.0)
    rig.camera.period_ms = 10
    eye.saturate_um = 12.0
    outcomes = focus_field(rig)
    decisions = [o.decision for o in outcomes]
    assert decisions[-1] is Decision.IN_FOCUS
    assert Decision.HOLD not in decisions
    assert rig.stage.glass_um == pytest.approx(20.0, abs=0.5)


def test_focus_field_is_bounded():
    few = dataclasses.replace(SETTINGS, max_shots=2)
    rig, _ = microscope(settings=few, focus_um=20.0)
    rig.stage.lost = 0.4
    outcomes = focus_field(rig)
    assert outcomes[-1].reason == "max-shots"
    assert len(rig.stage.moves) == 2


def test_focus_field_gives_up_on_a_stage_that_never_settles():
    rig, _ = microscope(focus_um=3.0)
    rig.stage.settle_ms = 1e9
    outcomes = focus_field(rig)
    assert [o.decision for o in outcomes] == [Decision.MOVE, Decision.HOLD]
    assert rig.camera.last.frame_id == MAX_UNSETTLED


def spoilt(rig, eye, how, which):
    """Frames whose numbers are in `which` do not come, show nothing, or come late."""
    see, numbers = rig.camera.next, iter(range(10_000))

    def following(timeout_s):
        number = next(numbers)
        bad = number in which
        rig.late_ms = 0.5 if bad and how == "late" else 100.0
        if bad and how == "stall":
            rig.camera.stalls = 1
        eye.answer = fixed_answer(no_focus) if bad and how == "dark" else None
        if bad and how == "uncertain":
            eye.answer = fixed_answer(estimate, 3.0, 9.0)
        return see(timeout_s)

    rig.camera.next = following
    return rig


@pytest.mark.parametrize("how", ["stall", "dark", "late", "uncertain"])
@pytest.mark.parametrize("which", [{0}, {0, 1, 2}, {1}, {1, 2, 3}, {0, 2, 4}])
def test_a_field_is_not_given_up_for_a_few_frames(how, which):
    rig, eye = microscope(focus_um=12.0)
    outcomes = focus_field(spoilt(rig, eye, how, which))
    assert outcomes[-1].decision is Decision.IN_FOCUS
    assert rig.stage.glass_um == pytest.approx(12.0, abs=0.5)


@pytest.mark.parametrize(
    ("how", "reason"),
    [("stall", "camera-stalled"), ("dark", "blank"), ("late", "late"), ("uncertain", "uncertain")],
)
def test_a_field_ends_where_more_frames_than_a_few_say_nothing(how, reason):
    rig, eye = microscope(focus_um=12.0)
    outcomes = focus_field(spoilt(rig, eye, how, range(NOTHING + 1)))
    assert [o.decision for o in outcomes] == [Decision.HOLD]
    assert outcomes[0].reason.startswith(reason)
    assert rig.stage.moves == []


def test_a_frame_that_the_guard_finds_stale_is_followed_by_another():
    rig, eye = microscope(focus_um=3.0)
    see, slow = type(eye).__call__, [True]

    def answer(frame):
        rig.clock.now_ns += 200 * MS * slow.pop() if slow else 0
        eye.answer = None
        view = see(eye, frame)
        eye.answer = answer
        return view

    eye.answer = answer
    assert [o.decision for o in focus_field(rig)] == [Decision.MOVE, Decision.IN_FOCUS]


def test_what_is_refused_for_good_ends_the_field_at_once():
    tight = dataclasses.replace(LIMITS, z_max_um=5.0)
    rig, _ = microscope(limits=tight, focus_um=8.0)
    assert [o.decision for o in focus_field(rig)] == [Decision.REFUSE]
    assert rig.guard.refused["outside-window"] == 1


class TwoLooks:
    """A measurer that takes 5 ms to look again, and notes what the stage was told by then."""

    def __init__(self, rig, fail=None):
        self.rig, self.inner, self.moves, self.fail = rig, rig.sensor, [], fail

    def measure(self, frame, lap):
        return self.inner.measure(frame, lap)

    def second_look(self, frame, view):
        if self.fail:
            raise self.fail
        self.moves.append(len(self.rig.stage.moves))
        self.rig.clock.now_ns += 5 * MS
        return dataclasses.replace(view, shift=DomainShift(3.0, "colour order", True, False))


@pytest.mark.parametrize("offset_um", [0.0, 0.2])
def test_a_frame_is_looked_at_again_once_its_move_is_on_its_way(offset_um):
    rig, _ = microscope(focus_um=3.0)
    looks = TwoLooks(rig)
    rig.sensor = with_offset(looks, offset_um)
    outcome = step(rig)
    assert (outcome.decision, looks.moves) == (Decision.MOVE, [1])
    assert outcome.measurement.shift.feature == "colour order"
    assert outcome.latency_ms["second_look"] == pytest.approx(5.0)
    assert outcome.latency_ms["total"] == pytest.approx(0.0)  # nobody waited for it
    assert outcome.age_ms == pytest.approx(2.0)
    assert step(rig).decision is Decision.IN_FOCUS
    assert len(looks.moves) == 2  # also of a frame that moves nothing


def test_a_second_look_that_fails_shuts_down_and_hides_no_move():
    rig, _ = microscope(focus_um=3.0)
    rig.sensor = TwoLooks(rig, EngineRejected("gone"))
    outcome = step(rig)
    assert outcome.decision is Decision.SHUTDOWN
    assert outcome.move.target_um == pytest.approx(3.0)
    assert outcome.sent_ns is not None
