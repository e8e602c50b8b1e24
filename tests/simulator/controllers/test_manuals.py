"""Byte for byte: the examples of the makers' manuals against the simulated controllers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from simulator.controllers.asi import SimulatedAsi
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.grbl import SimulatedGrbl
from simulator.controllers.pi import SimulatedPi
from simulator.controllers.prior import SimulatedPrior
from simulator.controllers.tango import SimulatedTango
from simulator.controllers.tmcl import SimulatedTmcl
from simulator.controllers.zaber import SimulatedZaber

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
