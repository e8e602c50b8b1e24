"""Five states, one door out, from any thread, once."""

import threading

import pytest

from edge.state import RunState, State


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
