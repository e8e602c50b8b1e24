"""A guard over a stage of plain numbers, told a frame and a move."""

from types import SimpleNamespace

import pytest

from edge.decide.decision import Move
from edge.errors import MoveRefused
from edge.guard import Guard
from edge.state import RunState
from tests.support.fake_microscope import LIMITS, Clock, FakeStage, frame_at


def guard_bench(limits=LIMITS, **stage):
    clock = Clock()
    stage = FakeStage(clock, **stage)
    state = RunState(stage.stop)
    state.ready()
    return SimpleNamespace(
        clock=clock, stage=stage, state=state, guard=Guard(limits, stage, state, clock)
    )


def send_move(bench, target=1.0, assumed=0.0, frame=None, **of_frame):
    frame = frame or frame_at(bench.clock(), **of_frame)
    return bench.guard.send(Move(target, assumed, "test"), frame)


def refused_move(bench, reason, **send):
    before = list(bench.stage.moves)
    with pytest.raises(MoveRefused) as caught:
        send_move(bench, **send)
    assert caught.value.reason == reason
    assert bench.stage.moves == before
    assert bench.guard.refused[reason] >= 1
    return str(caught.value)
