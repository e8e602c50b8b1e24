"""A pulled plug, a restarted and an exchanged controller; exposures; z at a constant speed."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import serial

from firmware_bridge.errors import LinkLost, StageRefused
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.pins import BoardPins
from firmware_bridge.firmware.qemu import QemuFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage
from firmware_bridge.stages.own_process import OwnProcessStage
from tests.support.boards import NEEDS_BOARD, QEMU
from tests.support.faulty_line import FaultyLine
from tests.support.patience import ANSWER_S

START = 5_000_000


def point(name: Path, port: str) -> None:
    """What udev does with /dev/serial/by-id."""
    name.unlink(missing_ok=True)
    name.symlink_to(port)


def lost(stage: BinaryStage) -> None:
    deadline = time.monotonic() + ANSWER_S
    while time.monotonic() < deadline:
        try:
            stage.status()
        except LinkLost:
            return
        time.sleep(0.01)
    raise AssertionError("the loss was not noticed")


def test_a_pulled_plug_comes_back_under_its_name(tmp_path: Path) -> None:
    by_id = tmp_path / "z-controller"
    with HostFirmware(start_nm=START, boot_id=11) as first:
        with FaultyLine(first.port) as line:
            point(by_id, line.port)
            stage = BinaryStage(port=str(by_id), z_min_um=1000, z_max_um=9000, settle_ms=5)
            stage.move_to(5010, 5000)
            stage.wait(30.0)
            line.hang_up()
            lost(stage)
        by_id.unlink()
        with pytest.raises(LinkLost, match="cannot open"):
            stage.reconnect()
        with pytest.raises(LinkLost):
            stage.status()
        point(by_id, first.port)
        stage.reconnect()
        assert (stage.status().z_um, stage.boot_id) == (5010.0, 11)  # the same boot: as it was
        first.kill()
        lost(stage)
    with HostFirmware(start_nm=START, boot_id=12) as restarted:
        point(by_id, restarted.port)
        stage.reconnect()
        assert (stage.status().z_um, stage.boot_id) == (5000.0, 12)
        stage.move_to(5001, 5000)
        assert stage.wait(30.0).z_um == 5001
    lost(stage)
    stage.close()


@NEEDS_BOARD
def test_another_controller_under_the_same_name_is_refused(tmp_path: Path) -> None:
    by_id = tmp_path / "z-controller"
    with HostFirmware(start_nm=START) as ours:
        point(by_id, ours.port)
        stage = BinaryStage(port=str(by_id), z_min_um=1000, z_max_um=9000)
        ours.kill()
        lost(stage)
    with QemuFirmware(start_nm=START, boot_id=3) as other:
        point(by_id, other.port)
        with pytest.raises(StageRefused, match="OTHER_DEVICE: device 2 answers instead of 1"):
            stage.reconnect()
        bench = BoardPins(other.bench_port)
        assert bench.report().moves_started == 0
        bench.close()
    stage.close()


def test_low_latency_is_asked_of_every_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pty has no such mode and is used all the same; an FTDI adapter is 16 ms late without it."""
    asked = []
    real = serial.Serial.set_low_latency_mode

    def noted(port: serial.Serial, wanted: bool) -> None:
        asked.append(wanted)
        real(port, wanted)

    monkeypatch.setattr(serial.Serial, "set_low_latency_mode", noted)
    with HostFirmware(start_nm=START) as board:
        BinaryStage(port=board.port, z_min_um=1000, z_max_um=9000).close()
    assert asked == [True]


@pytest.mark.parametrize("kind", ["host", QEMU])
def test_exposures_in_host_time(kind: str) -> None:
    board: HostFirmware | QemuFirmware
    if kind == "qemu":
        board = QemuFirmware(start_nm=START, boot_id=11)
    else:
        board = HostFirmware(start_nm=START, bench=True)
    with board:
        bench = BoardPins(board.bench_port)
        stage = OwnProcessStage(port=board.port, z_min_um=1000, z_max_um=9000, settle_ms=5)
        begin = time.monotonic_ns()
        for lit in (True, False, True, False):
            bench.strobe(lit)
        bench.report()
        exposures = []
        while len(exposures) < 2:
            exposures += stage.exposures()
            assert time.monotonic_ns() < begin + ANSWER_S * 1e9
        end = time.monotonic_ns()
        slack = (
            50_000_000  # the clocks know each other to half a round trip, long on a busy machine
        )
        assert [one.count for one in exposures] == [1, 2]
        for one in exposures:
            assert begin - slack <= one.start_ns <= one.end_ns <= end + slack
            assert (one.z.z_um, one.z.uncertainty_um) == (5000.0, 0.025)
        assert stage.exposures() == []
        stage.close()
        bench.close()


def test_z_at_constant_speed_is_as_good_as_it_says() -> None:
    """100 um/s against the motor's own trace; benchmarks/bridge_latency.py tells more."""
    with (
        HostFirmware(start_nm=START, clock_ppm=100) as board,
        MotorTrace(board.trace_path) as trace,
    ):
        stage = BinaryStage(port=board.port, z_min_um=1000, z_max_um=9000, settle_ms=5,
                            speed_um_s=100.0, backlash_um=0.0)  # fmt: skip
        stage.move_to(5100, 5000)
        moments, places = [], []
        while stage.status().moving:
            moments.append(time.monotonic_ns())
            answer = stage.z_at(moments[-1])
            places.append((answer.z_um * 1e3, answer.uncertainty_um * 1e3))
            time.sleep(0.005)
        assert trace.wait_until(time.monotonic_ns())
        times, motor = trace.read_new()
        stage.close()
    z_nm, half_width_nm = np.array(places).T
    error_nm = np.abs(z_nm - np.interp(moments, times, motor))
    assert len(moments) > 20
    assert (error_nm <= half_width_nm + 1).mean() > 0.97
    assert np.median(error_nm) <= 50
