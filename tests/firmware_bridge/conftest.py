from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from firmware_bridge.firmware.bench import Bench
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.qemu import QemuFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage
from tests.support.boards import Board, OpenStage
from tests.support.raw_host import RawHost


@pytest.fixture
def firmware(request: pytest.FixtureRequest) -> Iterator[Board]:
    """A fresh firmware at 5000 um, hard limits 0..10,000 um; on this computer unless ON_BOTH."""
    board = QemuFirmware if getattr(request, "param", "host") == "qemu" else HostFirmware
    with board(start_nm=5_000_000, boot_id=11) as running:
        yield running


@pytest.fixture
def trace(firmware: Board) -> Iterator[MotorTrace | Bench]:
    """What the motor did: the whole way on the host, the sums on QEMU."""
    if isinstance(firmware, QemuFirmware):
        bench = Bench(firmware.bench_port)
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
