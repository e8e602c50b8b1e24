"""The serial line on a pty: what is taken, what is lost, and what only takes long."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_bridge.errors import LinkLost
from firmware_bridge.link import WRITE_TIMEOUT_S, SerialLink, lasting_name


@pytest.fixture
def far_side() -> Iterator[tuple[int, str]]:
    """The other end of a line, and the port's name."""
    far, near = pty.openpty()
    tty.setraw(near)
    yield far, os.ttyname(near)
    os.close(far)
    os.close(near)


def test_a_writer_that_is_held_up_has_not_lost_the_line(
    far_side: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    far, port = far_side
    link = SerialLink(port)
    write = os.write

    def held_up(*given: object) -> int:
        taken = write(*given)  # type: ignore[arg-type]
        time.sleep(1.2 * WRITE_TIMEOUT_S)  # another thread computes, or the machine is busy
        return taken

    with monkeypatch.context() as busy:
        busy.setattr(os, "write", held_up)
        link.write(b"moved")
    assert os.read(far, 100) == b"moved"
    link.close()


def test_a_line_that_takes_nothing_is_lost(far_side: tuple[int, str]) -> None:
    _, port = far_side
    link = SerialLink(port)
    with pytest.raises(LinkLost, match=r"nothing was taken within 0\.25 s"):
        link.write(bytes(1 << 20))  # nobody reads: the line's own buffer fills
    link.close()


def test_a_long_text_arrives_whole(far_side: tuple[int, str]) -> None:
    far, port = far_side
    link = SerialLink(port)
    text = bytes(range(256)) * 8
    link.write(text)
    heard = b""
    while len(heard) < len(text):
        heard += os.read(far, 4096)
    assert heard == text
    link.close()


def test_a_closed_line_is_lost(far_side: tuple[int, str]) -> None:
    link = SerialLink(far_side[1])
    link.close()
    with pytest.raises(LinkLost):
        link.write(b"x")


TIOCGEXCL = 0x80045440  # of Linux; the module `termios` has no name for it


@pytest.fixture
def near_side() -> Iterator[tuple[int, str]]:
    """Our end of a line that somebody else has open, too, and the port's name."""
    far, near = pty.openpty()
    yield near, os.ttyname(near)
    os.close(far)
    os.close(near)


def _exclusive(fd: int) -> bool:
    return bool(struct.unpack("i", fcntl.ioctl(fd, TIOCGEXCL, struct.pack("i", 0)))[0])


def test_the_line_is_ours_alone_and_given_back(near_side: tuple[int, str]) -> None:
    near, port = near_side
    assert not _exclusive(near)
    link = SerialLink(port)
    assert _exclusive(near)  # the kernel turns others away, asked for a lock or not
    link.close()
    assert not _exclusive(near)
    link.close()


def test_a_line_has_a_name_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by_id, by_path = tmp_path / "by-id", tmp_path / "by-path"
    monkeypatch.setattr("firmware_bridge.link.LASTING", (by_id, by_path))
    port = tmp_path / "ttyUSB0"
    port.touch()
    assert lasting_name(str(port)) == ""
    for folder in (by_path, by_id):
        folder.mkdir()
        (folder / "usb-a").symlink_to(tmp_path / "ttyUSB7")
        (folder / "usb-b").symlink_to(port)
        assert lasting_name(str(port)) == str(folder / "usb-b")
    assert lasting_name(str(by_id / "usb-b")) == str(by_id / "usb-b")
    assert lasting_name(str(tmp_path / "gone")) == ""
