"""What systemd hears of a loop: from the loop's own thread, and never at its cost."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edge.appliance import telling
from edge.appliance.run import verb
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.service import Service
from edge.appliance.run.verb import Asked, track
from edge.appliance.telling import DEBUG, INFO, in_journal, log_format, tell
from tests.support.counted_frames import after
from tests.support.fake_microscope import microscope
from tests.support.patience import PATIENCE_S


class Systemd:
    """Its end of the socket, and the environment it gives."""

    def __init__(self, folder: Path, **more: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(folder / "notify")
        self.socket.bind(path)
        self.socket.setblocking(False)
        self.environment = {"NOTIFY_SOCKET": path, **more}

    def heard(self) -> list[str]:
        words = []
        while True:
            try:
                words.append(self.socket.recv(4096).decode())
            except BlockingIOError:
                return words


@pytest.fixture
def systemd(tmp_path: Path):
    made: list[Systemd] = []

    def make(**more: str) -> Systemd:
        made.append(Systemd(tmp_path, **more))
        return made[-1]

    yield make
    for each in made:
        each.socket.close()


def test_it_hears_of_the_beginning_and_the_end(systemd) -> None:
    peer = systemd()
    service = Service(peer.environment)
    service.ready()
    service.status("7 frames\n 2 moves")
    service.stopping()
    service.close()
    assert peer.heard() == ["READY=1", "STATUS=7 frames 2 moves", "STOPPING=1"]


def test_a_sign_of_life_comes_with_the_loops_steps_and_only_with_them(systemd) -> None:
    peer = systemd(WATCHDOG_USEC="2000000")
    rig, _ = microscope()
    service = Service(peer.environment, clock=lambda: rig.clock() / 1e9)
    assert peer.heard() == []
    assert track(rig, LoopStatistics(), Asked(), after(100), service=service) == 0
    assert peer.heard() == ["WATCHDOG=1"] * 10  # 100 frames of 50 ms, one each 0.5 s
    rig.camera.stalls = 3  # it does not come back at once, and comes back
    assert track(rig, LoopStatistics(), Asked(), after(20), service=service) == 0
    assert set(peer.heard()) == {"WATCHDOG=1"}
    service.close()


def test_another_processs_watchdog_is_none_of_ours(systemd) -> None:
    peer = systemd(WATCHDOG_USEC="1", WATCHDOG_PID=str(os.getpid() + 1))
    service = Service(peer.environment)
    service.alive()
    service.close()
    assert peer.heard() == []


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": "/nonexistent/notify"}, {"NOTIFY_SOCKET": "@nobody-here"},
     {"NOTIFY_SOCKET": "x" * 500}, {"WATCHDOG_USEC": "soon"}],
)  # fmt: skip
def test_nobody_who_listens_costs_nothing(environment: dict[str, str]) -> None:
    service = Service({"WATCHDOG_USEC": "1", **environment})
    for _ in range(3):
        service.ready()
        service.alive()
        service.stopping()
    service.close()


def test_a_socket_that_is_full_is_not_waited_for(systemd) -> None:
    peer = systemd()
    service = Service(peer.environment)
    for _ in range(2000):
        service.status("x" * 1000)
    service.close()
    assert peer.heard()


def test_lines_carry_their_level_in_the_journal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(telling, "in_journal", lambda: True)
    tell("sparsefocus: warning: the disk")
    tell("7 frames", level=DEBUG)
    tell("demo: a field")
    assert capsys.readouterr().err == (
        "<4>sparsefocus: warning: the disk\n<7>7 frames\n<6>demo: a field\n"
    )
    assert log_format().startswith("<4>%(levelname)s")


def test_only_the_journal_itself_gets_levels(tmp_path: Path) -> None:
    assert not in_journal()
    program = (
        "import os, sys\n"
        "there = os.fstat(2)\n"
        "os.environ['JOURNAL_STREAM'] = f'{there.st_dev}:{there.st_ino}'\n"
        "from edge.appliance import cli\n"
        "sys.exit(cli.main(['replay', '/nonexistent']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, timeout=PATIENCE_S,
        check=False, cwd=Path(__file__).parents[4],
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "<3>sparsefocus: /nonexistent: No such file or directory\n"


def test_the_journal_hears_of_another_decision_and_not_of_the_same_again(
    monkeypatch: pytest.MonkeyPatch, systemd
) -> None:
    peer = systemd()
    heard: list[tuple[str, int | None]] = []
    rig, eye = microscope(focus_um=0.0)
    statistics = LoopStatistics()
    monkeypatch.setattr(verb, "in_journal", lambda: True)
    monkeypatch.setattr(verb, "JOURNAL_S", 0.001)
    monkeypatch.setattr(
        verb, "tell", lambda text, *_, level=None, **__: heard.append((text, level))
    )
    service = Service(peer.environment)

    def until(words: str) -> None:
        while not any(words in text for text, level in heard if level == INFO):
            threading.Event().wait(0.001)

    with verb._status(statistics, False, service):
        track(rig, statistics, Asked(), after(3))
        until("IN_FOCUS: in-deadband")
        eye.range_um = -1.0
        track(rig, statistics, Asked(), after(6))
        until("HOLD: outside-range")
        looks = 0
        while looks < 5:  # several more looks, nothing new
            looks += len(peer.heard())
            threading.Event().wait(0.001)
    service.close()
    told = [text for text, level in heard if level == INFO]
    assert len(told) == len(set(told)) <= 4
