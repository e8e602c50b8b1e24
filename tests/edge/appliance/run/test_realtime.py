"""What the system may do for the loop, and that the loop needs no garbage collector."""

import contextlib
import ctypes
import gc
import os

import pytest

from edge.appliance.run import realtime
from edge.appliance.run.realtime import apply, without_collector
from edge.loop import step
from edge.settings import RealtimeSettings
from tests.support.fake_microscope import microscope


def test_nothing_is_done_that_was_not_asked_for():
    before = os.sched_getaffinity(0), os.sched_getscheduler(0)
    assert apply(RealtimeSettings()) == []
    assert (os.sched_getaffinity(0), os.sched_getscheduler(0)) == before


def test_cores_are_pinned_and_missing_ones_named():
    before = os.sched_getaffinity(0)
    try:
        (done,) = apply(RealtimeSettings(cores=(min(before),)))
        assert done.done
        assert str(done) == f"cores {min(before)}: done"
        assert os.sched_getaffinity(0) == {min(before)}
        (refused,) = apply(RealtimeSettings(cores=(999,)))
        assert not refused.done
        assert "there is no core 999" in refused.why
        assert os.sched_getaffinity(0) == {min(before)}
    finally:
        os.sched_setaffinity(0, before)


def test_the_scheduler_is_asked_for_first_in_first_out(monkeypatch):
    asked = []
    monkeypatch.setattr(os, "sched_setscheduler", lambda *words: asked.append(words))
    (done,) = apply(RealtimeSettings(priority=40))
    ((process, policy, parameters),) = asked
    assert (process, policy, parameters.sched_priority) == (0, os.SCHED_FIFO, 40)
    assert done.done


def test_what_is_not_allowed_is_said_and_left(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    (refused,) = apply(RealtimeSettings(priority=1))
    assert str(refused).startswith("SCHED_FIFO 1: not done, the system does not allow it")


def test_memory_is_locked_now_and_later(monkeypatch):
    asked = []

    class Libc:
        def __init__(self, answer):
            self.answer = answer

        def mlockall(self, flags):
            asked.append(flags)
            ctypes.set_errno(12)
            return self.answer

    monkeypatch.setattr(realtime.ctypes, "CDLL", lambda *_, **__: Libc(0))
    assert apply(RealtimeSettings(lock_memory=True))[0].done
    assert asked == [3]
    monkeypatch.setattr(realtime.ctypes, "CDLL", lambda *_, **__: Libc(-1))
    (refused,) = apply(RealtimeSettings(lock_memory=True))
    assert not refused.done
    assert "allocate memory" in refused.why


def test_the_collector_is_off_inside_and_as_before_outside():
    for was_on in (True, False):
        (gc.enable if was_on else gc.disable)()
        try:
            with contextlib.suppress(KeyError), without_collector():
                assert not gc.isenabled()
                raise KeyError
            assert gc.isenabled() is was_on
            assert gc.get_freeze_count() == 0
        finally:
            gc.enable()


@pytest.mark.parametrize("case", ["moves", "blank", "refused", "stalled", "late"])
def test_a_step_leaves_no_cycles_behind(case):
    rig, eye = microscope(focus_um=6.0)
    if case == "blank":
        eye.range_um = 0.0
    if case == "refused":
        rig.stage.latched = "SAFE_STOP"
    if case == "late":
        rig.late_ms = 0.5
    for _ in range(3):
        step(rig)
    with without_collector():
        for _ in range(20):
            if case == "stalled":
                rig.camera.stalls, rig.stalls = 1, 0
            step(rig)
        gc.unfreeze()
        assert gc.collect() == 0
