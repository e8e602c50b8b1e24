from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from raw_host import RawHost

from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage

OpenStage = Callable[..., BinaryStage]


def moves_made(trace: MotorTrace) -> int:
    """Moves begun by now; the trace is written at each tick, a little later than an answer."""
    assert trace.wait_until(time.monotonic_ns())
    return trace.moves_started


@pytest.fixture
def firmware() -> Iterator[HostFirmware]:
    """A fresh firmware at 5000 um, hard limits 0..10,000 um."""
    with HostFirmware(start_nm=5_000_000, boot_id=11) as running:
        yield running


@pytest.fixture
def trace(firmware: HostFirmware) -> Iterator[MotorTrace]:
    with MotorTrace(firmware.trace_path) as reader:
        yield reader


@pytest.fixture
def raw(firmware: HostFirmware) -> Iterator[RawHost]:
    host = RawHost(firmware.port)
    yield host
    host.close()


@pytest.fixture
def open_stage(firmware: HostFirmware) -> Iterator[OpenStage]:
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
