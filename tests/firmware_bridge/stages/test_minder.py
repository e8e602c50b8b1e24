"""A controller without a watchdog is stopped by somebody else when its host dies or is frozen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.errors import StageRefused, StageUncertain
from firmware_bridge.stages import minder_process
from firmware_bridge.stages.minder import Minder
from firmware_bridge.stages.minder_process import SILENT_S, STARVED_S, silent_too_long
from tests.support.patience import ANSWER_S
from tests.support.stage_benches import BENCHES, WIRES, Bench, WireBench

REST_MS = 300
#: a host that asks for a long move and does no more
HOST = """
import json, sys, time
from firmware_bridge.stage import open_stage
stage = open_stage(sys.argv[1], json.loads(sys.argv[2]))
z_um = stage.status().z_um
stage.move_to(z_um + 3500.0, z_um)
print("ready", flush=True)
time.sleep(30)
"""


@pytest.fixture
def line() -> Iterator[tuple[int, int]]:
    near, far = os.openpty()
    yield near, far
    os.close(near)
    os.close(far)


def test_it_stops_only_what_moves(line: tuple[int, int]) -> None:
    near, far = line
    moving = [True]
    os.set_blocking(near, False)
    for moves, stopped in ((False, b""), (True, b"HALT")):
        moving[0] = moves
        minder = Minder(far, b"HALT", lambda: moving[0], lambda: None)
        minder.begin()
        minder.close()  # as our death
        minder.close()
        wire_bytes = b""
        with suppress(BlockingIOError):
            wire_bytes = os.read(near, 100)
        assert wire_bytes[:4] == stopped


class Starved:
    """A minder that gets no turn for nine seconds after its owner closed it."""

    stdin = stdout = None
    killed = False

    def wait(self, timeout_s: float) -> int:
        if timeout_s < 9.0:
            raise subprocess.TimeoutExpired("minder", timeout_s)
        return 0

    def kill(self) -> None:
        self.killed = True


def test_a_minder_that_waits_for_its_turn_is_not_killed(line: tuple[int, int]) -> None:
    """It is closed while the axis moves: its stop is still to come."""
    starved: Any = Starved()
    Minder(line[1], b"HALT", lambda: True, lambda: None)._end(starved)
    assert not starved.killed


def test_an_end_of_the_minder_is_told_while_it_moves(line: tuple[int, int]) -> None:
    ended: list[float] = []
    minder = Minder(line[1], b"x", lambda: True, lambda: ended.append(time.monotonic()))
    minder.begin()
    assert minder._process is not None
    minder._process.kill()
    until = time.monotonic() + ANSWER_S
    while not ended and time.monotonic() < until:
        time.sleep(0.01)
    assert len(ended) == 1
    minder.begin()  # the next move has a new one
    minder.close()


def test_nobody_moves_without_one(line: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(StageRefused, match="UNMINDED"):
        Minder(line[1], b"x", lambda: True, lambda: None).begin()


@pytest.mark.parametrize(
    ("runs", "since_s", "too_long"),
    [
        (True, SILENT_S, False),
        (True, STARVED_S, True),
        (False, SILENT_S, True),
        (False, 0.1, False),
    ],
)
def test_a_starved_host_is_not_a_frozen_one(
    monkeypatch: pytest.MonkeyPatch, runs: bool, since_s: float, too_long: bool
) -> None:
    monkeypatch.setattr(minder_process, "runnable", lambda _: runs)
    assert silent_too_long(1, since_s) is too_long


def test_runnable_is_read_from_the_kernel() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "while True: pass"]) as busy:
        until = time.monotonic() + ANSWER_S
        while not minder_process.runnable(busy.pid):
            assert time.monotonic() < until
        busy.send_signal(signal.SIGSTOP)
        while minder_process.runnable(busy.pid):
            assert time.monotonic() < until
        busy.kill()
    assert not minder_process.runnable(busy.pid)  # gone


@pytest.fixture
def bench() -> Iterator[Callable[[str], WireBench]]:
    made: list[Bench] = []

    def make(driver: str) -> WireBench:
        made.append(BENCHES[driver](speed_um_s=1000.0))
        assert isinstance(made[-1], WireBench)
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("name", ["SIGKILL", "SIGSTOP"])
@pytest.mark.parametrize("driver", WIRES)
def test_the_axis_rests_when_its_host_is_dead_or_frozen(
    bench: Callable[[str], WireBench], driver: str, name: str
) -> None:
    rig = bench(driver)
    window = {"z_min_um": 1000.0 + rig.origin_um, "z_max_um": 9000.0 + rig.origin_um}
    options = json.dumps({**window, **rig.options(), "poll_ms": 10})
    words = [sys.executable, "-c", HOST, driver, options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        at_ns = time.monotonic_ns()
        host.send_signal(getattr(signal, name))
        until = time.monotonic() + 3.0
        while rig.axis.moving and time.monotonic() < until:
            time.sleep(0.001)
        rested_ms = (time.monotonic_ns() - at_ns) / 1e6
        host.kill()
    assert rig.motor_um() < 8000, "it went on"
    assert rested_ms < 2 * REST_MS  # a busy computer's lag; `make stops` measures it
    time.sleep(0.05)
    assert not rig.axis.moving


def test_a_host_that_wakes_up_knows_that_it_was_stopped(
    bench: Callable[[str], WireBench],
) -> None:
    rig = bench("asi")
    stage = rig.open()
    start_um = stage.status().z_um
    stage.move_to(start_um + 3000.0, start_um)
    minder = stage._minder  # type: ignore[attr-defined]
    minder._process.send_signal(signal.SIGKILL)
    with pytest.raises(StageUncertain, match="minder"):
        stage.wait(10.0)


def test_it_needs_nothing_but_python() -> None:
    program = Path(minder_process.__file__)
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(program), "1", str(os.getpid()), "00"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as started:  # fmt: skip
        out, _ = started.communicate(b"r")
    assert (started.returncode, out) == (0, b"k")
