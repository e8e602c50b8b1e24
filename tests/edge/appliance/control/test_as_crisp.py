"""A running loop as an ASI controller with a CRISP: what Micro-Manager does, step by step."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import serial

from edge.appliance.asi_line import AsiLine
from edge.appliance.control.as_crisp import LoopAsCrisp
from edge.appliance.control.ask import Line
from edge.appliance.control.opening import control_door
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.verb import Asked, track
from edge.errors import ConfigError
from edge.settings import ControlSettings
from firmware_bridge.asi_server import AsiRefusal, AsiServer
from tests.support.fake_microscope import microscope
from tests.support.patience import ANSWER_S


class Client:
    """Asks as the adapter does: a line out, a line back."""

    def __init__(self, port: str) -> None:
        self._port = serial.Serial(port, 115200, timeout=ANSWER_S)

    def ask(self, command: str) -> str:
        self._port.write(f"{command}\r".encode())
        return self._port.read_until(b"\r\n").decode().rstrip("\r\n")

    def state(self) -> str:
        return self.ask("LK X?")[3]

    def lock_and_wait(self) -> str:
        """Set the lock, then ask until it is decided, as FullFocus does."""
        assert self.ask("LK F=85") == ":A"
        assert self.ask("LK F=83") == ":A"
        until_s = time.monotonic() + ANSWER_S
        while (state := self.state()) == "K":
            assert time.monotonic() < until_s
        return state

    def close(self) -> None:
        self._port.close()


@contextlib.contextmanager
def bench(port: Path | None = None, **eye: Any) -> Iterator[tuple[Any, Any, Client]]:
    """Loop, socket, bridge and client; the rig, its eye and the client."""
    rig, eye_there = microscope(**eye)
    end, ready = threading.Event(), threading.Event()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        path = Path(folder) / "s"

        def loop() -> None:
            with control_door(ControlSettings(path), rig) as desk:
                ready.set()
                over = lambda _: end.wait(0.001)  # noqa: E731 - a camera's pace
                track(rig, LoopStatistics(), Asked(), over, desk=desk)

        thread = threading.Thread(target=loop)
        thread.start()
        opened.callback(thread.join, ANSWER_S)
        opened.callback(end.set)
        assert ready.wait(ANSWER_S)
        line = opened.enter_context(Line(path, ANSWER_S))
        axis = LoopAsCrisp(line, (-1000.0, 1000.0))
        served = opened.enter_context(AsiLine(AsiServer(axis, lock=axis), port=port))
        client = Client(served.port) if port is None else None
        if client is not None:
            opened.callback(client.close)
        yield rig, eye_there, client  # type: ignore[misc]


def test_a_full_focus_and_what_follows() -> None:
    with bench(focus_um=6.0) as (rig, eye, client):
        assert client.state() == "R"
        assert rig.guard.held.endswith("unlocked on the ASI line")
        assert client.lock_and_wait() == "F"
        assert rig.stage.glass_um == pytest.approx(6.0, abs=0.6)
        assert float(client.ask("W Z").split()[1]) == pytest.approx(60.0, abs=6.0)  # 0.1 um
        assert client.ask("LK F=85") == ":A"
        assert client.state() == "R"
        moves = len(rig.stage.moves)
        eye.focus_um = -6.0  # unlocked: nothing follows
        for _ in range(10):
            assert client.state() == "R"
        assert len(rig.stage.moves) == moves
        assert client.lock_and_wait() == "F"
        assert rig.stage.glass_um == pytest.approx(-6.0, abs=0.6)
        assert client.ask("LK F=79") == ":A"
        assert client.state() == "I"


def test_a_lock_that_finds_nothing_is_an_error_and_moves_nothing() -> None:
    from tests.support.fake_microscope import no_focus

    with bench(answer=no_focus()) as (rig, _, client):
        assert client.lock_and_wait() == "E"
        assert rig.stage.moves == []
        assert client.ask("LK Y?") == ":A 9999"
        assert client.ask("LK T?") == ":A 0"


def test_moves_of_the_line_are_refused() -> None:
    with bench(focus_um=0.0) as (rig, _, client):
        for command in ("M Z=100", "R Z=5"):
            assert client.ask(command) in (":N-5",)
        assert rig.stage.moves == []
        assert client.ask("SL Z?").startswith(":A Z=-1.0")


#: what the device asks at its start, and what it reads in the answer
ASKED: dict[str, Callable[[str], bool]] = {
    "/": lambda said: said in ("N", "B"),
    "V": lambda said: "USB-9.2p" in said,
    "CD": lambda said: said.split(":")[0] == "Jan 01 2016",
    "BU X": lambda said: said.startswith("STD_Z"),
    "LR Y?": lambda said: float(said.split()[1]) > 0,
    "LR X?": lambda said: said.startswith(":A "),
    "LR Z?": lambda said: said.startswith(":A "),
    "LR T?": lambda said: said.startswith(":A "),
    "RT F?": lambda said: said.startswith(":A "),
    "UL X?": lambda said: said.startswith(":A "),
    "UL Y?": lambda said: said.startswith(":A "),
    "AL X?": lambda said: said.startswith(":A "),
    "AL Z?": lambda said: said.startswith(":A "),
    "EXTRA X?": lambda said: len(said.split()) == 3,
    "EXTRA Y?": lambda said: said.startswith(":A "),
    "LK T?": lambda said: said.startswith(":A "),
    "LK Y?": lambda said: int(said.split()[1]) != 0,
    "LK Z?": lambda said: said == ":A 0",
    "LOCK X?": lambda said: said == ":A R",
}


def test_what_the_device_asks_at_its_start() -> None:
    with bench() as (_, _, client):
        until_s = time.monotonic() + ANSWER_S
        while client.ask("LK T?") == ":A 0":  # no picture yet
            assert time.monotonic() < until_s
        answers = {command: client.ask(command) for command in ASKED}
        assert {c: a for c, a in answers.items() if not ASKED[c](a)} == {}


@pytest.mark.parametrize(
    "command", ["LK F=72", "LK F=1", "LR Y=0.8", "UL X=50", "LK", "LK F=", "LK Z=x"]
)
def test_what_is_not_there_cannot_be_set(command: str) -> None:
    with bench() as (rig, _, client):
        assert client.ask(command).startswith(":N-")
        assert rig.guard.held


def test_an_offset_is_one() -> None:
    with bench(focus_um=6.0) as (rig, _, client):
        assert client.ask("LK Z=150") == ":A"
        assert client.ask("LK Z?") == ":A 150"
        assert client.lock_and_wait() == "F"
        assert rig.stage.glass_um == pytest.approx(7.5, abs=0.6)
        assert client.ask("LK Z=9999").startswith(":N-")  # 100 um
        assert client.ask("LK Z?") == ":A 150"


def test_a_loop_that_is_gone_is_an_error() -> None:
    rig, _ = microscope()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "s"
        with pytest.raises(OSError):
            Line(path, 1.0)
        end = threading.Event()
        opened = threading.Event()

        def loop() -> None:
            with control_door(ControlSettings(path), rig) as desk:
                opened.set()
                track(rig, LoopStatistics(), Asked(), lambda _: end.wait(0.001), desk=desk)

        thread = threading.Thread(target=loop)
        thread.start()
        assert opened.wait(ANSWER_S)
        with Line(path, ANSWER_S) as line:
            axis = LoopAsCrisp(line, (0.0, 1.0))
            end.set()
            thread.join(ANSWER_S)
            for call in (axis.lock, axis.position_um, axis.error_um, axis.unlock):
                with pytest.raises(AsiRefusal):
                    call()
            axis._state = "F"
            assert axis.state() == "E"


def test_a_serial_port_of_this_machine() -> None:
    """The far end of a cable: here a pty of which only the name is known."""
    near, far = os.openpty()
    try:
        tty.setraw(near)
        with bench(Path(os.ttyname(far)), focus_um=6.0):
            os.write(near, b"LK X?\r")
            said = b""
            while not said.endswith(b"\r\n"):
                said += os.read(near, 64)
            assert said == b":A R\r\n"
    finally:
        os.close(near)
        os.close(far)


def test_ports_that_cannot_be(tmp_path: Path) -> None:
    server = AsiServer(None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="No such file"):
        AsiLine(server, port=tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is no serial port"):
        AsiLine(server, port=tmp_path / "file")
    with pytest.raises(ConfigError, match="--baudrate 1 must be one of"):
        AsiLine(server, port=tmp_path / "file", baudrate=1)
