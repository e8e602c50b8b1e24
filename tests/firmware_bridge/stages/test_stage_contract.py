"""What every driver promises, on every driver: each runs against its own controller."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from firmware_bridge.errors import LinkLost, StageError, StageRefused, StageUncertain
from firmware_bridge.stage import STAGES, Stage
from simulator.mechanics import Mechanics, MechanicsParameters
from tests.support.patience import wait_for
from tests.support.stage_benches import (
    BENCHES,
    HIGH_UM,
    LOW_UM,
    START_UM,
    WIRES,
    Bench,
    OpenBench,
    WireBench,
    at,
    refusal,
)


def test_every_driver_is_on_a_bench() -> None:
    assert set(BENCHES) == set(STAGES)


def test_what_it_says_of_itself(bench: Bench) -> None:
    stage = bench.open()
    assert (stage.z_min_um, stage.z_max_um) == (at(bench, LOW_UM), at(bench, HIGH_UM))
    assert 0 < stage.resolution_um <= 1
    status = stage.status()
    assert status.z_um == pytest.approx(at(bench, START_UM), abs=stage.resolution_um)
    assert (status.moving, status.settled_ns, status.latched) == (False, 0, None)
    assert abs(status.time_ns - time.monotonic_ns()) < 5_000_000_000


def test_a_move_arrives_up_and_down(bench: Bench) -> None:
    """Units and sign: the motor is where it was sent, and up is up."""
    stage = bench.open()
    here = at(bench, START_UM)
    for number, target in enumerate((here + 40.3, here - 25.7, here - 25.7), 1):
        assert stage.move_to(target, here) == number
        sent_ns = time.monotonic_ns()
        after = stage.wait(10.0)
        grid = stage.resolution_um + 1e-6
        assert bench.motor_um() == pytest.approx(target, abs=grid)
        assert after.z_um == pytest.approx(target, abs=grid)
        assert not after.moving
        assert after.settled_ns is not None
        assert number == 3 or after.settled_ns > sent_ns - 1_000_000_000
        here = target


def test_z_at_rest_now_and_nothing_about_the_future(bench: Bench) -> None:
    stage = bench.open()
    now_ns = time.monotonic_ns()
    here = stage.z_at(now_ns)
    assert here.z_um == pytest.approx(at(bench, START_UM), abs=stage.resolution_um)
    assert 0 < here.uncertainty_um <= 1.0
    assert refusal(lambda: stage.z_at(now_ns + 10**10)) == "no-history"


@pytest.mark.parametrize("beyond", [LOW_UM - 0.1, HIGH_UM + 0.1, -1e9, 1e9])
def test_outside_the_window_nothing_is_sent(wire: WireBench, beyond: float) -> None:
    stage = wire.open()
    assert refusal(lambda: stage.move_to(at(wire, beyond), at(wire, START_UM))) == "WINDOW"
    assert wire.axis.targets_nm == []


def test_outside_the_window_it_refuses(bench: Bench) -> None:
    stage = bench.open()
    for beyond in (LOW_UM - 0.1, HIGH_UM + 0.1):
        target = at(bench, beyond)
        assert refusal(lambda t=target: stage.move_to(t, at(bench, START_UM))) == "WINDOW"
    assert bench.motor_um() == pytest.approx(at(bench, START_UM))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_no_number_is_sent_that_is_none(bench: Bench, bad: float) -> None:
    stage = bench.open()
    assert refusal(lambda: stage.move_to(bad, at(bench, START_UM))) == "NOT_FINITE"
    assert refusal(lambda: stage.move_to(at(bench, START_UM), bad)) == "NOT_FINITE"
    assert bench.motor_um() == pytest.approx(at(bench, START_UM))


def test_a_wrong_assumption_moves_nothing(bench: Bench) -> None:
    stage = bench.open()
    call = lambda: stage.move_to(at(bench, 5003), at(bench, START_UM + 1.5))  # noqa: E731
    assert refusal(call) == "ASSUMED_DIFFERS"
    assert bench.motor_um() == pytest.approx(at(bench, START_UM))


def test_a_window_outside_the_travel_stops_the_start(telling: Bench) -> None:
    """And the port is free again afterwards."""
    assert refusal(lambda: telling.open(z_max_um=at(telling, 10_000.5))) in ("WINDOW", "CONFIG")
    assert refusal(lambda: telling.open(z_min_um=at(telling, -0.5))) in ("WINDOW", "CONFIG")
    telling.open()


def test_busy_while_it_moves(slow: Bench) -> None:
    stage = slow.open()
    start = at(slow, START_UM)
    stage.move_to(start + 900, start)
    assert stage.status().moving
    wait_for(lambda: slow.motor_um() > start + 5)
    during = stage.status()
    assert (during.moving, during.settled_ns) == (True, None)
    assert refusal(lambda: stage.move_to(start + 10, start)) in ("BUSY", "ASSUMED_DIFFERS")
    with pytest.raises(StageUncertain, match="still not done"):
        stage.wait(0.02)
    stage.stop()


def test_a_second_move_waits_for_the_first(make_bench: OpenBench) -> None:
    """Even one that knows where the axis is."""
    for driver in WIRES:
        bench = make_bench(driver, speed_um_s=200.0)
        stage = bench.open(assumed_tolerance_um=5000.0)
        start = at(bench, START_UM)
        stage.move_to(start + 900, start)
        assert refusal(lambda s=stage, z=start: s.move_to(z + 10, z)) == "BUSY"


def test_busy_is_asked_and_not_inferred(wire: WireBench) -> None:
    """It is there, but its servo still hunts."""
    stage = wire.open()
    wire.axis.hunts = True
    stage.move_to(at(wire, 5004), at(wire, START_UM))
    wait_for(lambda: stage.status().z_um == pytest.approx(at(wire, 5004), abs=0.01))
    with pytest.raises(StageUncertain, match="still not done"):
        stage.wait(0.1)
    wire.axis.hunts = False
    assert stage.wait(10.0).settled_ns is not None


def test_settled_is_never_in_the_future(wire: WireBench) -> None:
    stage = wire.open(settle_ms=150)
    stage.move_to(at(wire, 5010), at(wire, START_UM))
    while (settled_ns := stage.status().settled_ns) is None:
        pass
    assert settled_ns <= time.monotonic_ns()


def test_stop_ends_a_move_on_the_way(slow: Bench) -> None:
    stage = slow.open()
    start = at(slow, START_UM)
    stage.move_to(start + 900, start)
    wait_for(lambda: slow.motor_um() > start + 5)
    stage.stop()
    after = stage.wait(10.0)
    assert start + 3 < after.z_um < start + 850
    assert after.z_um == pytest.approx(slow.motor_um(), abs=stage.resolution_um)
    stage.clear()  # the reference firmware latches a stop
    stage.move_to(start + 6, after.z_um)  # and it may go on from there
    stage.stop()


def test_stop_at_rest_is_harmless(real: Bench) -> None:
    stage = real.open()
    stage.stop()
    stage.stop()
    assert real.motor_um() == pytest.approx(at(real, START_UM))


def test_closed_is_closed(bench: Bench) -> None:
    stage = bench.open()
    stage.close()
    stage.close()
    with pytest.raises(LinkLost):
        stage.status()


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"settle_ms": math.nan}, "settle_ms"),
        ({"arrival_um": -1}, "arrival_um"),
        ({"z_min_um": 9001.0, "z_max_um": 9000.0}, "z_min_um"),
        ({"answer_s": 0.0}, "answer_s"),
    ],
)
def test_bad_options_are_named(make_bench: OpenBench, changes: dict[str, Any], hint: str) -> None:
    bench = make_bench("asi")
    with pytest.raises(StageRefused, match=f"CONFIG.*{hint}"):
        bench.open(**changes)
    with pytest.raises(TypeError, match="colour"):
        bench.open(colour="blue")


def test_the_motor_moves_simulated_glass(wire: WireBench) -> None:
    """Behind each wire the same mechanics as behind the firmware: play, error, ringing."""
    parameters = MechanicsParameters(backlash_um=0.8, repeatability_um=0.0, direction=-1)
    glass = Mechanics(wire.axis, seed=1, parameters=parameters)
    stage: Stage = wire.open()
    start = at(wire, START_UM)
    stage.move_to(start + 20, start)
    stage.wait(10.0)
    wait_for(lambda: glass.at_rest(time.monotonic_ns()))
    up_um = glass.height_um(time.monotonic_ns())
    assert up_um == pytest.approx(start - 20, abs=0.1 + stage.resolution_um)  # wired backwards
    stage.move_to(start, start + 20)
    stage.wait(10.0)
    wait_for(lambda: glass.at_rest(time.monotonic_ns()))
    back_um = glass.height_um(time.monotonic_ns())
    assert back_um == pytest.approx(start - 0.8, abs=0.1 + stage.resolution_um)  # and the play


def test_errors_are_of_the_contract(bench: Bench) -> None:
    stage = bench.open()
    assert issubclass(LinkLost, StageError)
    stage.clear()  # nothing is latched: nothing happens
