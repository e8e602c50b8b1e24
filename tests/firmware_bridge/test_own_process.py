"""The binary stage in its own process: the same contract, the same errors."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator

import pytest

from firmware_bridge.errors import LinkLost, StageRefused
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.own_process import OwnProcessStage
from firmware_bridge.stage import open_stage


@pytest.fixture
def own(firmware: HostFirmware) -> Iterator[OwnProcessStage]:
    stage = open_stage("binary-process", {"port": firmware.port, "z_min_um": 1000.0,
                                          "z_max_um": 9000.0, "settle_ms": 5})  # fmt: skip
    assert isinstance(stage, OwnProcessStage)
    yield stage
    stage.close()


def test_moves_and_reads(own: OwnProcessStage) -> None:
    assert (own.z_min_um, own.z_max_um, own.resolution_um, own.boot_id) == (1000, 9000, 0.05, 11)
    assert own.move_to(5010.0, 5000.0) == 1
    assert own.wait(2.0).z_um == 5010.0
    assert own.z_at(time.monotonic_ns()).z_um == 5010.0
    own.reconnect()
    assert own.move_to(5011.0, 5010.0) == 1
    assert own.wait(2.0).z_um == 5011.0
    own.close()
    own.close()
    with pytest.raises(LinkLost):
        own.status()


def test_refusals_keep_their_reason(own: OwnProcessStage) -> None:
    for target, assumed, reason in (
        (9000.1, 5000.0, "WINDOW"),
        (5001.0, 5005.0, "ASSUMED_DIFFERS"),
        (math.nan, 5000.0, "NOT_FINITE"),
    ):
        with pytest.raises(StageRefused) as refused:
            own.move_to(target, assumed)
        assert refused.value.reason == reason
        assert str(refused.value).startswith(reason)


def test_stop_overtakes_a_waiting_call(own: OwnProcessStage) -> None:
    own.move_to(9000.0, 5000.0)
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(own.wait(10.0)))
    waiting.start()
    own.stop()
    waiting.join(10)
    assert ended[0].latched == "STOPPED"
    assert ended[0].z_um < 9000
    own.clear()
    assert own.status().latched is None


def test_a_dead_firmware_and_a_dead_process(firmware: HostFirmware, own: OwnProcessStage) -> None:
    own._process.kill()
    with pytest.raises(LinkLost, match="process is gone"):
        own.status()
    own.close()
    firmware.kill()
    with pytest.raises(LinkLost):
        OwnProcessStage(port="/dev/does-not-exist", z_min_um=0, z_max_um=10)
