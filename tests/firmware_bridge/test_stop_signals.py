"""Signals that end the program stop the glass first, whatever the main thread is busy with."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time

import pytest

from firmware_bridge.stop_signals import SIGNALS, Interrupted, StopSignals
from tests.support.patience import ANSWER_S

ALL = pytest.mark.parametrize("number", SIGNALS, ids=lambda number: signal.Signals(number).name)


def later(number: int, after_s: float = 0.05) -> None:
    threading.Timer(after_s, os.kill, (os.getpid(), number)).start()


def held_up(number: int, signals: StopSignals) -> None:
    """The main thread sleeps inside `signals` until `number` comes."""
    with signals:
        later(number)
        time.sleep(ANSWER_S)


@ALL
def test_each_signal_stops_and_then_interrupts(number: int) -> None:
    stopped: list[str] = []
    before = signal.getsignal(number)
    with pytest.raises(Interrupted) as interrupted:
        held_up(number, StopSignals(stopped.append))
    assert interrupted.value.number == number
    assert stopped == [signal.Signals(number).name]
    assert signal.getsignal(number) is before


def test_it_stops_while_the_main_thread_is_in_c() -> None:
    """A driver or a network that keeps Python's handlers from running does not keep the stop."""
    order: list[str] = []

    def busy() -> None:
        with StopSignals(order.append, raises=False):
            later(signal.SIGTERM)
            hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000)  # no handler runs within it
            order.append("the main thread goes on")

    busy()
    assert order == ["SIGTERM", "the main thread goes on"]


@ALL
def test_a_loop_is_asked_and_a_second_signal_does_not_wait(number: int) -> None:
    stopped: list[str] = []
    signals = StopSignals(stopped.append, raises=False)

    def loop() -> None:
        with signals:
            later(number)
            assert signals.asked.wait(ANSWER_S)
            assert signals.name == signal.Signals(number).name
            later(signal.SIGTERM)
            time.sleep(ANSWER_S)

    with pytest.raises(Interrupted):
        loop()
    assert stopped == [signal.Signals(number).name]


def test_nothing_is_closed_under_a_stop_that_is_still_being_sent() -> None:
    order: list[str] = []

    def stop(_: str) -> None:
        time.sleep(0.1)
        order.append("stopped")

    with pytest.raises(Interrupted):
        held_up(signal.SIGHUP, StopSignals(stop))
    order.append("closed")
    assert order == ["stopped", "closed"]


def test_a_dead_line_is_said_and_the_program_ends_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def stop(_: str) -> None:
        raise OSError("the port is gone")

    with pytest.raises(Interrupted):
        held_up(signal.SIGINT, StopSignals(stop))
    assert "the port is gone" in caplog.text


def test_nohup_is_respected_and_other_threads_are_left_alone() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals(lambda _: None):
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)

    def elsewhere() -> None:
        with StopSignals(lambda _: None):
            pass

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join(ANSWER_S)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
