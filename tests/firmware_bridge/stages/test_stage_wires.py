"""Byte for byte: the examples of the manuals against the simulated controllers, and what each
driver sends for one known move."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages import tmcl, zaber_ascii
from firmware_bridge.stages.conversation import Conversation, Unanswered, line
from simulator.controllers.asi import SimulatedAsi
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.grbl import SimulatedGrbl
from simulator.controllers.pi import SimulatedPi
from simulator.controllers.prior import SimulatedPrior
from simulator.controllers.tango import SimulatedTango
from simulator.controllers.tmcl import SimulatedTmcl
from simulator.controllers.zaber import SimulatedZaber
from tests.support.stage_benches import BENCHES, START_UM, WIRES, WireBench

#: (controller, dialogue): what is sent and what comes back, in order, at 123.4 um and at rest
DIALOGUES: list[tuple[Callable[[SimulatedAxis], Any], list[tuple[bytes, bytes]]]] = [
    (
        SimulatedAsi,
        [
            (b"W Z\r", b":A 1234.0\r\n"),
            (b"/\r", b"N\r\n"),
            (b"HALT\r", b":A\r\n"),
            (b"\\", b":A\r\n"),
            (b"M Z=1234\r", b":A\r\n"),
            (b"M Z=1234.000000\r", b":A\r\n"),
            (b"MOVE Z\r", b":N-3\r\n"),
            (b"M\r", b":N-3\r\n"),
            (b"M Q=1234\r", b":N-2\r\n"),
            (b"W X\r", b":N-2\r\n"),
            (b"M Z=123400000\r", b":N-4\r\n"),
            (b"R Z=-123400000\r", b":N-4\r\n"),
            (b"XYZZY\r", b":N-1\r\n"),
            (b"\xff\xfe\r", b":N-1\r\n"),
            (b"B Z?\r", b":Z=0.000000 A\r\n"),
            (b"UM Z?\r", b":A Z=10000.000 \r\n"),
            (b"SL Z?\r", b":A Z=0.0000 \r\n"),
            (b"SU Z?\r", b":A Z=10.0000 \r\n"),
            (b"SU Z=20\r", b":N-5\r\n"),
            (b"V\r", b":A Version: USB-9.2p \r\n"),
        ],
    ),
    (
        SimulatedPi,
        [
            (b"POS? 1\n", b"1=123.4000000\n"),
            (b"SVO? 1\n", b"1=1\n"),
            (b"\x05", b"0\n"),
            (b"\x07", b"\xb1\n"),
            (b"MOV 1 123.4\n", b""),
            (b"ERR?\n", b"0\n"),
            (b"MOV 1 20000\n", b""),
            (b"ERR?\n", b"7\n"),
            (b"ERR?\n", b"0\n"),
            (b"\x18", b""),
            (b"ERR?\n", b"10\n"),
            (b"SVO 1 0\nMOV 1 5\nERR?\n", b"5\n"),
            (b"XYZ?\nERR?\n", b"2\n"),
            (b"POS? 9\nERR?\n", b"15\n"),
        ],
    ),
    (
        SimulatedTmcl,
        [
            (bytes.fromhex("01 06 01 00 00 00 00 00 08"), bytes.fromhex("020164060000 09a4 1a")),
            (bytes.fromhex("01 04 00 00 00 00 30 39 6e"), bytes.fromhex("020164040000 3039 d4")),
            (bytes.fromhex("01 03 00 00 00 00 00 00 04"), bytes.fromhex("020164030000 0000 6a")),
            (bytes.fromhex("01 03 00 00 00 00 00 00 05"), bytes.fromhex("020101030000 0000 07")),
            (bytes.fromhex("01 63 00 00 00 00 00 00 64"), bytes.fromhex("020102630000 0000 68")),
            (bytes.fromhex("02 03 00 00 00 00 00 00 05"), b""),
        ],
    ),
    (
        SimulatedZaber,
        [
            (b"/1 1 01 get pos:5B\n", b""),  # damaged
            (b"/1 1 01 get pos:2B\n", b"@01 1 01 OK IDLE -- 2468:67\r\n"),
            (b"/1 1 get pos\n", b"@01 1 OK IDLE -- 2468:E8\r\n"),
            (b"/1 1 02 move abs x\n", b"@01 1 02 RJ IDLE -- BADDATA:57\r\n"),
            (b"/2 1 02 get pos\n", b""),
        ],
    ),
    (
        SimulatedPrior,
        [
            (b"PZ\r", b"1234\r"),
            (b"RES,Z\r", b"0.1\r"),
            (b"$\r", b"0\r"),
            (b"K\r", b"R\r"),
            (b"V,99999999\r", b"E,8\r"),
            (b"QQ\r", b"E,5\r"),
        ],
    ),
    (
        SimulatedTango,
        [
            (b"?pos z\r", b"0.1234\r"),  # mm until it is told otherwise
            (b"!dim z 1\r?dim z\r", b"1\r"),
            (b"?pos z\r", b"123.4000\r"),
            (b"?statusaxis z\r", b"@\r"),
            (b"!moa z 123.4\r", b"@@@-.\r"),  # autostatus: unasked
            (b"?err\r", b"0\r"),
            (b"!moa z 99999\r?err\r", b"5\r"),
            (b"!err\r?err\r", b"0\r"),
        ],
    ),
    (
        SimulatedGrbl,
        [
            (b"?", b"<Idle|MPos:0.000,0.000,0.123|FS:0,0>\r\n"),
            # the report overtakes the ok of the jog
            (b"$J=G91 Z0.05 F300\n?", b"<Jog|MPos:0.000,0.000,0.123|FS:0,0>\r\nok\r\n"),
            (b"\x85", b""),
            (b"$J=G90 G21 Z99 F300\n", b"error:15\r\n"),
            (b"$J=G90 G21 Z1\n", b"error:16\r\n"),
            (b"\x18", b"\r\nGrbl 1.1h ['$' for help]\r\n"),
        ],
    ),
]


@pytest.mark.parametrize(("make", "dialogue"), DIALOGUES, ids=lambda v: getattr(v, "__name__", ""))
def test_the_examples_of_the_manuals(
    make: Callable[[SimulatedAxis], Any], dialogue: list[tuple[bytes, bytes]]
) -> None:
    controller = make(SimulatedAxis(start_nm=123_400, speed_nm_s=1))
    for sent, answer in dialogue:
        reply = controller.receive(sent)
        assert reply + controller.due() == answer, sent


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
    stage = bench.open()
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
