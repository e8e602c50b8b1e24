"""The serial line on a pty: what is taken, what is lost, and what only takes long."""

from __future__ import annotations

import os
import pty
import time
import tty
from collections.abc import Iterator

import pytest

from firmware_bridge.errors import LinkLost
from firmware_bridge.link import WRITE_TIMEOUT_S, SerialLink


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
