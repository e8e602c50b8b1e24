"""Telling decides nothing, and waiting at the start is for what is not there, and not for long."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import types
from collections.abc import Callable

import pytest

from edge.appliance import cli
from edge.appliance.telling import tell, written_last
from edge.appliance.waiting import once_there
from edge.errors import CameraLost, ConfigError
from firmware_bridge.errors import LinkLost, ProtocolError, StageRefused


def full() -> None:
    raise OSError(28, "No space left on device")


def test_what_cannot_be_written_is_a_warning_after_a_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    written: list[str] = []
    assert written_last(3, full, lambda: written.append("the next all the same")) == 3
    assert written == ["the next all the same"]
    assert "warning: [Errno 28] No space left" in capsys.readouterr().err
    with pytest.raises(OSError, match="No space"):
        written_last(0, full)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("words", [["run", "--config", "none.yaml"], ["stage", "find"]])
def test_full_streams_on_the_command_line(stream: str, words: list[str]) -> None:
    command = [sys.executable, "-m", "edge.appliance.cli", *words]
    with open("/dev/full", "w") as device:
        done = subprocess.run(
            command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, stream: device}
        )
    right = {"run": 2, "stage": 4 if stream == "stdout" else 0}[words[0]]
    assert done.returncode == right
    assert b"Traceback" not in (done.stderr or b"")
    if stream == "stdout" and right == 4:
        assert b"standard output: No space left on device" in done.stderr


def test_nobody_waits_for_a_reader_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = os.pipe()
    os.set_blocking(far, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(far, b"x" * 4096)
    os.set_blocking(far, True)  # a write would wait for ever now
    with os.fdopen(far, "w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        tell("a line", wait_s=0.01)
        assert set(os.read(near, 1 << 20)) == set(b"x")
        os.close(near)


class Clock:
    """Seconds that pass when somebody sleeps."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def there_after(tries: int, error: Exception) -> Callable[[], str]:
    left = [error] * tries

    def build() -> str:
        if left:
            raise left.pop()
        return "rig"

    return build


@pytest.mark.parametrize(
    "error",
    [LinkLost("cannot open /dev/ttyACM0"), CameraLost("no camera"), OSError("no device"),
     StageRefused("PORT_LOCKED")],
)  # fmt: skip
def test_what_is_not_there_yet_is_waited_for(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = Clock()
    assert once_there(there_after(4, error), 10.0, clock, clock.sleep) == "rig"
    assert clock.now == 4.0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert "waiting up to 10 s (--wait)" in lines[0]
    assert str(error) in lines[0]


@pytest.mark.parametrize(
    ("error", "wait_s", "gives_up_s"),
    [
        (LinkLost("gone"), 10.0, 10.0),
        (LinkLost("gone"), 0.0, 0.0),
        (ProtocolError("another table"), 10.0, 0.0),
        (StageRefused("WINDOW"), 10.0, 0.0),
        (ConfigError("a mistake"), 10.0, 0.0),
    ],
)
def test_it_gives_up_after_the_time_and_at_once_for_what_waiting_does_not_mend(
    error: Exception, wait_s: float, gives_up_s: float
) -> None:
    clock = Clock()
    with pytest.raises(type(error)):
        once_there(there_after(1000, error), wait_s, clock, clock.sleep)
    assert clock.now == gives_up_s


def test_a_wait_that_cannot_be_meant() -> None:
    for wait_s in (-1.0, float("nan"), 3601.0):
        with pytest.raises(ConfigError, match="--wait"):
            once_there(lambda: None, wait_s)


@pytest.mark.parametrize("where", ["import of the verb", "within the verb"])
def test_a_library_that_does_not_load_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    """As a memory limit leaves it, or a file that was built for another."""

    def fails(*_: object) -> int:
        raise ImportError("runtime.so: failed to map segment\nfrom shared object")

    verb = types.SimpleNamespace(add_arguments=lambda parser: None, run=fails)
    load = fails if where == "import of the verb" else lambda name: verb
    monkeypatch.setattr(cli.importlib, "import_module", load)
    assert cli.main(["doctor"]) == 4
    message = capsys.readouterr().err
    assert message.startswith("sparsefocus: a library cannot be loaded: runtime.so: failed to map")
    assert len(message.splitlines()) == 1
