"""Limit switches and the camera's strobe, worked through the bench's line; faults on purpose."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from firmware_bridge import messages as m
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.pins import FAULTS, BoardPins
from firmware_bridge.firmware.qemu import QemuFirmware
from tests.support.boards import QEMU
from tests.support.patience import ANSWER_S
from tests.support.raw_host import HELLO, RawHost

START = 5_000_000


class Rig:
    """A board, its line and its bench."""

    def __init__(self, kind: str, faults: bool = False) -> None:
        with ExitStack() as stack:
            board: HostFirmware | QemuFirmware
            if kind == "qemu":
                board = QemuFirmware(start_nm=START, boot_id=11, faults=faults)
            else:
                board = HostFirmware(start_nm=START, boot_id=11, bench=True, faults=faults)
            stack.enter_context(board)
            self.raw = RawHost(board.port)
            stack.callback(self.raw.close)
            self.bench = BoardPins(board.bench_port)
            stack.callback(self.bench.close)
            self._stack = stack.pop_all()

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(params=["host", QEMU])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    opened = Rig(request.param)
    opened.raw.hello()
    yield opened
    opened.close()


def wait_alive(raw: RawHost, wanted: type[m.Done]) -> m.Done:
    """Wait as a host does: with a SYNC now and then."""
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        raw.send(m.Sync(HELLO.session, 1))
        raw.listen()
        for heard in raw.heard:
            if isinstance(heard, wanted):
                return heard
    raise AssertionError(f"no {wanted}")


@pytest.mark.parametrize("up", [True, False])
def test_a_limit_switch_stops_at_once_and_latches(rig: Rig, up: bool) -> None:
    raw, bench = rig.raw, rig.bench
    far = START + (2_000_000 if up else -2_000_000)
    assert isinstance(raw.move(far, START), m.Accepted)
    (bench.upper_switch if up else bench.lower_switch)(True)
    done = wait_alive(raw, m.Done)
    assert done.result == m.Result.LIMIT
    here = done.position_nm
    report = bench.report()
    assert report.motor_nm == here
    assert (report.highest_nm if up else report.lowest_nm) == here  # no ramp: not a step further
    raw.heard.clear()
    status = raw.wait(m.Status)
    assert status.latch == m.Latch.LIMIT
    answer = raw.move(START, here)
    assert isinstance(answer, m.Refused)
    assert answer.reason == m.Reason.LATCHED

    assert raw.ask(m.Clear(HELLO.session, status.latch_count), m.Cleared).latch == m.Latch.NONE
    further = raw.move(here + (10_000 if up else -10_000), here)
    assert isinstance(further, m.Refused)
    assert further.reason == m.Reason.LIMIT
    # away from the switch is allowed; it lets go before the axis comes up from its dip
    away = raw.move(here + (-10_000 if up else 10_000), here)
    assert isinstance(away, m.Accepted)
    (bench.upper_switch if up else bench.lower_switch)(False)
    assert wait_alive(raw, m.Done).result == m.Result.REACHED


def test_a_dip_onto_a_pressed_switch_is_refused(rig: Rig) -> None:
    """A small move up takes up backlash by going down first."""
    rig.bench.lower_switch(True)
    rig.bench.report()
    refused = rig.raw.move(START + 1_000, START)
    assert isinstance(refused, m.Refused)
    assert refused.reason == m.Reason.LIMIT
    assert rig.bench.report().lowest_nm == START


def test_exposure_tells_time_and_place(rig: Rig) -> None:
    raw, bench = rig.raw, rig.bench
    assert isinstance(raw.move(START + 3_000_000, START), m.Accepted)
    while (before := bench.report()).motor_nm < START + 20_000:
        raw.send(m.Sync(HELLO.session, 1))
    bench.strobe(True)
    bench.strobe(True)  # a level, not an edge: no second start
    while bench.report().time_us < before.time_us + 10_000:
        raw.send(m.Sync(HELLO.session, 1))
    bench.strobe(False)
    after = bench.report()
    exposure = raw.wait(m.Exposure)
    assert before.time_us <= exposure.start_us < exposure.end_us <= after.time_us
    assert before.motor_nm <= exposure.start_nm + 50
    assert exposure.start_nm < exposure.end_nm <= after.motor_nm + 2_000  # a tick at 2 mm/s
    assert exposure.count == 1
    raw.ask(m.Stop(HELLO.session), m.Stopping)
    here = wait_alive(raw, m.Done).position_nm
    for lit in (True, False):
        bench.strobe(lit)
    at_rest = raw.wait(m.Exposure)
    assert (at_rest.start_nm, at_rest.end_nm, at_rest.count) == (here, here, 2)


def test_without_a_session_no_exposure_is_told_but_it_is_counted(rig: Rig) -> None:
    rig.raw.ask(m.Bye(HELLO.session), m.ByeAck)
    for lit in (True, False):
        rig.bench.strobe(lit)
    rig.bench.report()
    rig.raw.hello()
    assert not any(isinstance(heard, m.Exposure) for heard in rig.raw.heard)
    for lit in (True, False):
        rig.bench.strobe(lit)
    assert rig.raw.wait(m.Exposure).count == 2


def test_a_release_has_no_faults(rig: Rig) -> None:
    for fault in FAULTS:
        rig.bench.inject(fault)
    rig.bench.report()
    for token in range(5):
        assert rig.raw.ask(m.Sync(HELLO.session, token), m.SyncAck).token == token
    assert rig.raw.hello().boot_id == 11


@pytest.mark.parametrize("kind", ["host", QEMU])
def test_faults_on_purpose(kind: str) -> None:
    """Each fault happens as often as it was armed, and the next frame is whole again."""
    rig = Rig(kind, faults=True)
    raw, bench = rig.raw, rig.bench
    boot_id = raw.hello(session=HELLO.session).boot_id
    raw.ask(m.Bye(HELLO.session), m.ByeAck)  # no STATUS, which would take the fault
    for fault in ("drop-sent", "damage-sent", "drop-received"):
        bench.inject(fault, 2)
        bench.report()
        bad_before = raw._frames.bad_frames
        raw.heard.clear()
        for token in range(4):
            raw.send(m.Sync(HELLO.session, token))
        assert raw.wait(m.Nack)
        assert raw.wait(m.Nack)
        raw.listen()
        assert raw.heard == []
        assert raw._frames.bad_frames - bad_before == (2 if fault == "damage-sent" else 0)
    bench.inject("reboot")
    bench.report()
    assert raw.hello().boot_id == boot_id + 1
    rig.close()
