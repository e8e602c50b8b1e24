"""Stops: asked for, or forced by silence. The axis brakes, latches, and waits for CLEAR."""

from __future__ import annotations

import time

import numpy as np
import pytest

from firmware_bridge import messages as m
from firmware_bridge.errors import StageRefused
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage
from tests.support.boards import ON_BOTH, OpenStage, moves_made
from tests.support.patience import ANSWER_S
from tests.support.raw_host import HELLO, RawHost

START = 5_000_000
BRAKING_NM = 2_000**2 // (2 * 20)  # v^2 / 2a in nm and ms: 100 um


def test_watchdog_stops_a_move_when_the_host_falls_silent(raw: RawHost, trace: MotorTrace) -> None:
    raw.hello()
    raw.move(START + 3_000_000, START)
    done = raw.wait(m.Done)  # not a byte is sent meanwhile
    assert done.result == m.Result.WATCHDOG
    times, motor = trace.read_new()
    assert motor[-1] == done.position_nm
    moving_ms = (times[-1] - times[1]) / 1e6
    # the silence, then braking; a busy machine's lag
    assert m.WATCHDOG_MS <= moving_ms + 3 <= m.WATCHDOG_MS + 100 + 60
    steps = np.diff(motor.astype(np.int64))
    assert (steps > 0).all()
    assert (np.diff(steps)[-50:] <= 50).all()  # slower and slower, one step of rounding

    assert isinstance(raw.move(START, done.position_nm), m.Refused)
    status = raw.wait(m.Status)
    assert status.latch == m.Latch.SAFE_STOP
    assert raw.ask(m.Clear(HELLO.session, status.latch_count), m.Cleared).latch == m.Latch.NONE
    assert isinstance(raw.move(START, done.position_nm), m.Accepted)


def from_silence_to_rest_ms(raw: RawHost) -> float:
    """By the board's clock, of moves at top speed. A computer that holds an emulator up adds to it:
    the quickest of five is the firmware's own."""
    here, took_ms = START, []
    for sign in (1, -1, 1, -1, 1):
        start = here
        raw.move(start + sign * 2_000_000, start)
        last_us = raw.ask(m.Sync(HELLO.session, 1), m.SyncAck).time_us
        done = raw.wait(m.Done)
        assert done.result == m.Result.WATCHDOG
        here = done.position_nm
        assert abs(here - start) > BRAKING_NM  # it did brake from top speed
        took_ms.append((done.time_us - last_us) / 1e3)
        if took_ms[-1] <= 300.0:
            break
        raw.ask(m.Clear(HELLO.session, raw.wait(m.Status).latch_count), m.Cleared)
    return min(took_ms)


@ON_BOTH
def test_silence_at_top_speed_ends_at_rest_within_300_ms(raw: RawHost) -> None:
    raw.hello()
    assert from_silence_to_rest_ms(raw) <= 300.0


@ON_BOTH
def test_silence_at_rest_latches_nothing(raw: RawHost) -> None:
    raw.hello()
    for _ in range(10):  # 0.5 s
        raw.listen()
    assert raw.ask(m.Sync(HELLO.session, 1), m.SyncAck)
    assert raw.wait(m.Status).latch == m.Latch.NONE


@ON_BOTH
def test_another_sessions_frames_do_not_feed_the_watchdog(raw: RawHost) -> None:
    raw.hello()
    raw.move(START + 3_000_000, START)
    done = None
    deadline = time.monotonic() + ANSWER_S
    while done is None and time.monotonic() < deadline:
        raw.send(m.Sync(78, 1))
        time.sleep(0.005)  # faster than the answers come, the line would fill
        raw.listen()
        done = next((heard for heard in raw.heard if isinstance(heard, m.Done)), None)
    assert done is not None
    assert done.result == m.Result.WATCHDOG


@ON_BOTH
def test_any_session_may_stop(raw: RawHost) -> None:
    raw.hello()
    raw.move(START + 3_000_000, START)
    raw.ask(m.Stop(78), m.Stopping)
    assert raw.wait(m.Done).result == m.Result.STOPPED


@ON_BOTH
def test_a_late_copy_of_clear_does_not_open_a_newer_latch(raw: RawHost) -> None:
    raw.hello()
    raw.ask(m.Stop(HELLO.session), m.Stopping)
    clear = m.Clear(HELLO.session, 1)
    assert raw.ask(clear, m.Cleared).latch == m.Latch.NONE
    raw.ask(m.Stop(HELLO.session), m.Stopping)
    assert raw.ask(clear, m.Cleared) == m.Cleared(m.Latch.STOPPED, 2)


@ON_BOTH
def test_a_late_copy_of_move_does_not_start_after_stop_and_clear(
    raw: RawHost, trace: MotorTrace
) -> None:
    raw.hello()
    move = m.Move(HELLO.session, 1, START + 3_000_000, START, 1_000)
    raw.ask(move, m.Accepted)
    raw.ask(m.Stop(HELLO.session), m.Stopping)
    raw.wait(m.Done)
    raw.ask(m.Clear(HELLO.session, 1), m.Cleared)
    raw.ask(move, m.Accepted)
    assert raw.wait(m.Done).result == m.Result.STOPPED
    assert moves_made(trace) == 1


def test_stop_in_mid_move_brakes_and_needs_clear(stage: BinaryStage, trace: MotorTrace) -> None:
    stage.move_to(8000, assumed_um=5000)
    stage._client.wait_for(lambda status: status.commanded_nm > 5_300_000, 2.0)
    stage.stop()
    asked_at_um = stage.status().z_um
    rested = stage.wait(30.0)
    assert rested.latched == "STOPPED"
    assert 0 < rested.z_um - asked_at_um <= BRAKING_NM / 1e3 + 4
    _, motor = trace.read_new()
    assert int(np.abs(np.diff(np.diff(motor.astype(np.int64)))).max()) <= 20 + 50 + 50

    with pytest.raises(StageRefused) as refused:
        stage.move_to(5000, rested.z_um)
    assert refused.value.reason == "LATCHED"
    stage.clear()
    stage.move_to(5000, rested.z_um)
    assert stage.wait(30.0).z_um == 5000


@ON_BOTH
def test_clear_waits_for_rest(stage: BinaryStage) -> None:
    stage.move_to(8000, assumed_um=5000)
    stage._client.wait_for(lambda status: status.commanded_nm > 5_300_000, 2.0)
    stage.stop()
    with pytest.raises(StageRefused) as refused:
        stage.clear()
    assert refused.value.reason == "BUSY"
    stage.wait(30.0)
    stage.clear()
    assert stage.status().latched is None


@ON_BOTH
def test_a_latch_outlives_its_session(open_stage: OpenStage) -> None:
    first = open_stage()
    first.stop()
    first.close()
    second = open_stage()
    assert second.status().latched == "STOPPED"
    second.clear()
    assert second.status().latched is None
