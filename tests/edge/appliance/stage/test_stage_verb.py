"""`sparsefocus stage` against a simulated controller, and our focus presented as an ASI stage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tigerasi.tiger_controller import TigerController

from edge.appliance import cli
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
from simulator.controllers.zaber import SimulatedZaber
from tests.support.patience import PATIENCE_S
from tests.support.stage_benches import wait_for

CONFIG = """
camera: {{driver: simulated, period_ms: 30, options: {{trace: none}}}}
stage:
  driver: {driver}
  z_min_um: {low}
  z_max_um: 9000
  focus_direction: 1
  options: {{port: "{port}", full_step_um: 3.2, poll_ms: 5, settle_ms: 5}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
"""


@pytest.fixture
def axis() -> SimulatedAxis:
    return SimulatedAxis(speed_nm_s=4_000_000)


@pytest.fixture
def served(axis: SimulatedAxis) -> Iterator[Served]:
    with Served(SimulatedZaber(axis)) as running:
        yield running


@pytest.fixture
def config(served: Served, tmp_path: Path) -> Callable[..., str]:
    def write(driver: str = "zaber", low: float = 1000, port: str = "") -> str:
        path = tmp_path / "scanner.yaml"
        path.write_text(CONFIG.format(driver=driver, low=low, port=port or served.port))
        return str(path)

    return write


def said(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert cli.main(["stage", *words, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_find_tells_who_answers(
    config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    stages = said(capsys, "find", "--config", config())
    assert (stages["driver"], stages["identity"]) == ("zaber", "Zaber 50081 firmware 7.38")
    assert (stages["travel_um"], stages["window_um"]) == ([0, 10_000], [1000, 9000])
    assert (stages["z_um"], stages["moving"], stages["resolution_um"]) == (5000, False, 0.05)
    assert isinstance(said(capsys, "find"), list)  # of serial ports; nothing is sent to them


def test_move_waits_and_watch_tells(
    config: Callable[..., str],
    axis: SimulatedAxis,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    shown = said(capsys, "move", "5123.45", "--config", config())
    assert shown == {"z_um": 5123.45, "moving": False, "settled": True, "latched": None}
    assert axis.position_nm() == 5_123_450
    watched = tmp_path / "watch.json"
    words = ["watch", "--config", config(), "--count", "3", "--every-ms", "1"]
    assert cli.main(["stage", *words, "--json", str(watched)]) == 0
    assert capsys.readouterr().out.splitlines() == ["5123.450 um, at rest"] * 3
    assert [row["z_um"] for row in json.loads(watched.read_text())] == [5123.45] * 3


@pytest.mark.parametrize("target", ["999.9", "9000.1", "nan", "-inf"])
def test_a_move_out_of_the_window_is_refused_for_safety(
    config: Callable[..., str],
    axis: SimulatedAxis,
    capsys: pytest.CaptureFixture[str],
    target: str,
) -> None:
    assert cli.main(["stage", "move", "--config", config(), "--", target]) == 3
    err = capsys.readouterr().err
    assert "outside-window" in err
    assert "1000..9000 um" in err
    assert axis.targets_nm == []


def test_stop_stops_what_is_left_over(
    config: Callable[..., str], axis: SimulatedAxis, capsys: pytest.CaptureFixture[str]
) -> None:
    axis.speed_nm_s = 200_000
    axis.move_to(9_000_000)
    shown = said(capsys, "stop", "--config", config())
    assert not axis.moving
    assert 5000 <= shown["z_um"] < 9000


def test_exit_statuses(
    config: Callable[..., str],
    served: Served,
    axis: SimulatedAxis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    stage = ZaberStage(port=served.port, full_step_um=3.2, z_min_um=0, z_max_um=10_000)
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"port": "/dev/nowhere"}, 4, "/dev/nowhere"),
        ({}, 4, "in use"),
        ({"driver": "asi"}, 2, "stage.options.full_step_um is not"),
        ({"low": -5}, 2, "travel 0..10000 um"),
        ({"driver": "steam"}, 2, "stage.driver"),
    ]
    for changes, status, hint in cases:
        if hint.startswith("travel"):
            stage.close()
        assert cli.main(["stage", "move", "5001", "--config", config(**changes)]) == status, hint
        err = capsys.readouterr().err
        assert hint in err
        assert len(err.splitlines()) == 1
    axis.blocked = True
    assert cli.main(["stage", "move", "5001", "--config", config()]) == 3  # nothing moved
    served.hang_up()
    assert cli.main(["stage", "watch", "--config", config(), "--count", "1"]) == 4


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
        options = {"axis": "Z", "resolution_um": 0.1, "z_min_um": 1000, "z_max_um": 9000}
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


def raw(port: str, *commands: bytes) -> list[bytes]:
    """What any program sees that opens the port."""
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY)
    answers = []
    for command in commands:
        os.write(fd, command)
        answer = b""
        while not answer.endswith(b"\r\n"):
            answer += os.read(fd, 64)
        answers.append(answer)
    os.close(fd)
    return answers


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


def test_the_verb_serves_until_it_is_told_to_end(
    config: Callable[..., str], served: Served, axis: SimulatedAxis, tmp_path: Path
) -> None:
    link, report = tmp_path / "z", tmp_path / "served.json"
    words = ["serve-asi", "--config", config(), "--link", str(link), "--json", str(report)]
    command = [sys.executable, "-m", "edge.appliance.cli", "stage", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "1000..9000 um" in process.stdout.readline()
        assert raw(str(link), b"W Z\r", b"M Z=99999\r") == [b":A 50000.0\r\n", b":N-4\r\n"]
        assert raw(str(link), b"M Z=51000\r") == [b":A\r\n"]
        while axis.moving or axis.position_nm() != 5_100_000:
            time.sleep(0.001)
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
    assert not link.is_symlink()
    assert json.loads(report.read_text())["refused"] == {"outside-window": 1}


@pytest.mark.parametrize("deaf", [False, True], ids=["client reads", "client is deaf"])
def test_the_end_of_the_service_stops_the_axis_first(
    config: Callable[..., str], axis: SimulatedAxis, deaf: bool
) -> None:
    axis.speed_nm_s = 20_000
    command = [sys.executable, "-m", "edge.appliance.cli", "stage", "serve-asi"]
    with subprocess.Popen(
        [*command, "--config", config()], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().split()[3].rstrip(",")
        client = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(client, b"M Z=80000\r")
        wait_for(lambda: axis.moving)
        while deaf:
            try:
                os.write(client, b"W Z\r" * 100)
            except BlockingIOError:
                break
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert not axis.moving
        os.close(client)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_ends_a_move_and_the_motion(
    config: Callable[..., str], axis: SimulatedAxis, name: str
) -> None:
    axis.speed_nm_s = 20_000
    command = [sys.executable, "-m", "edge.appliance.cli", "stage", "move", "8000"]
    with subprocess.Popen([*command, "--config", config()], stderr=subprocess.PIPE) as process:
        wait_for(lambda: axis.moving)
        process.send_signal(getattr(signal, name))
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 128 + getattr(signal, name)
        assert name in err.decode()
        assert not axis.moving
        assert axis.position_nm() < 6_000_000


def test_a_move_that_is_not_awaited_to_its_end_is_stopped(
    config: Callable[..., str], axis: SimulatedAxis, capsys: pytest.CaptureFixture[str]
) -> None:
    axis.speed_nm_s = 20_000
    assert cli.main(["stage", "move", "8000", "--timeout", "0.2", "--config", config()]) == 5
    assert "still not done" in capsys.readouterr().err
    assert not axis.moving


def test_a_refusal_stops_nothing(config: Callable[..., str], axis: SimulatedAxis) -> None:
    axis.speed_nm_s = 20_000
    axis.move_to(8_000_000)  # a joystick, say
    assert cli.main(["stage", "move", "5001", "--config", config()]) == 3
    assert axis.moving


def test_a_link_replaces_links_only(served: Served, tmp_path: Path) -> None:
    from edge.errors import ConfigError

    stage = zaber(served)
    (tmp_path / "precious").write_text("data")
    with pytest.raises(ConfigError, match="precious"):
        Presented(stage, link=tmp_path / "precious")
    stage.close()
    assert (tmp_path / "precious").read_text() == "data"
