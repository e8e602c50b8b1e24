"""The binary stage in its own process: the same contract, the same errors."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from firmware_bridge.errors import LinkLost, StageRefused
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stage import open_stage
from firmware_bridge.stages import own_process
from firmware_bridge.stages.binary import BinaryStage
from firmware_bridge.stages.own_process import OwnProcessStage
from tests.support.patience import ANSWER_S

REST_MS = 300
#: an owner that asks for a long move and then does what its argument says
OWNER = """
import os, sys, time
from firmware_bridge.stages.own_process import OwnProcessStage
if __name__ == "__main__":
    stage = OwnProcessStage(port=sys.argv[1], z_min_um=1000, z_max_um=9000, settle_ms=5,
                            speed_um_s=2000 if sys.argv[2] != "at rest" else None)
    if sys.argv[2] != "at rest":
        stage.move_to(9000.0, 5000.0)
    if sys.argv[2] == "with a child":
        os.fork() or time.sleep(1.5) or os._exit(0)  # it holds every pipe open
    print("ready", flush=True)
    if sys.argv[2] == "within a call":
        stage.wait(30)
    time.sleep(30)
"""


@pytest.fixture
def own(firmware: HostFirmware) -> Iterator[OwnProcessStage]:
    stage = open_stage("binary-process", {"port": firmware.port, "z_min_um": 1000.0,
                                          "z_max_um": 9000.0, "settle_ms": 5})  # fmt: skip
    assert isinstance(stage, OwnProcessStage)
    yield stage
    stage.close()


def test_moves_and_reads(own: OwnProcessStage) -> None:
    assert (own.z_min_um, own.z_max_um, own.resolution_um, own.boot_id) == (1000, 9000, 0.05, 11)
    assert own.move_to(5010.0, 5000.0) == 1
    assert own.wait(30.0).z_um == 5010.0
    assert own.z_at(time.monotonic_ns()).z_um == 5010.0
    own.reconnect()
    assert own.move_to(5011.0, 5010.0) == 1
    assert own.wait(30.0).z_um == 5011.0
    own.close()
    own.close()
    with pytest.raises(LinkLost):
        own.status()


def test_refusals_keep_their_reason(own: OwnProcessStage) -> None:
    for target, assumed, reason in (
        (9000.1, 5000.0, "WINDOW"),
        (5001.0, 5005.0, "ASSUMED_DIFFERS"),
        (math.nan, 5000.0, "NOT_FINITE"),
    ):
        with pytest.raises(StageRefused) as refused:
            own.move_to(target, assumed)
        assert refused.value.reason == reason
        assert str(refused.value).startswith(reason)


def test_stop_overtakes_a_waiting_call(own: OwnProcessStage) -> None:
    own.move_to(9000.0, 5000.0)
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(own.wait(10.0)))
    waiting.start()
    own.stop()
    waiting.join(ANSWER_S)
    assert ended[0].latched == "STOPPED"
    assert ended[0].z_um < 9000
    own.clear()
    assert own.status().latched is None


def test_a_dead_firmware_and_a_dead_process(firmware: HostFirmware, own: OwnProcessStage) -> None:
    own._process.kill()
    with pytest.raises(LinkLost, match="process is gone"):
        own.status()
    own.close()
    firmware.kill()
    with pytest.raises(LinkLost):
        OwnProcessStage(port="/dev/does-not-exist", z_min_um=0, z_max_um=10)


def owner(firmware: HostFirmware, kind: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", OWNER, firmware.port, kind]
    started = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def latch_once_it_is_free(firmware: HostFirmware) -> str | None:
    """Why the axis refuses to move, asked as soon as the bridge has ended and let its port go."""
    until = time.monotonic() + ANSWER_S
    while True:
        try:
            stage = BinaryStage(port=firmware.port, z_min_um=1000, z_max_um=9000)
            break
        except StageRefused:  # PORT_LOCKED
            assert time.monotonic() < until
    latched = stage.status().latched
    stage.close()
    return latched


def rest_after_ms(firmware: HostFirmware, kind: str, number: int) -> float:
    """How long the motor went on after the owner's `number`, from top speed."""
    process = owner(firmware, kind)
    try:
        with MotorTrace(firmware.trace_path) as trace:
            while trace.now()[1] < 5_300_000:
                time.sleep(0.001)
            at_ns = time.monotonic_ns()
            process.send_signal(number)
            time.sleep(0.6)
            times, motor = trace.read_new()
            assert motor[-1] < 9_000_000
            time.sleep(0.1)
            assert len(trace.read_new()[0]) == 0  # it rests
            return float(times[-1] - at_ns) / 1e6
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("kind", ["between calls", "within a call", "with a child"])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP", "SIGSEGV"])
def test_the_axis_rests_when_its_owner_is_dead_or_frozen(name: str, kind: str) -> None:
    took_ms = []
    for _ in range(3):  # a busy computer adds to it: the quickest is ours
        with HostFirmware(start_nm=5_000_000) as firmware:
            took_ms.append(rest_after_ms(firmware, kind, getattr(signal, name)))
            assert latch_once_it_is_free(firmware) == "STOPPED"
        if took_ms[-1] <= REST_MS:
            break
    assert min(took_ms) <= REST_MS


def test_an_owner_frozen_at_rest_latches_nothing_and_goes_on(firmware: HostFirmware) -> None:
    process = owner(firmware, "at rest")
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.4)
    process.kill()
    process.communicate()
    assert latch_once_it_is_free(firmware) is None


def test_a_bridge_that_is_told_to_end_stops_first(own: OwnProcessStage, trace: MotorTrace) -> None:
    """A service manager's SIGTERM goes to all processes of the service; Ctrl-C is the owner's."""
    pid = own._process.pid
    assert pid is not None
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        os.kill(pid, number)
    own.move_to(9000.0, 5000.0)
    os.kill(pid, signal.SIGTERM)
    own._process.join(ANSWER_S)
    assert own._process.exitcode == 0
    assert trace.now()[1] < 9_000_000
    with pytest.raises(LinkLost, match="process is gone"):
        own.status()


def test_an_interrupted_call_is_not_answered_to_the_next(own: OwnProcessStage) -> None:
    own.move_to(8000.0, 5000.0)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGUSR2, interrupt)
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR2)).start()
        with pytest.raises(KeyboardInterrupt):
            own.wait(10.0)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert own.status().moving  # answered while the bridge still waits
    own.stop()
    assert own.wait(30.0).latched == "STOPPED"
    own.clear()
    assert own.move_to(own.status().z_um, own.status().z_um) == 2


def test_a_frozen_bridge_is_a_lost_link(
    own: OwnProcessStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = own._process.pid
    assert pid is not None
    monkeypatch.setattr(own_process, "_CLOSE_S", 0.2)
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)  # it is in its own time that it stops
    try:
        with pytest.raises(LinkLost, match="did not answer"):
            own._reads.ask("status", limit_s=0.2)
    finally:
        own.close()
