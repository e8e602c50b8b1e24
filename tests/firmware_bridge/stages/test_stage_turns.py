"""What a driver meets while this computer is busy or the line damaged: told, and never believed."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

import pytest

from firmware_bridge.errors import StageRefused, StageUncertain
from firmware_bridge.stage import open_stage
from tests.support.patience import ANSWER_S, wait_for
from tests.support.stage_benches import (
    START_UM,
    WIRES,
    Bench,
    OpenBench,
    WireBench,
    at,
)

# ---- what a thread may meet ---------------------------------------------------------------------


def test_whatever_a_driver_meets_is_told(wire: WireBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """And reconnecting starts the asking again."""
    stage: Any = wire.open()
    read = stage._read
    monkeypatch.setattr(stage, "_read", lambda: int("-5.05.000"))
    with pytest.raises(StageUncertain, match=r"cannot go on.*-5.05.000"):
        wait_for(lambda: stage.status() is None)
    monkeypatch.setattr(stage, "_read", read)
    stage.reconnect()
    wait_for(lambda: stage._polling)
    stage.move_to(at(wire, 5010), at(wire, START_UM))
    stage.wait(10.0)


class NoTurn(threading.Event):
    """In place of what a polling thread naps on: it never wakes to ask, as if starved."""

    def __init__(self) -> None:
        super().__init__()
        self.naps = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.naps.set()
        return super().wait()


def starved(stage: Any) -> None:
    stage._closing = NoTurn()
    assert stage._closing.naps.wait(ANSWER_S)


def test_an_arrival_that_nobody_asked_for_in_time_is_one(wire: WireBench) -> None:
    stage = wire.open()
    starved(stage)
    stage.move_to(at(wire, 5005), at(wire, START_UM))
    assert stage.wait(0.05).z_um == pytest.approx(at(wire, 5005), abs=stage.resolution_um)


def test_who_has_not_arrived_is_not_waited_for_longer(make_bench: OpenBench) -> None:
    bench = make_bench("asi", speed_um_s=20.0)
    stage = bench.open()
    starved(stage)
    stage.move_to(5900, 5000)
    with pytest.raises(StageUncertain, match=r"still not done after 0\.05 s"):
        stage.wait(0.05)
    stage.stop()


@pytest.mark.parametrize(
    ("driver", "old", "new"),
    [
        ("grbl", b",-5.000|", b",-5.05.000|"),
        ("asi", b"50000.0", b"50.000.0"),
        ("pi", b"5000.0", b"50.00.0"),
        ("tango", b"5000.0", b"5.00.0"),
        ("prior", b"50000", b"5-000"),
        ("zaber", b"100000", b"10 000"),
    ],
)
def test_what_damage_leaves_of_a_number_is_no_number(
    make_bench: OpenBench, driver: str, old: bytes, new: bytes
) -> None:
    bench = make_bench(driver, **({"checksum": False} if driver == "zaber" else {}))
    stage: Any = bench.open()
    damaged: list[bytes] = []

    def once(data: bytes) -> bytes:
        if damaged or old not in data:
            return data
        damaged.append(data)
        return data.replace(old, new)

    bench.damage(once, None)
    wait_for(lambda: bool(damaged))
    assert stage.status().z_um == pytest.approx(at(bench, START_UM))
    assert stage._thread.is_alive()


# ---- stop first, questions later ----------------------------------------------------------------


@pytest.mark.parametrize("driver", ["binary", "binary-process", *WIRES])
def test_a_stop_asks_nothing_first(make_bench: OpenBench, driver: str) -> None:
    """Whoever sent the axis is gone, and the config does not even fit the controller."""
    bench = make_bench(driver, speed_um_s=20.0)
    start = at(bench, START_UM)
    if isinstance(bench, WireBench):
        bench.axis.move_to(round((start + 900) * 1000))
    else:
        first = bench.open(backlash_um=0.0)
        first.move_to(start + 900, start)
        first._process.kill() if driver == "binary-process" else first._client.exchange.close()  # type: ignore[attr-defined]
    window = {"z_min_um": start - 1e6, "z_max_um": start + 1e6}
    with suppress(StageRefused):
        stage = open_stage(driver, {**bench.options(), **window}, stop_first=True)
        stage.stop()
        stage.close()
    wait_for(lambda: _rests(bench))
    assert bench.motor_um() < start + 100


def _rests(bench: Bench) -> bool:
    before = bench.motor_um()
    time.sleep(0.05)
    return bench.motor_um() == before


def test_grbl_answers_nothing_while_it_moves_and_is_stopped(make_bench: OpenBench) -> None:
    bench = make_bench("grbl", speed_um_s=200.0)
    assert isinstance(bench, WireBench)
    bench.axis.move_to(-1_000_000)
    assert bench.served.controller.receive(b"$$\n") == b""
    assert bench.served.controller.due() == b"error:8\r\n"
    stage = bench.open()
    assert not bench.axis.moving
    assert stage.status().z_um < -4900
    stage.stop()
