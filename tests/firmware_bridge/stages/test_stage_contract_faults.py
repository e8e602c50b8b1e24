"""What every driver promises when something goes wrong: a noisy line, silence, a hang-up, a
hand."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from tests.support.patience import ANSWER_S, wait_for
from tests.support.stage_benches import (
    START_UM,
    WIRES,
    Bench,
    OpenBench,
    WireBench,
    at,
    refusal,
)


def test_a_lost_acknowledgement_does_not_move_twice(wire: WireBench) -> None:
    """The answer to the first copy is lost: the second asks for the same place."""
    stage = wire.open(legs=False)
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
    stage = wire.open(legs=False)
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


def is_back(stage: Any) -> bool:
    """Reconnected, and at rest. On a whole line an answer is late only where a computer gives its
    controller no turn: then it is asked again."""
    try:
        stage.reconnect()
        return stage.status().settled_ns is not None
    except LinkLost:
        return False


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
    for number in itertools.count():
        if number >= 12 and arrived >= 2:  # who gets no turn is uncertain more often
            break
        assert number < 60
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
            wait_for(lambda: is_back(stage))
            bench.damage(flips(seed + number, 300), flips(seed + 99, 300))
            continue
        assert bench.motor_um() == pytest.approx(target, abs=0.5 + stage.resolution_um)
        arrived += 1
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
        stage = bench.open(answer_s=0.1, legs=False)
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
    stage: Any = bench.open(legs=False)
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
    stage = wire.open(answer_s=0.15, legs=False)
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
    stage = slow.open(**slow.whole)
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
