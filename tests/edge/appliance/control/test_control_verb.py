"""`sparsefocus control` against a loop that runs: the whole way, with threads and a socket."""

from __future__ import annotations

import contextlib
import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.appliance import cli
from edge.appliance.config.config_file import read_config
from edge.appliance.control.opening import control_door
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.verb import Asked, track
from edge.errors import ConfigError
from edge.settings import ControlSettings
from tests.support.fake_microscope import microscope
from tests.support.patience import ANSWER_S

CONFIG = """\
camera: {driver: recorded, period_ms: 30, options: {folder: pictures}}
stage: {driver: given, z_min_um: 100, z_max_um: 300, focus_direction: 1, calibration: by-hand}
objective: {na: 0.75, magnification: 20, um_per_px: 0.34}
control: {socket: s, uids: [1000], mode: "0600"}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short enough for a socket's path."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@contextlib.contextmanager
def running(path: Path, **eye: Any) -> Iterator[Any]:
    """The loop on the microscope of plain numbers, in a thread; its rig."""
    rig, _ = microscope(**eye)
    end = threading.Event()

    def loop() -> None:
        over = lambda _: end.wait(0.001)  # noqa: E731 - a camera's pace
        with control_door(ControlSettings(path), rig) as desk:
            ready.set()
            track(rig, LoopStatistics(), Asked(), over, desk=desk)

    ready = threading.Event()
    thread = threading.Thread(target=loop)
    thread.start()
    assert ready.wait(ANSWER_S)
    try:
        yield rig
    finally:
        end.set()
        thread.join(ANSWER_S)
        assert not thread.is_alive()
    assert not path.exists()


def said(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str]:
    status = cli.main(["control", *map(str, words)])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def test_the_whole_way(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "s"
    with running(path, focus_um=6.0) as rig:
        assert said(capsys, "hold", "--socket", path, "--reason", "a z-stack")[0] == 0
        held = len(rig.stage.moves)
        status, text = said(capsys, "status", "--socket", path)
        assert (status, "a z-stack" in text) == (0, True)
        status, text = said(capsys, "focus", "--socket", path)
        assert (status, ": a z-stack" in text) == (3, True)
        assert len(rig.stage.moves) == held
        assert said(capsys, "resume", "--socket", path)[0] == 0
        status, text = said(capsys, "focus", "--socket", path, "--json", "-")
        answer = json.loads(text)
        assert (status, answer["outcome"]["decision"]) == (0, "IN_FOCUS")
        assert answer["z_um"] == pytest.approx(6.0, abs=0.6)
        assert said(capsys, "offset", "2", "--socket", path)[0] == 0
        status, text = said(capsys, "focus", "--socket", path, "--json", "-")
        assert json.loads(text)["z_um"] == pytest.approx(8.0, abs=0.6)
        assert said(capsys, "new-field", "--socket", path)[0] == 0
        status, text = said(capsys, "watch", "--count", "3", "--socket", path)
        assert (status, text.count("\n")) == (0, 3)


def test_a_deaf_and_a_flooding_client_beside_it(folder: Path, capsys: Any) -> None:
    path = folder / "s"
    with running(path, focus_um=6.0), contextlib.ExitStack() as opened:
        for line in (b'{"do":"subscribe"}\n', b'{"do":"status"}\n' * 3000, b"garbage"):
            client = opened.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(path))
            client.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                client.sendall(line)
        status, text = said(capsys, "focus", "--socket", path, "--json", "-")
        assert (status, json.loads(text)["ok"]) == (0, True)


def test_a_shutdown_answers_who_waits(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A focus that finds the sign wrong: the loop ends, and the client is told why."""
    path = folder / "s"
    with running(path, focus_um=0.0) as rig:
        stop = threading.Timer(0.05, rig.halt, ("a person pressed stop",))
        stop.start()
        status, _ = said(capsys, "watch", "--count", "1000000", "--socket", path)
        stop.join(ANSWER_S)
        assert status == 4


def test_nobody_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = said(capsys, "status", "--socket", folder / "s")
    assert status == 4
    assert text.startswith(f"sparsefocus: control: {folder}/s: No such file")
    assert text.count("\n") == 1
    with socket.socket(socket.AF_UNIX) as left:  # bound, and nobody listens
        left.bind(str(folder / "s"))
        assert said(capsys, "hold", "--socket", folder / "s")[0] == 4


@pytest.mark.parametrize("answer", [b"", b"{", b"\xff\n", b"3\n", b"[]\n"])
def test_whoever_answers_something_else_is_not_believed(
    folder: Path, capsys: pytest.CaptureFixture[str], answer: bytes
) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "s"))
        other.listen()

        def reply() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        status, text = said(capsys, "status", "--socket", folder / "s")
        thread.join(ANSWER_S)
    assert status == 4
    assert text.count("\n") == 1


def test_the_socket_of_the_config(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = folder / "scanner.yaml"
    config.write_text(CONFIG)
    control = read_config(config).control
    assert control == ControlSettings(folder / "s", (1000,), "0600")
    assert said(capsys, "status", "--config", config)[1].startswith(
        f"sparsefocus: control: {folder}/s"
    )
    config.write_text(CONFIG.replace("control:", "# control:"))
    status, text = said(capsys, "status", "--config", config)
    assert (status, "control.socket must be given" in text) == (2, True)
    config.write_text(CONFIG.replace('"0600"', '"0666"').replace("[1000]", "[-1]"))
    with pytest.raises(ConfigError) as caught:
        read_config(config)
    assert "control.uids = -1 must be" in str(caught.value)
    assert len(caught.value.lines) == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "words",
    [("offset", "11"), ("offset", "nan"), ("watch", "--count", "0"), ("status", "--timeout", "0")],
)
def test_wrong_use(capsys: pytest.CaptureFixture[str], words: tuple[str, ...]) -> None:
    assert said(capsys, *words, "--socket", "/nowhere")[0] == 2


def test_a_run_without_the_section_has_no_socket() -> None:
    rig, _ = microscope()
    with control_door(None, rig) as desk:
        assert desk.tell is None
        desk.after_a_frame(SimpleNamespace())  # type: ignore[arg-type]
