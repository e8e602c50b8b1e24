"""What every driver promises, on every driver: each runs against its own controller."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from firmware_bridge.errors import LinkLost, StageError, StageRefused, StageUncertain
from firmware_bridge.stage import STAGES, Stage
from simulator.mechanics import Mechanics, MechanicsParameters
from tests.support.patience import ANSWER_S
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
    wait_for,
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
    stage.move_to(at(wire, 5010), at(wire, START_UM))
    wait_for(lambda: stage.status().z_um == pytest.approx(at(wire, 5010), abs=0.01))
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


def test_a_lost_acknowledgement_does_not_move_twice(wire: WireBench) -> None:
    """The answer to the first copy is lost: the second asks for the same place."""
    stage = wire.open()
    lost: list[bytes] = []

    def lose_one(data: bytes) -> bytes:
        if lost or not wire.axis.targets_nm:
            return data
        lost.append(data)
        return b""

    wire.damage(lose_one, None)
    target = at(wire, 5100)
    stage.move_to(target, at(wire, START_UM))
    assert lost
    stage.wait(10.0)
    assert wire.motor_um() == pytest.approx(target, abs=stage.resolution_um)
    assert wire.axis.moves == 1
    assert len(set(wire.axis.targets_nm)) == 1


def test_the_controllers_own_refusal_is_one(wire: WireBench) -> None:
    stage = wire.open()
    start = at(wire, START_UM)
    wire.axis.blocked = True
    if wire.driver in ("tmcl", "zaber", "grbl", "prior"):
        assert refusal(lambda: stage.move_to(start + 5, start)) == "LATCHED"
    else:
        refusal(lambda: stage.move_to(start + 5, start))
    assert stage.status().settled_ns == 0
    wire.axis.blocked = False
    wire.axis.max_nm = round(start * 1000) + 50_000  # somebody narrowed the limits meanwhile
    assert refusal(lambda: stage.move_to(start + 60, start)) == "WINDOW"
    assert wire.axis.moves == 0
    stage.move_to(start + 40, start)
    stage.wait(10.0)


def flips(seed: int, one_in: int) -> Callable[[bytes], bytes]:
    """One bit of about one byte in `one_in` is wrong."""
    random = np.random.default_rng(seed)

    def rule(data: bytes) -> bytes:
        bad = random.integers(one_in, size=len(data)) == 0
        bits = 1 << random.integers(8, size=len(data))
        return bytes(
            b ^ int(bit) if wrong else b for b, bit, wrong in zip(data, bits, bad, strict=True)
        )

    return rule


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("driver", ["binary", "binary-process", *WIRES])
def test_on_a_noisy_line_no_move_is_believed_that_was_not_made(
    make_bench: OpenBench, driver: str, seed: int
) -> None:
    """A damaged line may refuse or be uncertain; what it confirms is true."""
    binary = driver.startswith("binary")
    bench = make_bench(driver, **({"through_a_line": True} if binary else {}))
    stage = bench.open(**({} if binary else {"answer_s": 0.15}))
    start = at(bench, START_UM)
    bench.damage(flips(seed, 300), flips(seed + 100, 300))
    arrived = 0
    for number in range(12):
        target = start + 40.0 * (number % 2) + number
        made = bench.moves_made()
        try:
            stage.move_to(target, stage.status().z_um)
            stage.wait(30.0)
        except StageRefused:
            assert bench.moves_made() == made
            continue
        except StageUncertain:
            bench.damage(None, None)
            stage.reconnect()  # type: ignore[attr-defined]
            wait_for(lambda: stage.status().settled_ns is not None)
            bench.damage(flips(seed + number, 300), flips(seed + 99, 300))
            continue
        assert bench.motor_um() == pytest.approx(target, abs=0.5 + stage.resolution_um)
        arrived += 1
    assert arrived >= 2
    if isinstance(bench, WireBench):
        low, high = bench.axis.extremes_nm
        assert bench.axis.min_nm <= low <= high <= bench.axis.max_nm


def swapped(old: bytes, new: bytes, times: int) -> Callable[[bytes], bytes]:
    """The first `times` that `old` is seen, it reads `new`."""
    left = [times]

    def rule(data: bytes) -> bytes:
        if left[0] and old in data:
            left[0] -= 1
            return data.replace(old, new, 1)
        return data

    return rule


@pytest.mark.parametrize(
    ("driver", "old", "new", "times"),
    [
        ("asi", b"50000.0", b"90000.0", 1),  # no checksum: asked twice
        ("prior", b"50000", b"50100", 1),
        ("pi", b"5000.0", b"5100.0", 1),
        ("tango", b"5000.0", b"5100.0", 1),
        ("zaber", b"100000", b"140000", 2),  # a checksum: never believed
        ("tmcl", (100_000).to_bytes(4, "big"), (140_000).to_bytes(4, "big"), 2),
    ],
)
def test_a_damaged_digit_is_no_hand_on_the_knob(
    make_bench: OpenBench, driver: str, old: bytes, new: bytes, times: int
) -> None:
    bench = make_bench(driver)
    stage = bench.open(poll_ms=1)
    answers: list[bytes] = []
    damage = swapped(old, new, times)

    def rule(data: bytes) -> bytes:
        answers.append(damage(data))
        return answers[-1]

    bench.damage(rule, None)
    wait_for(lambda: sum(new in data for data in answers) == times and old in answers[-1])
    status = stage.status()
    assert (status.z_um, status.settled_ns) == (5000.0, 0)


def test_a_damaged_acceptance_is_no_refusal(make_bench: OpenBench) -> None:
    """`0` reads as an error, twice: the axis moves, so nobody may believe that it does not."""
    bench = make_bench("pi", speed_um_s=200.0)
    stage = bench.open()
    start = at(bench, START_UM)

    def rule(data: bytes) -> bytes:
        return data.replace(b"0\n", b"4\n") if data == b"0\n" and bench.moves_made() else data

    bench.damage(rule, None)
    with pytest.raises(StageUncertain, match="yet the axis moved"):
        stage.move_to(start + 900, start)
    bench.damage(None, None)
    with pytest.raises(StageUncertain):
        stage.move_to(start, start)


def test_silence_is_a_lost_link(wire: WireBench) -> None:
    stage = wire.open(answer_s=0.15)
    wire.damage(None, lambda data: b"")
    with pytest.raises(LinkLost, match="no answer"):
        wait_for(lambda: stage.status() is None)
    wire.damage(None, None)
    stage.reconnect()  # type: ignore[attr-defined]
    stage.move_to(at(wire, 5010), at(wire, START_UM))
    assert stage.wait(10.0).z_um == pytest.approx(at(wire, 5010), abs=stage.resolution_um)


def test_a_stop_is_tried_on_a_lost_link(make_bench: OpenBench) -> None:
    """The answers are lost; the way to the controller is whole."""
    for driver in ("asi", "zaber"):
        bench = make_bench(driver, speed_um_s=20.0)
        assert isinstance(bench, WireBench)
        stage = bench.open(answer_s=0.1)
        start = at(bench, START_UM)
        stage.move_to(start + 900, start)
        bench.damage(lambda data: b"", None)
        with pytest.raises(LinkLost):
            stage.wait(10.0)
        assert bench.axis.moving
        with pytest.raises(LinkLost):
            stage.stop()
        wait_for(lambda b=bench: not b.axis.moving)


@pytest.mark.parametrize("driver", ["pi", "grbl"])
def test_a_stop_of_one_byte_overtakes_the_question_under_way(
    make_bench: OpenBench, driver: str
) -> None:
    bench = make_bench(driver, speed_um_s=20.0)
    assert isinstance(bench, WireBench)
    stage: Any = bench.open()
    start = at(bench, START_UM)
    stage.move_to(start + 900, start)
    with stage._changed:  # somebody asks, and waits for the answer
        stopper = threading.Thread(target=stage.stop)
        stopper.start()
        wait_for(lambda: not bench.axis.moving)
    stopper.join(ANSWER_S)
    assert stage.wait(10.0).z_um < start + 850


def test_a_move_that_is_never_confirmed_is_uncertain(wire: WireBench) -> None:
    """And no other may follow before somebody looked where it is."""
    stage = wire.open(answer_s=0.15)
    start = at(wire, START_UM)

    def deaf(data: bytes) -> bytes:
        return b"" if wire.axis.targets_nm else data

    wire.damage(deaf, None)
    for _ in range(2):
        with pytest.raises(StageUncertain) as uncertain:
            stage.move_to(start + 30, start)
        assert uncertain.value.glass_may_have_moved
        assert "never confirmed" in str(uncertain.value)
    wire.damage(None, None)
    assert len(set(wire.axis.targets_nm)) == 1
    stage.reconnect()  # type: ignore[attr-defined]
    wait_for(lambda: not wire.axis.moving)
    stage.reconnect()  # type: ignore[attr-defined]
    stage.move_to(start + 35, start + 30)


def test_a_hang_up_is_noticed_in_mid_move(slow: Bench) -> None:
    stage = slow.open()
    start = at(slow, START_UM)
    stage.move_to(start + 900, start)
    slow.hang_up()
    with pytest.raises(LinkLost) as lost:
        stage.wait(10.0)
    assert lost.value.glass_may_have_moved
    for call in (stage.status, stage.stop, stage.clear, lambda: stage.move_to(start, start)):
        with pytest.raises(LinkLost):
            call()
    stage.close()


def test_a_hand_on_the_knob_is_seen(wire: WireBench) -> None:
    stage = wire.open()
    before_ns = time.monotonic_ns()
    wire.axis.turn_knob(wire.axis.position_nm() + 7_000)
    wait_for(lambda: stage.status().settled_ns not in (0, None))
    status = stage.status()
    assert status.z_um == pytest.approx(at(wire, 5007), abs=stage.resolution_um)
    assert status.settled_ns is not None
    assert status.settled_ns > before_ns
    assert refusal(lambda: stage.z_at(before_ns)) == "no-history"
    assert refusal(lambda: stage.move_to(at(wire, 5001), at(wire, START_UM))) == "ASSUMED_DIFFERS"


def test_a_move_that_somebody_else_stopped_is_uncertain(slow: Bench) -> None:
    """A limit switch, a knob, a second hand: that it rests is not that it arrived."""
    stage = slow.open()
    start = at(slow, START_UM)
    stage.move_to(start + 900, start)
    wait_for(lambda: slow.motor_um() > start + 5)
    slow.cut_short()
    for _ in range(2):
        with pytest.raises(StageUncertain, match=r"ended at .* um, not at"):
            stage.wait(10.0)
    z_um = stage.status().z_um
    assert z_um == pytest.approx(slow.motor_um(), abs=stage.resolution_um)
    assert refusal(lambda: stage.move_to(start, start)) in ("ASSUMED_DIFFERS", "LATCHED")


def test_two_masters_are_not_served(real: Bench) -> None:
    real.open()
    assert refusal(real.open) == "PORT_LOCKED"


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
