"""How the binary stage comes to where it is sent: from which side, how fast, and where it was
when."""

from __future__ import annotations

import contextlib
import time

import numpy as np
import pytest

from firmware_bridge.errors import StageRefused
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage
from tests.support.boards import ON_BOTH, OpenStage


def test_the_slowest_speed_that_is_taken_moves() -> None:
    with HostFirmware(start_nm=5_000_000, nm_per_step=1) as firmware:
        stage = BinaryStage(port=firmware.port, z_min_um=0, z_max_um=9000, backlash_um=0.0,
                            speed_um_s=0.004)  # fmt: skip
        stage.move_to(5000.002, 5000)
        assert stage.wait(10.0).z_um == 5000.002
        stage.close()


def test_approach_from_below(stage: BinaryStage, trace: MotorTrace) -> None:
    stage.move_to(5100, 5000)
    stage.wait(30.0)
    trace.read_new()
    stage.move_to(5050, 5100)
    stage.wait(30.0)
    _, motor = trace.read_new()
    assert motor.min() == 5_048_000
    assert motor[-1] == 5_050_000
    turn = int(motor.argmin())
    assert (np.diff(motor[:turn]) < 0).all()
    assert (np.diff(motor[turn:]) > 0).all()


def test_approach_from_above(open_stage: OpenStage, trace: MotorTrace) -> None:
    stage = open_stage(backlash_um=-2.0)
    stage.move_to(4900, 5000)
    stage.wait(30.0)
    _, motor = trace.read_new()
    assert motor.min() == motor[-1] == 4_900_000  # all the way down: no detour
    stage.move_to(4950, 4900)
    stage.wait(30.0)
    _, motor = trace.read_new()
    assert motor.max() == 4_952_000
    assert motor[-1] == 4_950_000
    turn = int(motor.argmax())
    assert (np.diff(motor[:turn]) > 0).all()
    assert (np.diff(motor[turn:]) < 0).all()


def test_approach_can_be_switched_off(open_stage: OpenStage, trace: MotorTrace) -> None:
    stage = open_stage(backlash_um=0.0)
    stage.move_to(4950, 5000)
    stage.wait(30.0)
    _, motor = trace.read_new()
    assert motor.min() == motor[-1] == 4_950_000


def test_a_slower_speed_is_kept(open_stage: OpenStage, trace: MotorTrace) -> None:
    stage = open_stage(speed_um_s=500.0)
    stage.move_to(5200, 5000)
    stage.wait(30.0)
    _, motor = trace.read_new()
    assert np.abs(np.diff(motor)).max() <= 500 + 50


def interpolated_um(trace: MotorTrace, moments_ns: list[int]) -> list[float]:
    """The motor holds an entry until the next: take the line through the millisecond steps."""
    times, motor = trace.read_new()
    return [float(np.interp(moment, times, motor)) / 1e3 for moment in moments_ns]


def test_z_at_follows_the_motor(stage: BinaryStage, trace: MotorTrace) -> None:
    """Up, cruise, brake: the true position lies within the stated half-width."""
    stage.move_to(6000, 5000)
    moments, answers = [], []
    while stage.status().moving:
        now_ns = time.monotonic_ns()
        # a machine that held the reader up for 50 ms is told so: no answer, never a guess
        with contextlib.suppress(StageRefused):
            answers.append(stage.z_at(now_ns))
            moments.append(now_ns)
    truth = interpolated_um(trace, moments)
    assert len(moments) > 10
    errors = [abs(answer.z_um - z) for answer, z in zip(answers, truth, strict=True)]
    for error, answer in zip(errors, answers, strict=True):
        assert error <= answer.uncertainty_um + 0.1
        assert answer.uncertainty_um < 5
    cruise = [e for e, z in zip(errors, truth, strict=True) if 5150 < z < 5850]
    assert np.median(cruise) < 0.5  # 0.25 ms at 2 mm/s


@ON_BOTH
def test_z_at_rest_now_and_before(stage: BinaryStage) -> None:
    now_ns = time.monotonic_ns()
    here = stage.z_at(now_ns)
    assert (here.z_um, here.uncertainty_um) == (5000, 0.025)
    for moment in (now_ns + 10**9, now_ns - 60 * 10**9):
        with pytest.raises(StageRefused) as refused:
            stage.z_at(moment)
        assert refused.value.reason == "no-history"


def test_drifting_clock_is_followed() -> None:
    with HostFirmware(start_nm=5_000_000, clock_ppm=300) as firmware:
        stage = BinaryStage(port=firmware.port, z_min_um=0, z_max_um=9000)
        stage._client.wait_for(
            lambda _: stage._client.clock.drift_ppm < -200, 4.0
        )  # its clock runs fast: one of its us is shorter
        stage.close()
