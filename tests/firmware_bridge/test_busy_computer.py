"""What came in time is not missed because the thread that reads it had to wait for the computer."""

from __future__ import annotations

import threading
import time

import pytest

from firmware_bridge import client, exchange
from firmware_bridge.errors import LinkLost
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.link import SerialLink
from firmware_bridge.stages import conversation
from firmware_bridge.stages.binary import BinaryStage


class Starved(SerialLink):
    """A line whose reader gets no turn while `held` is set; what arrives waits for it."""

    held = threading.Event()

    def read(self) -> bytes:
        while self.held.is_set():
            time.sleep(0.001)
        return super().read()


@pytest.fixture
def starved(firmware: HostFirmware, monkeypatch: pytest.MonkeyPatch) -> BinaryStage:
    monkeypatch.setattr(client, "LINK_TIMEOUT_S", 0.1)
    stage = BinaryStage(port=firmware.port, z_min_um=0, z_max_um=9000, open_link=Starved)
    stage.status()
    return stage


def held_for(seconds: float) -> None:
    Starved.held.set()
    threading.Timer(seconds, Starved.held.clear).start()
    time.sleep(0.01)  # the reader is in its wait


def test_a_status_that_waits_to_be_read_is_no_silence(starved: BinaryStage) -> None:
    held_for(0.4)
    time.sleep(0.2)  # the newest that was read is older than the time-out
    before_ns = time.monotonic_ns()
    assert starved.status().time_ns > before_ns - 100_000_000
    starved.close()


def test_an_answer_that_waits_to_be_read_is_an_answer(starved: BinaryStage) -> None:
    held_for(0.6)  # longer than all three sends are waited for
    starved.stop()
    assert starved.status().latched == "STOPPED"
    starved.close()


def test_the_end_of_a_move_that_waits_to_be_read_is_one(starved: BinaryStage) -> None:
    starved.move_to(5001.0, 5000.0)
    held_for(0.5)
    assert starved.wait(0.3).z_um == 5001.0
    starved.close()


def test_a_reader_that_never_gets_a_turn_is_a_lost_link(
    starved: BinaryStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "BEHIND_S", 0.2)
    monkeypatch.setattr(exchange, "BEHIND_S", 0.2)
    Starved.held.set()
    time.sleep(0.15)
    with pytest.raises(LinkLost):
        starved.status()
    Starved.held.clear()
    starved.close()


def test_silence_is_still_silence(starved: BinaryStage, firmware: HostFirmware) -> None:
    firmware._process.send_signal(19)  # SIGSTOP: the line is whole and nothing comes
    time.sleep(0.2)
    with pytest.raises(LinkLost, match="no STATUS"):
        starved.status()
    firmware._process.send_signal(18)
    starved.close()


def test_behind_sees_what_the_reader_has_not_dealt_with(firmware: HostFirmware) -> None:
    link = SerialLink(firmware.port)
    assert not link.behind()
    link.write(b"\0\x03\x01\x02\0")  # too short for a frame: it is not answered
    stage = BinaryStage(port=firmware.port, z_min_um=0, z_max_um=9000, open_link=lambda *_: link)
    stage.close()  # SYNC_ACKs and STATUS came and were read
    assert not link.behind()  # closed


class Slept:
    """A line whose answer comes in time, to a thread that sleeps through the time for it."""

    def __init__(self, answer: bytes) -> None:
        self.now, self.writes, self._answer = 0.0, 0, answer
        self._sleeps = False

    def monotonic(self) -> float:
        return self.now

    def write(self, data: bytes) -> None:
        self.writes += 1
        self._sleeps = True

    def read(self) -> bytes:
        if self._sleeps:  # nothing yet; then no turn for a second
            self._sleeps = False
            self.now += 1.0
            return b""
        answer, self._answer = self._answer, b""
        self.now += 0.0 if answer else 0.05
        return answer

    def behind(self) -> bool:
        return bool(self._answer)

    def close(self) -> None: ...


@pytest.mark.parametrize("answer", [b":A\r\n", b""])
def test_a_question_is_not_given_up_before_a_look(
    answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept = Slept(answer)
    monkeypatch.setattr(conversation, "time", slept)
    talk = conversation.Conversation(slept, "a controller")
    take = conversation.line(b"\r\n", lambda text: text or None)
    if answer:
        assert talk.ask(b"HALT\r", take) == ":A"
        assert slept.writes == 1
    else:
        with pytest.raises(conversation.Unanswered):
            talk.ask(b"HALT\r", take)
        assert slept.writes == 3
