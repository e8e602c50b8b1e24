"""Frames dropped, copied, damaged, and a controller that restarts: never a wrong move."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from firmware_bridge import messages as m
from firmware_bridge.errors import LinkLost, ProtocolError, StageError, StageRefused, StageUncertain
from firmware_bridge.exchange import SENDS
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.framing import Frame, encode_frame
from firmware_bridge.stages.binary import BinaryStage
from tests.support.boards import ON_BOTH, OpenStage, moves_made
from tests.support.faulty_line import FaultyLine, Nth, drop, flip, twice, unchanged

MOVE, ACCEPTED, STATUS = (m.CODES[kind] for kind in (m.Move, m.Accepted, m.Status))


@pytest.fixture
def line(firmware: HostFirmware) -> Iterator[FaultyLine]:
    with FaultyLine(firmware.port) as faulty:
        yield faulty


@pytest.fixture
def stage(line: FaultyLine, open_stage: OpenStage) -> BinaryStage:
    return open_stage(port=line.port)


@ON_BOTH
def test_a_lost_acknowledgement_does_not_move_twice(
    stage: BinaryStage, line: FaultyLine, trace: MotorTrace
) -> None:
    rule = Nth(ACCEPTED, drop, 1, 2)
    line.to_host = rule
    stage.move_to(5001, 5000)
    assert rule.count == 3
    assert stage.wait(30.0).z_um == 5001
    assert moves_made(trace) == 1


@ON_BOTH
def test_a_lost_move_is_sent_again_under_its_number(
    stage: BinaryStage, line: FaultyLine, trace: MotorTrace
) -> None:
    line.to_firmware = Nth(MOVE, drop, 1)
    assert stage.move_to(5001, 5000) == 1
    assert stage.wait(30.0).z_um == 5001
    assert moves_made(trace) == 1


@ON_BOTH
def test_copied_moves_are_made_once(
    stage: BinaryStage, line: FaultyLine, trace: MotorTrace
) -> None:
    line.to_firmware = Nth(MOVE, twice)
    for z in (5001, 5000, 5001):
        stage.move_to(z, stage.status().z_um)
        assert stage.wait(30.0).z_um == z
    assert moves_made(trace) == 3


@ON_BOTH
def test_a_damaged_move_is_dropped_and_sent_again(
    stage: BinaryStage, line: FaultyLine, trace: MotorTrace
) -> None:
    line.to_firmware = Nth(MOVE, flip, 1)
    stage.move_to(5001, 5000)
    assert stage.wait(30.0).z_um == 5001
    assert moves_made(trace) == 1
    assert stage._client.newest().crc_errors == 1


@ON_BOTH
def test_a_move_never_confirmed_is_uncertain_until_reconnected(
    stage: BinaryStage, line: FaultyLine, trace: MotorTrace
) -> None:
    line.to_host = Nth(ACCEPTED, drop)
    with pytest.raises(StageUncertain, match="never confirmed"):
        stage.move_to(5001, 5000)
    line.to_host = unchanged
    with pytest.raises(StageUncertain, match="never confirmed"):
        stage.move_to(5002, 5001)
    assert moves_made(trace) == 1
    assert stage.wait(30.0).z_um == 5001  # reading stays possible
    stage.reconnect()
    assert stage.status().z_um == 5001
    stage.move_to(5002, 5001)
    assert stage.wait(30.0).z_um == 5002


@ON_BOTH
def test_a_late_move_of_an_old_session_is_refused(
    stage: BinaryStage, line: FaultyLine, trace: MotorTrace
) -> None:
    held: list[bytes] = []

    def hold(wire: bytes) -> list[bytes]:
        held.append(wire)
        return []

    line.to_firmware = Nth(MOVE, hold)
    with pytest.raises(StageUncertain):
        stage.move_to(5001, 5000)
    line.to_firmware = unchanged
    stage.reconnect()
    line.inject(b"".join(held))
    stage.move_to(5000.1, 5000)
    assert stage.wait(30.0).z_um == 5000.1
    assert len(held) == 3
    assert moves_made(trace) == 1


@ON_BOTH
def test_unacknowledged_stop_is_repeated(stage: BinaryStage, line: FaultyLine) -> None:
    line.to_host = Nth(m.CODES[m.Stopping], drop, 1)
    stage.stop()
    assert stage.status().latched == "STOPPED"


@ON_BOTH
def test_lost_status_of_a_new_move_does_not_look_settled(
    stage: BinaryStage, line: FaultyLine
) -> None:
    """The newest STATUS is from before the move: it says settled, and must not be believed."""
    line.to_host = Nth(STATUS, drop)
    stage.move_to(5001, 5000)
    status = stage.status()
    assert status.moving
    assert status.settled_ns is None
    line.to_host = unchanged
    assert stage.wait(30.0).z_um == 5001


def test_no_status_is_a_lost_link(stage: BinaryStage, line: FaultyLine) -> None:
    line.to_host = Nth(STATUS, drop)
    with pytest.raises(LinkLost, match="no STATUS"):
        stage._client.wait_for(lambda _: False, 3.0)


@ON_BOTH
def test_one_way_line_trips_the_watchdog(
    stage: BinaryStage, line: FaultyLine, trace: MotorTrace
) -> None:
    stage.move_to(8000, 5000)
    line.to_firmware = lambda wire, frame: []
    stage._client.wait_for(lambda status: status.latch == m.Latch.SAFE_STOP, 2.0)
    line.to_firmware = unchanged
    with pytest.raises(StageUncertain, match=r"ended at .* um, not at 8000.000: WATCHDOG"):
        stage.wait(30.0)
    rested = stage.status()
    assert rested.latched == "SAFE_STOP"
    assert 5000 < rested.z_um < 8000


def test_restarted_controller_needs_a_new_handshake(stage: BinaryStage, line: FaultyLine) -> None:
    with HostFirmware(start_nm=4_000_000, boot_id=12) as rebooted:
        line.connect(rebooted.port)
        with pytest.raises(StageUncertain, match="restarted"):
            stage._client.wait_for(lambda _: False, 2.0)
        for call in (stage.status, lambda: stage.move_to(5001, 5000), stage.stop):
            with pytest.raises(StageUncertain, match="restarted"):
                call()
        stage.reconnect()
        assert stage.boot_id == 12
        assert stage.status().z_um == 4000
        with pytest.raises(StageRefused):
            stage.move_to(5001, 5000)
        stage.close()


def test_a_move_to_a_restarted_controller_is_not_made(stage: BinaryStage, line: FaultyLine) -> None:
    """At once, before the heartbeat has noticed."""
    with HostFirmware(start_nm=5_000_000, boot_id=12) as rebooted:
        line.connect(rebooted.port)
        with pytest.raises(StageUncertain):
            stage.move_to(5001, 5000)
        with MotorTrace(rebooted.trace_path) as trace:
            assert moves_made(trace) == 0
        stage.close()


@ON_BOTH
def test_silent_port(firmware: HostFirmware, line: FaultyLine, open_stage: OpenStage) -> None:
    asked: list[bytes] = []

    def swallow(wire: bytes, frame: Frame | None) -> list[bytes]:
        asked.extend([wire] if frame is not None else [])
        return []

    line.to_firmware = swallow
    with pytest.raises(LinkLost, match="no firmware answers"):
        open_stage(port=line.port)
    assert len(asked) == SENDS  # and then it is given up


def test_absent_port(open_stage: OpenStage) -> None:
    with pytest.raises(LinkLost, match="cannot open"):
        open_stage(port="/dev/does-not-exist")


def test_moves_through_a_bad_line(stage: BinaryStage, line: FaultyLine, trace: MotorTrace) -> None:
    """A tenth of all frames damaged, dropped or copied, both ways: each move is made at most once,
    and what the host takes for confirmed is where the motor stands."""
    dice = random.Random(5)

    def bad(wire: bytes, frame: Frame | None) -> list[bytes]:
        if dice.random() > 0.1:
            return [wire]
        return dice.choice((drop, twice, flip))(wire)

    line.to_firmware = line.to_host = bad
    asked = 0
    for step in range(25):
        try:
            here = stage.status().z_um
            asked += 1
            target = 5000.0 + step % 3
            stage.move_to(target, here)
            assert stage.wait(30.0).z_um == target
            assert trace.now()[1] == round(target * 1000)
        except StageUncertain:
            line.to_firmware = line.to_host = unchanged
            stage.reconnect()
            line.to_firmware = line.to_host = bad
    assert moves_made(trace) <= asked
    _, motor = trace.read_new()
    assert motor.min() >= 4_998_000
    assert motor.max() <= 5_002_000
    assert asked > 20


def test_any_error_is_a_stage_error(stage: BinaryStage, line: FaultyLine) -> None:
    """A bug in the reader surfaces on the next call instead of hanging it."""

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    stage._client.exchange._note = broken  # type: ignore[method-assign]
    with pytest.raises(StageError, match="ZeroDivisionError"):
        stage._client.wait_for(lambda _: False, 2.0)


def test_a_firmware_that_applies_another_window_is_not_used(
    line: FaultyLine, open_stage: OpenStage
) -> None:
    def widen(wire: bytes, frame: Frame | None) -> list[bytes]:
        if frame is None or frame.kind != m.CODES[m.HelloAck]:
            return [wire]
        ack = m.decode(frame.kind, frame.payload)
        assert isinstance(ack, m.HelloAck)
        _, payload = m.encode(replace(ack, z_max_nm=10_000_000))
        return [encode_frame(replace(frame, payload=payload))]

    line.to_host = widen
    with pytest.raises(ProtocolError, match="applied 1000000"):
        open_stage(port=line.port)


def test_an_old_answer_is_not_taken_for_a_new_one(stage: BinaryStage, line: FaultyLine) -> None:
    """A late ACCEPTED of the first move arrives just before the second is refused."""
    kept: list[bytes] = []

    def late(wire: bytes, frame: Frame | None) -> list[bytes]:
        if frame is not None and frame.kind == ACCEPTED:
            kept.append(wire)
        refused = frame is not None and frame.kind == m.CODES[m.Refused]
        return [*kept, wire] if refused else [wire]

    line.to_host = late
    stage.move_to(5001, 5000)
    stage.wait(30.0)
    with pytest.raises(StageRefused):
        stage.move_to(5002, 5005)
    assert len(kept) == 1


def test_a_status_of_another_boot_is_a_restart(stage: BinaryStage, line: FaultyLine) -> None:
    def rebooted(wire: bytes, frame: Frame | None) -> list[bytes]:
        if frame is None or frame.kind != STATUS:
            return [wire]
        status = m.decode(frame.kind, frame.payload)
        assert isinstance(status, m.Status)
        _, payload = m.encode(replace(status, boot_id=status.boot_id + 1))
        return [encode_frame(replace(frame, payload=payload))]

    line.to_host = rebooted
    with pytest.raises(StageUncertain, match="restarted"):
        stage._client.wait_for(lambda _: False, 2.0)
