"""When numbers are worth nothing: a controller restarted, fell silent, or was never referenced.
On every driver against its own controller."""

from __future__ import annotations

import time
from typing import Any

import pytest

from firmware_bridge.errors import LinkLost, StageRefused, StageSilent, StageUncertain
from firmware_bridge.stage import Stage
from tests.support.patience import wait_for
from tests.support.stage_benches import (
    BENCHES,
    START_UM,
    WIRES,
    Bench,
    OpenBench,
    WireBench,
    at,
    refusal,
)


def bench_of(driver: str, make_bench: OpenBench, **settings: Any) -> Bench:
    """A bench whose line can be made bad."""
    line = {"through_a_line": True} if driver.startswith("binary") else {}
    return make_bench(driver, **line, **settings)


def doubted(stage: Stage) -> str:
    """What `status` says once it no longer believes the controller."""
    with pytest.raises(StageUncertain) as doubt:
        wait_for(lambda: stage.status() is None)
    assert len(str(doubt.value).splitlines()) == 1
    return str(doubt.value)


# ---- a controller that restarts -----------------------------------------------------------------


@pytest.mark.parametrize("driver", sorted(BENCHES))
def test_a_restart_at_rest_is_not_believed(make_bench: OpenBench, driver: str) -> None:
    """It counts from elsewhere, and the glass did not move: a window would mean nothing."""
    bench = bench_of(driver, make_bench)
    stage = bench.open()
    stage.wait(10.0)
    bench.restart()
    doubted(stage)
    with pytest.raises(StageUncertain):
        stage.move_to(stage.z_max_um - 1, stage.z_max_um - 2)
    if isinstance(bench, WireBench):
        assert bench.axis.targets_nm == []
        with pytest.raises(StageUncertain):  # asking again does not find an origin
            stage.reconnect()  # type: ignore[attr-defined]


@pytest.mark.parametrize("driver", WIRES)
def test_a_restart_in_mid_move_is_not_believed(make_bench: OpenBench, driver: str) -> None:
    bench = make_bench(driver, speed_um_s=200.0)
    assert isinstance(bench, WireBench)
    stage = bench.open()
    start = at(bench, START_UM)
    stage.move_to(start + 900, start)
    wait_for(lambda: bench.motor_um() > start + 5)
    bench.restart()
    made = bench.moves_made()
    doubted(stage)
    assert bench.moves_made() == made
    with pytest.raises(StageUncertain):
        stage.move_to(start, start)


@pytest.mark.parametrize("travel_um", [60.0, -300.0])
def test_no_hand_turns_that_fast(wire: WireBench, travel_um: float) -> None:
    stage = wire.open()
    stage.wait(10.0)
    wire.axis.turn_knob(wire.axis.position_nm() + round(travel_um * 1000))
    assert "too fast for a hand" in doubted(stage)


def test_a_slow_hand_is_followed(wire: WireBench) -> None:
    """200 um/s for a while, as a person focuses."""
    stage = wire.open()
    for _ in range(40):
        wire.axis.turn_knob(wire.axis.position_nm() + 2000)
        time.sleep(0.01)
        stage.status()
    wait_for(lambda: stage.status().settled_ns is not None)
    assert stage.status().z_um == pytest.approx(at(wire, START_UM + 80), abs=stage.resolution_um)


# ---- silence ------------------------------------------------------------------------------------


@pytest.mark.parametrize("driver", ["binary", "binary-process", *WIRES])
def test_a_silence_at_rest_is_waited_for(make_bench: OpenBench, driver: str) -> None:
    bench = bench_of(driver, make_bench)
    stage = bench.open(**({"answer_s": 0.15} if driver in WIRES else {}))
    start = at(bench, START_UM)
    stage.move_to(start + 10, start)
    stage.wait(10.0)
    bench.damage(lambda data: b"", None)
    with pytest.raises(StageSilent):
        wait_for(lambda: stage.status() is None)
    if driver in WIRES:
        with pytest.raises(StageSilent):
            stage.move_to(start + 20, start + 10)
    made = bench.moves_made()
    bench.damage(None, None)

    def back() -> bool:
        try:
            return stage.status().settled_ns is not None
        except StageSilent:
            return False

    wait_for(back)  # nobody had to reconnect
    assert bench.moves_made() == made
    stage.move_to(start + 20, start + 10)
    assert stage.wait(10.0).z_um == pytest.approx(start + 20, abs=stage.resolution_um)


def test_who_comes_back_elsewhere_is_not_believed(wire: WireBench) -> None:
    """A few um only, which a hand could do: but nobody saw it, and a restart could, too."""
    stage = wire.open(answer_s=0.15)
    stage.wait(10.0)
    wire.damage(lambda data: b"", None)
    with pytest.raises(StageSilent):
        wait_for(lambda: stage.status() is None)
    wire.axis.turn_knob(wire.axis.position_nm() + 3000)
    wire.damage(None, None)

    def believed() -> bool:
        try:
            return stage.status() is not None
        except StageSilent:
            return False

    with pytest.raises(StageUncertain, match="after a silence"):
        wait_for(believed)


def test_who_comes_back_set_up_otherwise_is_not_believed(make_bench: OpenBench) -> None:
    bench = make_bench("grbl")
    assert isinstance(bench, WireBench)
    stage = bench.open(answer_s=0.15)
    bench.damage(lambda data: b"", None)
    with pytest.raises(StageSilent):
        wait_for(lambda: stage.status() is None)
    bench.served.controller.settings[102] = 400  # type: ignore[attr-defined]
    bench.damage(None, None)
    wait_for(lambda: not isinstance(_status(stage), StageSilent))
    with pytest.raises(StageUncertain, match=r"resolution_um 2\.5 instead of 1"):
        stage.status()


def _status(stage: Stage) -> object:
    try:
        return stage.status()
    except StageUncertain as error:
        return error


def test_silence_in_mid_move_is_no_waiting(make_bench: OpenBench) -> None:
    bench = make_bench("asi", speed_um_s=20.0)
    stage = bench.open(answer_s=0.15)
    stage.move_to(5900, 5000)
    bench.damage(lambda data: b"", None)
    with pytest.raises(LinkLost) as lost:
        stage.wait(10.0)
    assert not isinstance(lost.value, StageSilent)


# ---- what a position counts from ----------------------------------------------------------------


@pytest.mark.parametrize("driver", ["tmcl", "prior", "tango", "asi"])
def test_exactly_0_is_where_a_controller_wakes_up(make_bench: OpenBench, driver: str) -> None:
    bench = make_bench(driver)
    assert isinstance(bench, WireBench)
    bench.axis.min_nm = -1_000_000
    bench.axis.turn_knob(0)
    window = {"z_min_um": -100.0, "z_max_um": 100.0}
    stage = bench.open(**window)
    assert stage.status().latched == "UNREFERENCED"
    assert refusal(lambda: stage.move_to(5, 0)) == "LATCHED"
    assert refusal(stage.clear) == "UNREFERENCED"
    stage.close()
    vouched = bench.open(**window, referenced=True)
    assert vouched.status().latched is None
    vouched.move_to(5, 0)
    assert vouched.wait(10.0).z_um == pytest.approx(5, abs=vouched.resolution_um)


@pytest.mark.parametrize("driver", ["grbl", "pi", "zaber"])
def test_who_says_that_it_was_not_referenced_does_not_move(
    make_bench: OpenBench, driver: str
) -> None:
    bench = make_bench(driver)
    assert isinstance(bench, WireBench)
    board: Any = bench.served.controller
    for name, value in (("alarm", True), ("referenced", False), ("warning", "WR")):
        setattr(board, name, value)
    stage = bench.open()
    start = at(bench, START_UM)
    assert stage.status().latched in ("ALARM", "UNREFERENCED")
    assert refusal(lambda: stage.move_to(start + 5, start)) == "LATCHED"
    assert refusal(stage.clear) == "UNREFERENCED"
    assert bench.axis.targets_nm == []
    assert b"$X" not in bench.served.heard


def test_a_person_may_vouch_for_a_grbl_in_alarm(make_bench: OpenBench) -> None:
    bench = make_bench("grbl")
    assert isinstance(bench, WireBench)
    bench.served.controller.alarm = True  # type: ignore[attr-defined]
    stage = bench.open(referenced=True)
    assert stage.status().latched == "ALARM"
    stage.clear()
    assert stage.status().latched is None
    stage.close()
    bench.served.controller.alarm = True  # type: ignore[attr-defined]
    assert bench.served.controller.receive(b"$H\n") == b""
    bench.served.controller.due()
    assert bench.open().status().latched is None  # homed


def test_referenced_is_yes_or_no(make_bench: OpenBench) -> None:
    with pytest.raises(StageRefused, match=r"CONFIG.*referenced"):
        make_bench("asi").open(referenced="perhaps")
