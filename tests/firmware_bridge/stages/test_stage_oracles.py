"""The makers' own clients drive our simulated controllers, and our drivers send what they send.

Otherwise a driver and its twin could agree on a mistake. zaber-motion talks over TCP and in raw
commands (its `identify` asks a database on the internet); pytrinamic talks over the pty.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import pytest
from pytrinamic.connections.serial_tmcl_interface import SerialTmclInterface
from pytrinamic.tmcl import TMCLReplyStatusError
from tigerasi.tiger_controller import TigerController
from zaber_motion.ascii import Connection
from zaber_motion.exceptions import BadDataException

from firmware_bridge.stages.asi import AsiStage
from firmware_bridge.stages.pi_gcs2 import PiStage
from firmware_bridge.stages.tmcl import TmclStage
from firmware_bridge.stages.zaber_ascii import ZaberStage
from simulator.controllers.asi import SimulatedAsi
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.pi import SimulatedPi
from simulator.controllers.serving import Served
from simulator.controllers.tmcl import SimulatedTmcl
from simulator.controllers.zaber import SimulatedZaber

#: asks nothing by itself, and a move is one command
WINDOW = {"z_min_um": 1000.0, "z_max_um": 9000.0, "poll_ms": 10_000.0, "legs": False}
SLOW_NM_S, FAST_NM_S = 20_000, 100_000_000


@pytest.fixture
def axis() -> SimulatedAxis:
    """At 5000 um, 10 mm of travel, so slow that it is still moving whenever a client asks."""
    return SimulatedAxis(speed_nm_s=SLOW_NM_S)


@pytest.fixture
def zaber(axis: SimulatedAxis) -> Iterator[tuple[Connection, Served]]:
    """Zaber's client, connected over TCP."""
    with (
        Served(SimulatedZaber(axis), tcp=True) as served,
        Connection.open_tcp("127.0.0.1", served.tcp_port) as connection,
    ):
        yield connection, served


def test_zabers_client_drives_the_simulated_zaber(
    zaber: tuple[Connection, Served], axis: SimulatedAxis
) -> None:
    """It checks message ids and checksums, waits for idle, and knows the rejection."""
    connection, served = zaber
    stage = connection.get_device(1).get_axis(1)
    assert connection.generic_command("get pos", 1, 1).data == "100000"
    assert connection.generic_command("move abs 103000", 1, 1).status == "BUSY"
    assert stage.is_busy()
    axis.speed_nm_s = FAST_NM_S
    stage.wait_until_idle()
    assert axis.position_nm() == 5_150_000
    assert stage.settings.get("pos") == 103_000
    with pytest.raises(BadDataException):
        connection.generic_command("move abs 10300000", 1, 1)
    axis.speed_nm_s = SLOW_NM_S
    connection.generic_command("move abs 150000", 1, 1)
    stage.stop()
    assert 5_150_000 <= axis.position_nm() < 7_500_000
    assert stage.warnings.get_flags() == set()
    assert isinstance(served.controller, SimulatedZaber)
    served.controller.warning = "WR"
    assert stage.warnings.get_flags() == {"WR"}


def test_our_zaber_driver_sends_what_zabers_client_sends(
    zaber: tuple[Connection, Served],
) -> None:
    connection, served = zaber
    with Served(SimulatedZaber(SimulatedAxis())) as ours:
        stage = ZaberStage(port=ours.port, full_step_um=3.2, **WINDOW)
        stage.move_to(5150.0, 5000.0)
        stage.stop()
        stage.clear()
        stage.close()
        sent = bytes(ours.heard)
    connection.generic_command("get pos", 1, 1)  # its message ids begin at 00, ours at 01
    served.heard.clear()
    for request in sent.decode().splitlines():
        command = request.partition(":")[0].split(" ", 3)[3]
        connection.generic_command(command, 1, 1)
    assert bytes(served.heard) == sent
    assert b"/1 1 09 move abs 103000:84\n" in sent


def test_trinamics_client_drives_the_simulated_module(axis: SimulatedAxis) -> None:
    with Served(SimulatedTmcl(axis)) as served, SerialTmclInterface(served.port) as module:
        assert module.get_axis_parameter(1, 0) == 100_000
        assert module.get_axis_parameter(140, 0) == 4
        module.move_to(0, 103_000)
        assert module.get_axis_parameter(3, 0, signed=True) > 0
        axis.speed_nm_s = FAST_NM_S
        while not module.get_axis_parameter(8, 0):
            pass
        assert axis.position_nm() == 5_150_000
        axis.speed_nm_s = SLOW_NM_S
        module.move_to(0, 99_000)
        assert module.get_axis_parameter(3, 0, signed=True) < 0
        module.stop(0)
        assert module.get_axis_parameter(3, 0, signed=True) == 0
        with pytest.raises(TMCLReplyStatusError):
            module.move_to(0, 103_000_000)
        with pytest.raises(TMCLReplyStatusError):
            module.get_axis_parameter(1, 3)  # there is one motor


def test_our_tmcl_driver_sends_what_trinamics_client_sends(axis: SimulatedAxis) -> None:
    with Served(SimulatedTmcl(axis)) as ours:
        stage = TmclStage(port=ours.port, full_step_um=0.8, **WINDOW)
        stage.move_to(5617.25, 5000.0)
        stage.stop()
        sent = bytes(ours.heard)  # closed before it is known to rest, its minder stops it again
        stage.close()
    with Served(SimulatedTmcl(SimulatedAxis())) as served:
        with SerialTmclInterface(served.port) as module:
            read = [(3, 0), (1, 0)]
            module.send(136, 1, 0, 0)
            for parameter, motor in [(140, 0), *read, *read]:
                module.get_axis_parameter(parameter, motor)
            module.move_to(0, 112_345)
            module.stop(0)
            for parameter, motor in read:
                module.get_axis_parameter(parameter, motor)
        assert bytes(served.heard) == sent


@pytest.fixture
def asi(axis: SimulatedAxis) -> Iterator[tuple[TigerController, Served]]:
    """tigerasi, a public client for ASI's controllers; ASI itself publishes none in Python."""
    with Served(SimulatedAsi(axis)) as served:
        client = TigerController(served.port)
        yield client, served
        client.ser.close()


def test_a_public_asi_client_drives_the_simulated_asi(
    asi: tuple[TigerController, Served], axis: SimulatedAxis
) -> None:
    client, _ = asi
    assert client.ordered_axes == ["Z"]
    assert client.get_position("z") == {"Z": 50_000.0}
    assert client.get_lower_travel_limit("z") == {"Z": 0.0}
    assert client.get_upper_travel_limit("z") == {"Z": 10.0}  # mm
    client.move_absolute(z=51_502)
    assert client.is_axis_moving("z")
    axis.speed_nm_s = FAST_NM_S
    while client.is_axis_moving("z"):
        pass
    assert axis.position_nm() == 5_150_200
    client.move_relative(z=-2)
    with pytest.raises(SyntaxError, match="OUT_OF_RANGE"):
        client.move_absolute(z=100_001)
    with pytest.raises(SyntaxError, match="AXIS_PARAMETER"):
        client.send("M X=1\r")
    assert axis.target_nm == 5_150_000


def test_our_asi_driver_sends_what_the_public_client_sends(
    asi: tuple[TigerController, Served],
) -> None:
    client, served = asi
    with Served(SimulatedAsi(SimulatedAxis())) as ours:
        stage = AsiStage(port=ours.port, axis="Z", resolution_um=0.05, **WINDOW)
        ours.heard.clear()
        stage.move_to(5150.2, 5000.0)
        sent = bytes(ours.heard)  # closed in mid-move, its minder stops it
        stage.close()
    served.heard.clear()
    client.get_position("z")
    client.move_absolute(z=51_502.0)
    assert bytes(served.heard) == b"W Z\rM Z=51502.0\r"
    assert sent == b"/\r" + bytes(served.heard)


#: what pipython 2.11 sent for MOV('1', 5100.2), MOV('1', 7000) and StopAll() on this wire
PIPYTHON = b"MOV 1 5100.2\nERR?\n", b"MOV 1 7000\nERR?\n", b"\x18ERR?\n"


def test_our_pi_driver_sends_what_pipython_sent(axis: SimulatedAxis) -> None:
    with Served(SimulatedPi(axis)) as ours:
        stage = PiStage(port=ours.port, axis="1", resolution_um=0.001, **WINDOW)
        for target, expected in zip((5100.2, 7000.0), PIPYTHON, strict=False):
            ours.heard.clear()
            stage.move_to(target, stage.status().z_um)
            assert bytes(ours.heard).endswith(expected)
            stage.stop()
            stage.reconnect()
        assert PIPYTHON[2] in ours.heard
        stage.close()


if importlib.util.find_spec("pipython"):  # the extra `oracle-pi`: nothing of ours installs it

    def test_pis_client_drives_the_simulated_controller(axis: SimulatedAxis) -> None:
        from pipython import GCSError
        from pipython.pidevice.gcs2.gcs2commands import GCS2Commands
        from pipython.pidevice.gcsmessages import GCSMessages
        from pipython.pidevice.interfaces.pisocket import PISocket

        with (
            Served(SimulatedPi(axis), tcp=True) as served,
            PISocket(host="127.0.0.1", port=served.tcp_port) as gateway,
        ):
            device = GCS2Commands(GCSMessages(gateway))
            assert device.axes == ["1"]
            assert device.qPUN("1")["1"] == "UM"
            assert (device.qTMN("1")["1"], device.qTMX("1")["1"]) == (0, 10_000)
            served.heard.clear()
            device.MOV("1", 5100.2)
            assert bytes(served.heard) == PIPYTHON[0]
            axis.speed_nm_s = FAST_NM_S
            while device.IsMoving("1")["1"]:
                pass
            assert device.qPOS("1")["1"] == 5100.2
            with pytest.raises(GCSError, match="7"):
                device.MOV("1", 20_000)
            device.MOV("1", 7000)
            served.heard.clear()
            with pytest.raises(GCSError, match="10"):
                device.StopAll()
            assert bytes(served.heard) == PIPYTHON[2]
