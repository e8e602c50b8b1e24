"""Five states, one door out, from any thread, once."""

import threading

import pytest

from edge.state import RunState, State, at_rest, halt
from firmware_bridge.errors import LinkLost
from tests.support.fake_microscope import Clock, FakeStage


def test_the_way_through():
    state = RunState()
    assert (state.value, state.may_move) == (State.STARTING, False)
    assert (state.name, state.reason) == ("starting", "")
    state.follow(tracking=True)
    assert state.value is State.STARTING  # nothing runs before it is ready
    state.ready()
    assert (state.value, state.may_move) == (State.READY, True)
    state.follow(tracking=True)
    assert (state.value, state.may_move) == (State.TRACKING, True)
    state.follow(tracking=False)
    assert (state.value, state.may_move) == (State.HOLDING, False)
    state.ready()
    assert state.value is State.HOLDING


def test_only_a_person_leaves_a_shutdown():
    stops = []
    state = RunState(lambda: stops.append(1))
    state.ready()
    assert state.shutdown("first")
    assert state.shutdown("second") is False
    for call in (state.ready, lambda: state.follow(True), lambda: state.follow(False)):
        call()
        assert (state.value, state.reason, state.may_move) == (State.SHUTDOWN, "first", False)
    assert stops == [1]
    assert state.name == "shutdown: first"
    state.restart_by_person()
    assert (state.value, state.reason) == (State.READY, "")
    assert state.shutdown("again")
    assert stops == [1, 1]


def test_restart_does_nothing_else():
    state = RunState()
    state.restart_by_person()
    assert state.value is State.STARTING


def test_many_threads_shut_down_once():
    stops, won, barrier = [], [], threading.Barrier(8)
    state = RunState(lambda: stops.append(1))

    def shut(i):
        barrier.wait()
        if state.shutdown(str(i)):
            won.append(str(i))

    threads = [threading.Thread(target=shut, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert stops == [1]
    assert won == [state.reason]


def test_state_is_shut_before_the_hook_runs_even_if_the_hook_fails():
    def stop():
        raise OSError("port gone")

    state = RunState(stop)
    with pytest.raises(OSError, match="port gone"):
        state.shutdown("x")
    assert state.value is State.SHUTDOWN


def test_an_axis_that_is_known_to_rest_is_not_told_to_stop():
    stops = []
    state = RunState(lambda: stops.append(1))
    assert state.shutdown("latched", stop=False) is True
    assert (stops, state.value) == ([], State.SHUTDOWN)


def test_states_by_the_words_on_the_page_and_in_records():
    assert [state.value for state in State] == [
        "starting", "ready", "tracking", "holding", "shutdown",
    ]  # fmt: skip


def halted(first_reason="", **stage_fields):
    """What becomes of a stage that `halt` is told of: (state, how often it was told to stop)."""
    stage = FakeStage(Clock(), **stage_fields)
    state = RunState(stage.stop)
    state.ready()
    if first_reason:
        state.shutdown(first_reason, stop=False)
    if stage_fields.get("travel_ms"):
        stage.move_to(9.0, 0.0)
    halt(state, stage, "latched")
    assert state.value is State.SHUTDOWN
    return state, stage.stops


def test_only_an_axis_that_moves_or_does_not_answer_is_told_to_stop():
    assert halted()[1] == 0
    assert halted(travel_ms=50.0)[1] == 1
    for error in (LinkLost("gone"), OSError("port")):
        assert halted(fail_status=error)[1] == 1


def test_what_shut_down_before_has_told_the_axis():
    state, stops = halted("a person pressed it", travel_ms=50.0)
    assert (state.reason, stops) == ("a person pressed it", 0)


def test_a_dead_line_that_cannot_be_told_raises_nothing():
    class Dead(FakeStage):
        def stop(self):
            super().stop()
            raise OSError("port gone")

    stage, state = Dead(Clock(), fail_status=LinkLost("gone")), RunState()
    state.ready()
    halt(state, stage, "silent")
    assert (stage.stops, state.reason) == (1, "silent")


def test_whether_an_axis_rests():
    stage = FakeStage(Clock())
    assert at_rest(stage) is True
    stage.move_to(9.0, 0.0)
    assert at_rest(stage) is False
    assert at_rest(FakeStage(Clock(), fail_status=LinkLost("gone"))) is False
