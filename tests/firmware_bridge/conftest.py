from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.pins import BoardPins
from firmware_bridge.firmware.qemu import QemuFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage
from tests.support.boards import Board, OpenStage
from tests.support.raw_host import RawHost
from tests.support.stage_benches import BENCHES, WIRES, Bench, OpenBench, WireBench, missing
from tests.support.virtual_client import VirtualClient, virtual_client


@pytest.fixture
def firmware(request: pytest.FixtureRequest) -> Iterator[Board]:
    """A fresh firmware at 5000 um, hard limits 0..10,000 um; on this computer unless ON_BOTH."""
    board = QemuFirmware if getattr(request, "param", "host") == "qemu" else HostFirmware
    with board(start_nm=5_000_000, boot_id=11) as running:
        yield running


@pytest.fixture
def trace(firmware: Board) -> Iterator[MotorTrace | BoardPins]:
    """What the motor did: the whole way on the host, the sums on QEMU."""
    if isinstance(firmware, QemuFirmware):
        bench = BoardPins(firmware.bench_port)
        yield bench
        bench.close()
    else:
        with MotorTrace(firmware.trace_path) as reader:
            yield reader


@pytest.fixture
def raw(firmware: Board) -> Iterator[RawHost]:
    host = RawHost(firmware.port)
    yield host
    host.close()


@pytest.fixture
def open_stage(firmware: Board) -> Iterator[OpenStage]:
    """Opens stages with a window of 1000..9000 um and closes them after the test."""
    with ExitStack() as stack:

        def opened(**changes: Any) -> BinaryStage:
            settings = {"port": firmware.port, "z_min_um": 1000.0, "z_max_um": 9000.0}
            stage = BinaryStage(**{**settings, "settle_ms": 10, **changes})
            stack.callback(stage.close)
            return stage

        yield opened


@pytest.fixture
def stage(open_stage: OpenStage) -> BinaryStage:
    return open_stage()


# ---- every driver on a bench of its own: stage_benches ----


@pytest.fixture
def make_bench() -> Iterator[OpenBench]:
    made: list[Bench] = []

    def make(driver: str, **settings: Any) -> Bench:
        if missing(driver):
            pytest.skip(missing(driver))
        made.append(BENCHES[driver](**settings))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


@pytest.fixture(params=sorted(BENCHES))
def bench(request: pytest.FixtureRequest, make_bench: OpenBench) -> Bench:
    return make_bench(request.param)


@pytest.fixture(params=sorted(set(BENCHES) - {"mmcore"}))
def real(request: pytest.FixtureRequest, make_bench: OpenBench) -> Bench:
    """All but Micro-Manager's demo stage, which knows no port and cannot be stopped."""
    return make_bench(request.param)


@pytest.fixture(params=["binary", "binary-process", "asi", "pi", "zaber", "tango", "grbl"])
def telling(request: pytest.FixtureRequest, make_bench: OpenBench) -> Bench:
    """Those whose controller can tell its travel."""
    return make_bench(request.param)


@pytest.fixture(params=sorted(set(BENCHES) - {"mmcore"}))
def slow(request: pytest.FixtureRequest, make_bench: OpenBench) -> Bench:
    """A move of 1 mm takes 5 s: there is time to do something in the middle of it."""
    return make_bench(request.param, speed_um_s=200.0)


@pytest.fixture(params=WIRES)
def wire(request: pytest.FixtureRequest, make_bench: OpenBench) -> WireBench:
    """Simulated controllers alone."""
    made = make_bench(request.param)
    assert isinstance(made, WireBench)
    return made


@pytest.fixture
def talk() -> Iterator[VirtualClient]:
    with virtual_client() as talk:
        yield talk
