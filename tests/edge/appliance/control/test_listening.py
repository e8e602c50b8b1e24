"""The socket's file: one owner, nobody else's file removed, the mode from the first moment on."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.appliance.control.listening import Listening
from edge.errors import ConfigError
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[4]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_only_its_user_and_group_may_connect(folder: Path, mode: int) -> None:
    listening = Listening(folder / "s", mode)
    there = (folder / "s").lstat()
    assert stat.S_ISSOCK(there.st_mode)
    assert stat.S_IMODE(there.st_mode) == mode
    listening.close()
    listening.close()
    assert [path.name for path in folder.iterdir()] == ["s.lock"]


def test_one_owner(folder: Path) -> None:
    first = Listening(folder / "s")
    with pytest.raises(ConfigError, match=r"control\.socket = .*/s: another process has it"):
        Listening(folder / "s")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(folder / "s"))  # the first one still has it
    first.close()
    Listening(folder / "s").close()


def test_what_a_killed_process_left_is_taken_over(folder: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; "
        "from edge.appliance.control.listening import Listening; "
        "Listening(Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    words = [sys.executable, "-c", code, str(folder / "s")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, check=False, timeout=PATIENCE_S, env=environment)
    assert done.returncode == -9
    assert (folder / "s").exists()
    Listening(folder / "s").close()
    assert not (folder / "s").exists()


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_no_socket_stays(folder: Path, kind: str) -> None:
    path = folder / "s"
    if kind == "file":
        path.write_text("precious")
    elif kind == "link":
        path.symlink_to(folder / "elsewhere")
    else:
        path.mkdir()
    for _ in range(2):  # and the name is free again each time
        with pytest.raises(ConfigError, match="something that is no socket is there"):
            Listening(path)
    assert os.path.lexists(path)


def test_a_socket_of_somebody_else_in_its_place_is_not_removed(folder: Path) -> None:
    listening = Listening(folder / "s")
    (folder / "s").unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(folder / "s"))
        listening.close()
        assert (folder / "s").exists()


def test_paths_that_cannot_be(folder: Path) -> None:
    with pytest.raises(ConfigError, match="must be 107 bytes at most"):
        Listening(folder / ("n" * 108))
    with pytest.raises(ConfigError, match=r"control\.socket = .*No such file or directory"):
        Listening(folder / "nowhere" / "s")
    (folder / "s.lock").symlink_to(folder / "trap")
    with pytest.raises(ConfigError, match=r"s\.lock: "):
        Listening(folder / "s")
    assert not (folder / "trap").exists()
