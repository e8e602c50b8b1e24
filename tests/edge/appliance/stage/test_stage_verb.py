"""`sparsefocus stage` against a simulated controller: find, move, watch, stop, and who ends a
move."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.appliance import cli
from firmware_bridge.stages.zaber_ascii import ZaberStage
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.serving import Served
from tests.support.patience import PATIENCE_S, wait_for
from tests.support.served_axis import raw


def answer_of(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert cli.main(["stage", *words, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_find_tells_who_answers(
    config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    stages = answer_of(capsys, "find", "--config", config())
    assert (stages["driver"], stages["identity"]) == ("zaber", "Zaber 50081 firmware 7.38")
    assert (stages["travel_um"], stages["window_um"]) == ([0, 10_000], [1000, 9000])
    assert (stages["z_um"], stages["moving"], stages["resolution_um"]) == (5000, False, 0.05)
    assert isinstance(answer_of(capsys, "find"), list)  # of serial ports; nothing is sent to them


def test_move_waits_and_watch_tells(
    config: Callable[..., str],
    axis: SimulatedAxis,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    shown = answer_of(capsys, "move", "5123.45", "--config", config())
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
    shown = answer_of(capsys, "stop", "--config", config())
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
