"""H1 for moves that a person or their program asks for: no frame, but the window and the stage."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.decide.decision import Move
from edge.errors import MoveRefused, MoveUncertain
from edge.guard import Guard
from edge.state import RunState
from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from tests.support.fake_microscope import LIMITS, MS, Clock, FakeStage, frame_at


class Bench:
    def __init__(self, limits=LIMITS, **stage):
        self.clock = Clock()
        self.stage = FakeStage(self.clock, **stage)
        self.state = RunState(self.stage.stop)
        self.state.ready()
        self.guard = Guard(limits, self.stage, self.state, self.clock)

    def refused(self, target, reason):
        before, counted = list(self.stage.moves), self.guard.refused[reason]
        with pytest.raises(MoveRefused) as caught:
            self.guard.send_by_hand(target)
        assert caught.value.reason == reason
        assert self.stage.moves == before
        assert self.guard.refused[reason] == counted + 1


@given(st.floats())
def test_no_number_leaves_the_window(target):
    bench = Bench()
    if -1000 <= target <= 1000:
        assert bench.guard.send_by_hand(target) == bench.clock()
        assert bench.stage.moves == [target]
        assert bench.guard.moves == 1
    else:
        bench.refused(target, "outside-window")


@pytest.mark.parametrize("target", [1000.01, -1000.01, math.nan, math.inf, -math.inf])
def test_the_window(target):
    Bench().refused(target, "outside-window")


def test_a_hand_needs_neither_frame_nor_sign_nor_short_steps():
    bench = Bench(dataclasses.replace(LIMITS, focus_direction=0))
    bench.guard.send_by_hand(900.0)
    assert bench.stage.moves == [900.0]


def test_the_stage_is_told_where_it_was_believed_to_be():
    bench = Bench()
    bench.guard.send_by_hand(5.0)
    bench.clock.now_ns += 100 * MS
    beliefs = []
    bench.stage.move_to = lambda target, assumed: beliefs.append((target, assumed))
    bench.guard.send_by_hand(7.0)
    assert beliefs == [(7.0, 5.0)]
    bench.refused(2000.0, "outside-window")
    bench.refused(2000.0, "outside-window")


def test_a_stage_that_moves_settles_or_is_latched():
    bench = Bench()
    bench.guard.send_by_hand(5.0)
    bench.refused(6.0, "moving")
    bench.clock.now_ns += 100 * MS
    bench.stage.latched = "SAFE_STOP"
    bench.refused(6.0, "latched")


def test_state_and_rate():
    bench = Bench(dataclasses.replace(LIMITS, max_moves_per_s=2))
    for target in (1.0, 2.0):
        bench.guard.send_by_hand(target)
        bench.clock.now_ns += 100 * MS
    bench.refused(3.0, "rate")
    bench.clock.now_ns += 1000 * MS
    bench.state.shutdown("a person pressed it")
    bench.refused(3.0, "state")


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (StageRefused("ASSUMED_DIFFERS"), MoveRefused),
        (StageUncertain("?"), MoveUncertain),
        (LinkLost("?"), MoveUncertain),
    ],
)
def test_what_the_stage_answers(answer, wanted):
    bench = Bench(fail=answer)
    with pytest.raises(wanted):
        bench.guard.send_by_hand(1.0)
    bench = Bench(fail_status=LinkLost("gone"))
    with pytest.raises(MoveUncertain):
        bench.guard.send_by_hand(1.0)
    assert bench.stage.moves == []


def test_a_frame_from_before_a_hands_move_moves_nothing():
    bench = Bench()
    bench.clock.now_ns += 100 * MS
    frame = frame_at(bench.clock())
    bench.guard.send_by_hand(10.0)
    bench.clock.now_ns += 50 * MS
    with pytest.raises(MoveRefused, match="before-last-move"):
        bench.guard.send(Move(11.0, 10.0, "test"), frame)
    assert bench.stage.moves == [10.0]


def test_a_shutdown_in_between_stops_the_stage():
    bench = Bench()
    move_to = bench.stage.move_to

    def shut_down_meanwhile(target, assumed):
        bench.state.shutdown("meanwhile")
        return move_to(target, assumed)

    bench.stage.move_to = shut_down_meanwhile
    with pytest.raises(MoveUncertain):
        bench.guard.send_by_hand(1.0)
    assert bench.stage.stops == 2
