"""Our focus presented as an ASI stage: whoever drives it, the guard decides."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tigerasi.tiger_controller import TigerController

from edge.appliance.stage.asi_service import AsiService, GuardedAxis
from edge.guard import Guard, GuardLimits
from edge.state import RunState
from firmware_bridge.errors import StageRefused
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.stage import Stage
from firmware_bridge.stages.asi import AsiStage
from firmware_bridge.stages.binary import BinaryStage
from firmware_bridge.stages.zaber_ascii import ZaberStage
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.serving import Served
from tests.support.patience import wait_for
from tests.support.served_axis import raw

# ---- our focus as an ASI stage -------------------------------------------------------------------


class Presented:
    """Our Zaber behind the guard, presented as ASI, and our own ASI driver as the client."""

    def __init__(self, stage: Stage, link: Path | None = None) -> None:
        self.stage = stage
        self.state = RunState()
        limits = GuardLimits(1000, 9000, 1, max_step_um=25, max_age_ms=100, max_moves_per_s=100)
        self.guard = Guard(limits, self.stage, self.state)
        self.state.ready()
        axis = GuardedAxis(self.stage, self.guard, self.state)
        self.service = AsiService(axis, link=link)

    def client(self, **changes: Any) -> AsiStage:
        """One that sends a move whole, as the programs do that it stands for."""
        options = {
            "axis": "Z",
            "resolution_um": 0.1,
            "z_min_um": 1000,
            "z_max_um": 9000,
            "legs": False,
        }
        return AsiStage(
            port=self.service.port, **{**options, "poll_ms": 4, "settle_ms": 5, **changes}
        )

    def close(self) -> None:
        self.service.close()
        self.stage.close()


@pytest.fixture
def presented(served: Served) -> Iterator[Presented]:
    made = Presented(zaber(served))
    yield made
    made.close()


def zaber(served: Served) -> Stage:
    return ZaberStage(
        port=served.port, full_step_um=3.2, z_min_um=0, z_max_um=10_000, poll_ms=4, settle_ms=5
    )


def test_an_asi_client_drives_our_focus(presented: Presented, axis: SimulatedAxis) -> None:
    client = presented.client()
    assert client.identity.travel_um == (1000, 9000)  # the guard's window, not the motor's travel
    assert client.status().z_um == 5000
    axis.speed_nm_s = 20_000
    client.move_to(5321.4, 5000)
    assert client.status().moving
    axis.speed_nm_s = 100_000_000
    assert client.wait(10.0).z_um == pytest.approx(5321.4)
    assert axis.position_nm() == 5_321_400
    assert presented.guard.moves == 1
    client.close()


def test_an_asi_client_drives_the_reference_firmware() -> None:
    """The usual case: our own protocol below, ASI above."""
    with HostFirmware(start_nm=5_000_000) as firmware:
        made = Presented(BinaryStage(port=firmware.port, z_min_um=500, z_max_um=9500, settle_ms=10))
        client = made.client()
        for target in (5321.4, 5300.0):
            client.move_to(target, client.status().z_um)
            assert client.wait(10.0).z_um == pytest.approx(target, abs=0.05)
            assert made.stage.status().z_um == pytest.approx(target, abs=0.05)
        client.close()
        made.close()


def test_no_asi_move_goes_around_the_guard(presented: Presented, axis: SimulatedAxis) -> None:
    with pytest.raises(StageRefused, match="WINDOW"):
        presented.client(z_max_um=9000.1)
    client = presented.client()
    client.z_max_um = 20_000.0  # a client that does not care
    with pytest.raises(StageRefused, match=":N-4"):
        client.move_to(9000.1, 5000)
    assert presented.guard.refused["outside-window"] >= 1
    presented.state.shutdown("a person pressed it")
    with pytest.raises(StageRefused, match=":N-5"):
        client.move_to(5001, 5000)
    assert presented.guard.refused["state"] >= 1
    assert axis.targets_nm == []
    client.close()


def test_what_micro_managers_adapter_asks(presented: Presented, axis: SimulatedAxis) -> None:
    """Its ASI adapter's questions, from its source, in its order; each gets an answer it takes."""
    asked = (b"/", b"BU X", b"W Z", b"CD", b"S Z?", b"B Z?", b"E Z?", b"AC Z?", b"PC Z?", b"OS Z?")
    answers = raw(presented.service.port, *(command + b"\r" for command in asked))
    assert answers[0] == b"N\r\n"
    assert b"\rMotor Axes: Z\r" in answers[1]
    assert answers[3] == answers[9] == b":N-1\r\n"  # it goes on without them
    assert answers[2] == b":A 50000.0\r\n"
    assert answers[4].startswith(b":A Z=")
    assert answers[5].startswith(b":Z=")
    axis.speed_nm_s = 20_000
    (taken, busy) = raw(presented.service.port, b"M Z=53000.000000\r", b"/\r")
    assert (taken, busy) == (b":A\r\n", b"B\r\n")
    axis.speed_nm_s = 100_000_000
    while raw(presented.service.port, b"/\r") != [b"N\r\n"]:
        pass
    assert axis.position_nm() == 5_300_000
    assert raw(presented.service.port, b"R Z=-10.000000\r") == [b":A\r\n"]
    assert raw(presented.service.port, b"R Z=1e9\r", b"M Z=nan\r", b"SU Z=99\r") == [
        b":N-3\r\n",
        b":N-3\r\n",
        b":N-5\r\n",
    ]


def test_a_public_client_drives_our_focus(presented: Presented, axis: SimulatedAxis) -> None:
    client = TigerController(presented.service.port)
    assert client.get_upper_travel_limit("z") == {"Z": 9.0}  # mm: the guard's window
    client.move_absolute(z=52_005)
    while client.is_axis_moving("z"):
        pass
    assert axis.position_nm() == 5_200_500
    with pytest.raises(SyntaxError, match="OUT_OF_RANGE"):
        client.move_absolute(z=9_990)
    assert presented.guard.moves == 1
    client.ser.close()


def test_halt_stops_our_stage(presented: Presented, axis: SimulatedAxis) -> None:
    axis.speed_nm_s = 100_000
    assert raw(presented.service.port, b"M Z=80000\r") == [b":A\r\n"]
    while axis.position_nm() < 5_001_000:
        pass
    assert raw(presented.service.port, b"\\", b"HALT\r") == [b":N-21\r\n", b":A\r\n"]
    assert not axis.moving
    assert axis.position_nm() < 6_000_000


def test_an_uncertain_move_shuts_down(
    presented: Presented, served: Served, axis: SimulatedAxis
) -> None:
    served.hang_up()
    assert raw(presented.service.port, b"M Z=50100\r") == [b":N-5\r\n"]
    assert presented.state.reason
    while raw(presented.service.port, b"W Z\r") != [b":N-5\r\n"]:
        pass  # the newest reading is good for two polls
    assert raw(presented.service.port, b"/\r") == [b"B\r\n"]  # nobody knows that it rests
    assert axis.targets_nm == []


def test_a_client_that_never_reads_can_still_stop_and_others_are_answered(
    presented: Presented, axis: SimulatedAxis
) -> None:
    axis.speed_nm_s = 20_000
    deaf = os.open(presented.service.port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    os.write(deaf, b"M Z=80000\r")
    asked = 0
    while asked < 60_000:  # far more answers than the pty holds
        try:
            asked += os.write(deaf, b"W Z\r" * 100)
        except BlockingIOError:
            time.sleep(0.001)
    assert axis.moving
    while True:
        try:
            os.write(deaf, b"\\")
            break
        except BlockingIOError:
            time.sleep(0.001)
    wait_for(lambda: not axis.moving)
    presented.service.close()  # at once, though nobody reads
    assert not presented.service._thread.is_alive()
    os.close(deaf)


def test_a_link_replaces_links_only(served: Served, tmp_path: Path) -> None:
    from edge.errors import ConfigError

    stage = zaber(served)
    (tmp_path / "precious").write_text("data")
    with pytest.raises(ConfigError, match="precious"):
        Presented(stage, link=tmp_path / "precious")
    stage.close()
    assert (tmp_path / "precious").read_text() == "data"
