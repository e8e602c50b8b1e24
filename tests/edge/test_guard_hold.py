"""A hold: whoever asks is refused until it is resumed, and nothing is being sent when it begins."""

from __future__ import annotations

import threading

import pytest

from edge.decide.decision import Hold, Move
from edge.errors import MoveRefused
from edge.guard import Guard
from edge.state import RunState
from tests.support.fake_microscope import LIMITS, MS, Clock, FakeStage, frame_at
from tests.support.patience import ANSWER_S


def bench() -> tuple[Guard, FakeStage, Clock]:
    clock = Clock()
    stage = FakeStage(clock)
    state = RunState(stage.stop)
    state.ready()
    return Guard(LIMITS, stage, state, clock), stage, clock


def test_a_hold_refuses_the_loop_and_the_hand() -> None:
    guard, stage, clock = bench()
    assert guard.held == ""
    guard.hold("a z-stack")
    assert guard.held == "a z-stack"
    with pytest.raises(MoveRefused, match=r"^held: a z-stack$"):
        guard.send(Move(1.0, 0.0, "test"), frame_at(clock()))
    with pytest.raises(MoveRefused, match=r"^held: a z-stack$"):
        guard.send_by_hand(1.0)
    assert guard.send(Hold("nothing to move"), frame_at(clock(), 1)) is None
    assert (stage.moves, guard.moves, guard.refused) == ([], 0, {"held": 2})


def test_a_resume_ends_it() -> None:
    guard, stage, clock = bench()
    guard.hold("x")
    guard.resume()
    assert guard.held == ""
    guard.send(Move(1.0, 0.0, "test"), frame_at(clock()))
    clock.now_ns += 100 * MS
    guard.send_by_hand(2.0)
    assert stage.moves == [1.0, 2.0]


def test_a_hold_without_a_reason_is_one() -> None:
    guard, _, _ = bench()
    guard.hold("")
    assert guard.held == "no reason was given"
    with pytest.raises(MoveRefused, match="no reason was given"):
        guard.send_by_hand(1.0)


@pytest.mark.parametrize("call", ["hold", "resume"])
def test_it_waits_until_a_move_has_been_sent(call: str) -> None:
    """What is on its way to the stage is there when the hold begins, and is not cut short by it."""
    guard, stage, _ = bench()
    ask = guard.resume if call == "resume" else lambda: guard.hold("x")
    if call == "resume":
        guard.hold("x")
        guard.resume()
    sending, go_on, done = threading.Event(), threading.Event(), threading.Event()
    move_to = stage.move_to

    def slow(target_um: float, assumed_um: float) -> int:
        sending.set()
        assert go_on.wait(ANSWER_S)
        assert not done.is_set()
        return int(move_to(target_um, assumed_um))

    stage.move_to = slow  # type: ignore[method-assign]
    mover = threading.Thread(target=guard.send_by_hand, args=(1.0,))
    holder = threading.Thread(target=lambda: (ask(), done.set()))
    mover.start()
    assert sending.wait(ANSWER_S)
    holder.start()
    assert guard.held == ""
    go_on.set()
    mover.join(ANSWER_S)
    holder.join(ANSWER_S)
    assert done.is_set()
    assert (stage.moves, stage.stops) == ([1.0], 0)
