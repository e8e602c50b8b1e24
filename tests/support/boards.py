"""The firmwares that a test of the wire runs against: the host build and a Cortex-M3 under QEMU."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.pins import BoardPins
from firmware_bridge.firmware.qemu import QemuFirmware, missing_tools
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage

OpenStage = Callable[..., BinaryStage]
Board = HostFirmware | QemuFirmware

_MISSING = "" if os.environ.get("CI") else missing_tools()  # CI must not leave the board out
NEEDS_BOARD = pytest.mark.skipif(bool(_MISSING), reason=_MISSING)
QEMU = pytest.param("qemu", marks=NEEDS_BOARD)
#: a test runs against the host build and against the Cortex-M3 under QEMU
ON_BOTH = pytest.mark.parametrize("firmware", ["host", QEMU], indirect=True)


def moves_made(trace: MotorTrace | BoardPins) -> int:
    """Moves begun by now; the trace is written at each tick, a little later than an answer."""
    if isinstance(trace, BoardPins):
        return trace.report().moves_started
    assert trace.wait_until(time.monotonic_ns())
    return trace.moves_started
