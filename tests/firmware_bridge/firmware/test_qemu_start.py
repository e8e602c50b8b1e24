"""A board is handed over when it answers, and not when QEMU has named its lines."""

from __future__ import annotations

import os
import select
import threading
import tty
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from firmware_bridge import messages as m
from firmware_bridge.firmware import qemu
from firmware_bridge.framing import Frame, FrameReader, encode_frame


class SlowBoard:
    """The far ends of a board's two lines: it throws away `lost` questions, then answers."""

    def __init__(self, lost: int) -> None:
        self.lost, self.asked = lost, 0
        self.far, near = zip(*(os.openpty() for _ in range(2)), strict=True)
        for fd in near:
            tty.setraw(fd)
        self.board = qemu.QemuFirmware.__new__(qemu.QemuFirmware)
        self.board._held = list(near)
        self.board._process = SimpleNamespace(poll=lambda: None)  # type: ignore[assignment]
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        frames = FrameReader()
        while not self._end.is_set():
            for fd in select.select(self.far, [], [], 0.01)[0]:
                data = os.read(fd, 4096)
                if fd == self.far[1]:
                    os.write(fd, b"1 2 3 4 5\n")
                    continue
                for frame in frames.feed(data):
                    self.asked += 1
                    if self.asked > self.lost:
                        code, payload = m.encode(m.Nack(0x7F, m.Reason.UNKNOWN_TYPE, 1))
                        answer = Frame(m.PROTOCOL_VERSION, code, frame.seq, payload)
                        os.write(fd, encode_frame(answer))

    def close(self) -> None:
        self._end.set()
        self._thread.join()
        for fd in (*self.far, *self.board._held):
            os.close(fd)


@pytest.fixture
def slow(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowBoard]:
    monkeypatch.setattr(qemu, "_ASK_AGAIN_S", 0.05)
    board = SlowBoard(request.param)
    yield board
    board.close()


@pytest.mark.parametrize("slow", [0, 3], indirect=True)
def test_it_is_waited_for_and_no_answer_is_left_in_the_line(slow: SlowBoard) -> None:
    assert slow.board._answers()
    assert slow.asked > slow.lost
    assert not select.select(slow.board._held[:1], [], [], 0.0)[0]


@pytest.mark.parametrize("slow", [10**6], indirect=True)
def test_who_never_answers_is_not_waited_for_for_ever(
    slow: SlowBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(qemu, "START_S", 0.2)
    assert not slow.board._answers()
    assert slow.asked
