"""The guard to the last nanosecond, micrometre and word: what a mutation of it would change.

`make mutation` changes guard.py in every way it knows; each test here notices some of them.
"""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace

import pytest

from edge.camera import Frame, PixelFormat
from edge.decide.decision import Move
from edge.errors import MoveRefused, MoveUncertain
from edge.guard import Guard
from edge.state import RunState
from firmware_bridge.errors import StageRefused, StageSilent, StageUncertain
from firmware_bridge.stage import StageStatus
from tests.support.fake_microscope import LIMITS, MS, Clock, FakeStage


class StillStage(FakeStage):
    """At rest where it is told to be, settled when it is told; remembers what it was asked."""

    settled_ns = 0
    asked = ()

    def status(self):
        return StageStatus(self.z_um, False, self.settled_ns, self.latched, self.clock())

    def move_to(self, target_um, assumed_um):
        self.asked = (*self.asked, (target_um, assumed_um))
        if self.fail:
            raise self.fail
        return len(self.asked)


def bench(**limits):
    clock = Clock()
    stage = StillStage(clock)
    state = RunState(stage.stop)
    state.ready()
    guard = Guard(dataclasses.replace(LIMITS, **limits), stage, state, clock)
    return SimpleNamespace(clock=clock, stage=stage, state=state, guard=guard)


def frame(start_ns, end_ns, frame_id=0):
    return Frame(None, PixelFormat.RGB8, frame_id, start_ns, end_ns)


def send(b, target=1.0, assumed=0.0, frame_id=0, start_ns=None, end_ns=None):
    now = b.clock()
    start, end = (
        (now - 2 * MS if start_ns is None else start_ns),
        (now if end_ns is None else end_ns),
    )
    return b.guard.send(Move(target, assumed, "edge"), frame(start, end, frame_id))


def refusal(b, **how):
    with pytest.raises(MoveRefused) as caught:
        send(b, **how)
    return str(caught.value)


def test_the_stage_is_asked_for_target_and_assumed_position():
    b = bench()
    send(b, target=1.25, assumed=0.5)
    assert b.stage.asked == ((1.25, 0.5),)


def test_far_from_zero_a_small_step_is_a_small_step():
    b = bench()
    b.stage.z_um = 900.0
    send(b, target=910.0, assumed=900.0)
    assert b.stage.asked == ((910.0, 900.0),)
    b = bench()
    b.stage.z_um = 900.0
    assert "+50.00 um is above 25 um" in refusal(b, target=950.0, assumed=900.0)


def test_slack_is_twice_the_resolution():
    b = bench(max_step_um=25.0)
    b.stage.resolution_um = 0.1
    send(b, target=25.19)
    b = bench(max_step_um=25.0)
    b.stage.resolution_um = 0.1
    assert refusal(b, target=25.21).startswith("step: ")


def test_both_directions_are_calibrated_ones():
    for direction in (1, -1):
        send(bench(focus_direction=direction))


def test_exposure_may_be_a_moment_and_may_end_now():
    b = bench()
    send(b, start_ns=b.clock(), end_ns=b.clock())


def test_age_to_the_nanosecond():
    b = bench(max_age_ms=100.0)
    end = b.clock() - 100 * MS
    send(b, start_ns=end - MS, end_ns=end)
    b = bench(max_age_ms=100.0)
    assert "100 ms old" in refusal(b, start_ns=end - 2 * MS, end_ns=end - 50)


def test_settling_to_the_nanosecond():
    b = bench(settle_ms=5.0)
    start = b.clock() - 3 * MS
    b.stage.settled_ns = start - 5 * MS
    send(b, start_ns=start, end_ns=start + MS)
    b = bench(settle_ms=5.0)
    b.stage.settled_ns = start - 5 * MS + 1
    assert (
        refusal(b, start_ns=start, end_ns=start + MS) == "unsettled: exposed 5.0 ms after settling"
    )


def test_unsettled_tells_how_long():
    b = bench(settle_ms=5.0)
    b.stage.settled_ns = b.clock() - 2 * MS - 4_200_000
    assert refusal(b) == "unsettled: exposed 4.2 ms after settling"
    b = bench(settle_ms=1e9)
    b.stage.settled_ns = b.clock() - 2 * MS - 10**12
    assert refusal(b) == "unsettled: exposed 1000000.0 ms after settling"


def test_exposed_in_the_very_moment_the_last_move_was_sent():
    b = bench(settle_ms=0.0)
    sent = send(b)
    b.clock.now_ns += 10 * MS
    send(b, start_ns=sent, end_ns=sent + MS, frame_id=1)
    assert len(b.stage.asked) == 2


def test_one_move_a_second_is_one():
    b = bench(max_moves_per_s=1, settle_ms=0.0)
    send(b)
    b.clock.now_ns += 100 * MS
    assert refusal(b, frame_id=1) == "rate: more than 1 moves in a second"


def test_counts():
    b = bench(settle_ms=0.0)
    for number in range(3):
        send(b, frame_id=2 * number)
        b.clock.now_ns += 100 * MS
    assert b.guard.moves == 3
    for number in range(3):
        refusal(b, target=2000.0, frame_id=10 + number)
    assert b.guard.refused == {"outside-window": 3}


WORDS = {
    "sign-unknown": "stage.focus_direction is not calibrated",
    "exposure-time": "the exposure lies in the future or is reversed",
    "before-last-move": "exposed before the last move was sent",
    "moving": "the stage is moving or settling",
}


def test_the_words_a_person_reads():
    b = bench(focus_direction=None)
    assert refusal(b) == f"sign-unknown: {WORDS['sign-unknown']}"
    b = bench()
    assert refusal(b, end_ns=b.clock() + 1) == f"exposure-time: {WORDS['exposure-time']}"
    b = bench()
    b.stage.settled_ns = None
    assert refusal(b) == f"moving: {WORDS['moving']}"
    b = bench(settle_ms=0.0)
    send(b)
    assert refusal(b, frame_id=1) == f"before-last-move: {WORDS['before-last-move']}"
    assert refusal(b, frame_id=1) == "frame-order: frame 1 after frame 1"
    b = bench()
    b.stage.fail = StageRefused("WINDOW", "to 151.500 um")
    assert refusal(b) == "WINDOW: to 151.500 um"  # the reason once


def test_uncertain_tells_why():
    b = bench()
    b.stage.fail = StageUncertain("no answer to 3 sends")
    with pytest.raises(MoveUncertain, match=r"^no answer to 3 sends$"):
        send(b)
    b = bench()
    move_to = b.stage.move_to

    def interrupted(target, assumed):
        b.state.shutdown("emergency")
        return move_to(target, assumed)

    b.stage.move_to = interrupted
    with pytest.raises(
        MoveUncertain, match=re.compile("^shut down while the move was being sent$")
    ):
        send(b)


def refused(b, **sent):
    with pytest.raises(MoveRefused) as caught:
        send(b, **sent)
    return caught.value.reason


def test_a_coarse_stage_is_given_half_a_micrometre_and_no_more():
    b = bench(max_step_um=25.0)
    b.stage.resolution_um = 3.0
    assert refused(b, target=25.5001) == "step"
    assert send(b, target=25.5, frame_id=1) is not None


@pytest.mark.parametrize("most", [1, 0])
def test_a_move_a_second_comes_after_a_second_to_the_nanosecond(most):
    b = bench(max_moves_per_s=most)
    assert b.guard.send_by_hand(1.0) is not None
    b.clock.now_ns += 999_999_999
    with pytest.raises(MoveRefused, match="more than 1 moves in a second"):
        b.guard.send_by_hand(2.0)
    b.clock.now_ns += 1
    assert b.guard.send_by_hand(2.0) is not None


def test_a_stage_that_fell_silent_at_rest_refuses():
    b = bench()
    b.stage.status = lambda: (_ for _ in ()).throw(StageSilent("no STATUS"))
    with pytest.raises(MoveRefused, match="no STATUS") as caught:
        send(b)
    assert caught.value.reason == "stage-silent"
    assert (b.guard.refused["stage-silent"], b.stage.asked) == (1, ())
