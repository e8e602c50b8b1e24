"""The stage contract over the real firmware on a healthy line."""

from __future__ import annotations

import math
import os
import signal
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from firmware_bridge import messages as m
from firmware_bridge.client import Client
from firmware_bridge.errors import LinkLost, ProtocolError, StageError, StageRefused
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stage import open_stage as open_by_name
from firmware_bridge.stages.binary import BinaryStage
from tests.support.boards import ON_BOTH, OpenStage, moves_made


@ON_BOTH
def test_move_and_wait(stage: BinaryStage) -> None:
    before = stage.status()
    assert (before.z_um, before.moving, before.settled_ns) == (5000.0, False, 0)
    sent_ns = time.monotonic_ns()
    assert stage.move_to(5010.02, assumed_um=5000) == 1
    during = stage.status()
    assert during.moving
    assert during.settled_ns is None
    after = stage.wait(30.0)
    assert (after.z_um, after.moving, after.latched) == (5010.0, False, None)
    assert after.settled_ns is not None
    # the stage's clock is only known to half of the fastest round trip, milliseconds under load
    assert sent_ns < after.settled_ns < time.monotonic_ns() + 50_000_000
    assert stage.resolution_um == 0.05


@ON_BOTH
def test_a_move_to_where_it_is_ends_at_once(stage: BinaryStage) -> None:
    stage.move_to(5010, assumed_um=5000)
    stage.wait(30.0)
    stage.move_to(5010, assumed_um=5010)
    assert stage.wait(30.0).z_um == 5010


@ON_BOTH
def test_opened_by_name(firmware: HostFirmware) -> None:
    stage = open_by_name("binary", {"port": firmware.port, "z_min_um": 0, "z_max_um": 9000})
    assert (stage.z_min_um, stage.z_max_um) == (0, 9000)
    stage.close()
    stage.close()
    with pytest.raises(LinkLost):
        stage.status()


@ON_BOTH
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e300])
def test_no_number_is_sent_that_is_none(stage: BinaryStage, trace: MotorTrace, bad: float) -> None:
    with pytest.raises(StageRefused) as refused:
        stage.move_to(bad, 5000)
    assert refused.value.reason == "NOT_FINITE"
    with pytest.raises(StageRefused):
        stage.move_to(5001, bad)
    assert stage.move_to(5001, 5000) == 1  # no number was spent
    assert moves_made(trace) == 1


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(target=st.floats(), assumed=st.floats())
def test_no_input_moves_outside_the_window(
    stage: BinaryStage, trace: MotorTrace, target: float, assumed: float
) -> None:
    try:
        stage.move_to(target, assumed)
        stage.wait(30.0)
    except StageRefused:
        pass
    _, motor = trace.read_new()
    assert ((motor >= 1_000_000) & (motor <= 9_000_000)).all()


@ON_BOTH
def test_window_and_assumed_position(stage: BinaryStage) -> None:
    for target, assumed, reason in (
        (999.9, 5000, "WINDOW"),
        (9000.1, 5000, "WINDOW"),
        (1000.5, 5000, "WINDOW"),  # inside, but the dip is not: the firmware says so
        (5001, 5001.1, "ASSUMED_DIFFERS"),
    ):
        with pytest.raises(StageRefused) as refused:
            stage.move_to(target, assumed)
        assert refused.value.reason == reason
    assert not stage.status().moving
    assert stage.z_at(time.monotonic_ns()).z_um == 5000


@pytest.mark.parametrize(
    "settings_",
    [
        {"z_min_um": -1.0},
        {"z_max_um": 10_000.1},
        {"z_min_um": math.nan},
        {"backlash_um": -1000.1},
        {"settle_ms": 70_000},
        {"speed_um_s": 5000.0},
        {"speed_um_s": 0.003},
        {"speed_um_s": 0.0004},  # 0 on the wire would say "as fast as it goes"
        {"speed_um_s": 0.0},
        {"backlash_um": 0.02},  # less than half a step
        {"assumed_tolerance_um": math.inf},
    ],
)
def test_settings_the_firmware_does_not_take(
    open_stage: OpenStage, settings_: dict[str, float]
) -> None:
    before = threading.active_count()
    with pytest.raises(StageRefused):
        open_stage(**settings_)
    assert threading.active_count() == before
    open_stage()  # the port is free again


@ON_BOTH
def test_a_second_client_is_turned_away(stage: BinaryStage, open_stage: OpenStage) -> None:
    with pytest.raises(StageRefused) as refused:
        open_stage()
    assert refused.value.reason == "PORT_LOCKED"
    assert stage.status().z_um == 5000


@ON_BOTH
def test_the_next_client_starts_without_delay(
    open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is closed says goodbye: the next one asks once, and need not outwait its session."""
    open_stage().close()
    asked: list[m.Hello] = []
    ask = Client._ask_hello

    def counted(client: Client, hello: m.Hello) -> m.HelloAck:
        asked.append(hello)
        return ask(client, hello)

    monkeypatch.setattr(Client, "_ask_hello", counted)
    open_stage()
    assert len(asked) == 1


@ON_BOTH
def test_killed_firmware_is_noticed_in_mid_move(firmware: HostFirmware, stage: BinaryStage) -> None:
    stage.move_to(8000, 5000)
    threading.Timer(0.05, firmware.kill).start()
    with pytest.raises(LinkLost) as lost:  # not StageUncertain, which the end of the wait would be
        stage.wait(30.0)
    assert lost.value.glass_may_have_moved
    for call in (stage.status, stage.stop, lambda: stage.move_to(5000, 5000), stage.clear):
        with pytest.raises(LinkLost):
            call()
    stage.close()


@ON_BOTH
def test_stalled_firmware_is_noticed(firmware: HostFirmware, stage: BinaryStage) -> None:
    os.kill(firmware.pid, signal.SIGSTOP)
    try:
        with pytest.raises(LinkLost, match="no STATUS"):
            stage._client.wait_for(lambda _: False, 2.0)
    finally:
        os.kill(firmware.pid, signal.SIGCONT)


@ON_BOTH
def test_wait_gives_up(stage: BinaryStage) -> None:
    stage.move_to(8000, 5000)
    with pytest.raises(StageError, match="still not done"):
        stage.wait(0.05)


@ON_BOTH
def test_moves_of_two_threads_do_not_mix(open_stage: OpenStage) -> None:
    """The numbers stay unique and every answer finds its question."""
    stage = open_stage(assumed_tolerance_um=10.0)
    numbers: list[int] = []

    def move(target_um: float) -> None:
        for _ in range(20):
            numbers.append(stage.move_to(target_um, 5000))

    threads = [threading.Thread(target=move, args=(z,)) for z in (5000.1, 5000.2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 41))
    assert stage.wait(30.0).z_um in (5000.1, 5000.2)


def test_the_last_move_number_is_the_last(stage: BinaryStage) -> None:
    """A number is 32 bits on the wire: 2^32 is refused, and nothing waits for it afterwards."""
    stage._last_id = 2**32 - 2
    here = stage.status().z_um
    assert stage.move_to(here + 1, here) == 2**32 - 1
    assert stage.wait(30.0).z_um == pytest.approx(here + 1, abs=0.1)
    with pytest.raises(StageRefused, match="MOVE_NUMBERS: this session has used all"):
        stage.move_to(here, here + 1)
    status = stage.status()
    assert not status.moving
    assert status.settled_ns is not None
    stage.reconnect()
    assert stage.move_to(here, here + 1) == 1
    assert stage.wait(30.0).z_um == pytest.approx(here, abs=0.1)


def test_errors_say_which_table(open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(m, "TABLE_HASH", m.TABLE_HASH ^ 1)
    with pytest.raises(ProtocolError, match="table 0x"):
        open_stage()


def test_errors_say_which_version(open_stage: OpenStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(m, "PROTOCOL_VERSION", 2)
    with pytest.raises(ProtocolError, match="another protocol"):
        open_stage()
