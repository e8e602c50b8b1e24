"""Byte for byte what each driver sends for one known move, and which answers it takes."""

from __future__ import annotations

import time

import pytest

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages import tmcl, zaber_ascii
from firmware_bridge.stages.conversation import Conversation, Unanswered, line
from tests.support.stage_benches import BENCHES, START_UM, WIRES, WireBench

#: what each driver sends to go from 5000 to 5012.3 um (GRBL: from -5000 to -4987.7 um)
MOVES = {
    "asi": b"M Z=50123.0\r",
    "pi": b"MOV 1 5012.3\nERR?\n",
    "tmcl": bytes.fromhex("01 04 00 00 00 01 87 96 23"),
    "zaber": b" move abs 100246:",
    "prior": b"V,50123\r$\r",
    "tango": b"!err\r!moa z 5012.300\r?err\r",
    "grbl": b"$J=G53G21G90Z-4.9875F120.000\n",
}


@pytest.mark.parametrize("driver", WIRES)
def test_what_a_move_looks_like(driver: str) -> None:
    bench = BENCHES[driver]()
    assert isinstance(bench, WireBench)
    stage = bench.open(legs=False)
    bench.served.heard.clear()
    stage.move_to(START_UM + 12.3 + bench.origin_um, START_UM + bench.origin_um)
    assert bench.served.heard.count(MOVES[driver]) == 1
    bench.close()


def test_sums() -> None:
    assert zaber_ascii.lrc("1 1 01 move abs 12345") == "B1"
    assert tmcl.request(1, 4, 0, 0, 12345).hex() == "01040000000030396e"
    assert tmcl.request(1, 4, 0, 0, -1).hex() == "01040000ffffffff01"


def test_zaber_takes_no_answer_to_another_question() -> None:
    """Whole, with a good checksum, and with a number that was not asked for."""
    bench = BENCHES["zaber"]()
    stale = "01 1 00 OK IDLE -- 140000"
    answer = f"@{stale}:{zaber_ascii.lrc(stale)}\r\n".encode()
    bench.damage(lambda data: answer + data, None)
    stage = bench.open(poll_ms=10_000)
    stage.move_to(5010, 5000)
    stage.stop()
    assert stage.status().z_um < 5100
    bench.close()


class Script:
    """A link that says what the test wrote down."""

    def __init__(self, *said: bytes) -> None:
        self.said, self.heard = list(said), b""

    def write(self, data: bytes) -> None:
        self.heard += data

    def read(self) -> bytes:
        return self.said.pop(0) if self.said else b""

    def close(self) -> None:
        pass


def _number(text: str) -> int | None:
    if text == "no":
        raise StageRefused("NO", text)
    return int(text) if text.isdigit() else None


def test_an_answer_is_known_by_its_shape_and_asked_again() -> None:
    link = Script(b"noi", b"se\r!7\r", b"", b"stray\r4", b"2\r")
    talk = Conversation(link, "it", 0.01)
    assert talk.ask(b"?\r", line(b"\r", _number)) == 42
    with pytest.raises(Unanswered, match=r"it: no answer to '\?'"):
        talk.ask(b"?\r", line(b"\r", _number))
    assert link.heard.count(b"?") <= 2 + 3


def test_a_late_answer_is_not_the_next_questions() -> None:
    class Late(Script):
        def read(self) -> bytes:
            time.sleep(0.02)  # longer than the answer may take
            return super().read()

    talk = Conversation(Late(b"", b"", b"1\r", b"2\r"), "it", 0.01)
    with pytest.raises(Unanswered):
        talk.ask(b"first", line(b"\r", _number), sends=1)
    assert talk.ask(b"second", line(b"\r", _number), sends=1) == 2


def test_only_what_is_refused_twice_is_refused() -> None:
    link = Script(b"no\r", b"", b"1\r")
    assert Conversation(link, "it", 0.01).ask(b"?", line(b"\r", _number)) == 1
    link = Script(b"no\r", b"", b"no\r")
    with pytest.raises(StageRefused):
        Conversation(link, "it", 0.01).ask(b"?", line(b"\r", _number))
    assert link.heard == b"??"
