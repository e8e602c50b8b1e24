"""PROTOCOL.md says what the code does: its example and its tables are read from the file."""

from __future__ import annotations

import re
import time
from pathlib import Path

import firmware_bridge
from firmware_bridge import messages as m
from firmware_bridge.framing import crc16, decode_frame
from firmware_bridge.messages_xy import TRIGGER_PERIOD_MS, TRIGGER_WIDTH_US_MAX, XY_ENUMS, XY_TABLE
from tests.support.boards import ON_BOTH
from tests.support.patience import ANSWER_S
from tests.support.raw_host import RawHost

TEXT = (Path(firmware_bridge.__file__).parent / "PROTOCOL.md").read_text()


def hex_line(name: str) -> bytes:
    match = re.search(rf"^{name} +((?:[0-9A-F]{{2}} ?)+)$", TEXT, re.M)
    assert match is not None
    return bytes.fromhex(match.group(1))


def test_worked_example() -> None:
    body, wire = hex_line("body"), hex_line("on wire")
    frame = decode_frame(wire[:-1])
    assert wire.endswith(b"\0")
    assert bytes((frame.version, frame.kind, frame.seq)) + frame.payload == body[:-2]
    assert crc16(body[:-2]) == int.from_bytes(body[-2:], "little")
    assert (frame.version, frame.seq) == (m.PROTOCOL_VERSION, 5)
    assert m.decode(frame.kind, frame.payload) == m.Sync(session=0x01020304, token=0x0A)


@ON_BOTH
def test_worked_move_on_the_real_firmware(raw: RawHost) -> None:
    """The bytes of the page go out as they stand there, and the page's answer comes back."""
    assert raw.hello(session=0x01020304).result == m.Reason.OK
    raw.link.write(hex_line("host"))
    heard, deadline = b"", time.monotonic() + ANSWER_S
    while hex_line("firmware") not in heard:
        assert time.monotonic() < deadline, heard.hex(" ")
        heard += raw.link.read()
    frame = decode_frame(hex_line("host")[:-1])
    move = m.Move(0x01020304, 1, 5_010_000, 5_000_000, 1_000)
    assert (m.decode(frame.kind, frame.payload), frame.seq) == (move, 6)


def test_message_table() -> None:
    rows = re.findall(r"^\| 0x([0-9A-F]{2}) \| ([A-Z_]+) \| (.*) \|$", TEXT, re.M)
    expected = [
        (
            f"{code:02X}",
            re.sub(r"(?<!^)(?=[A-Z])", "_", message.__name__).upper(),
            ", ".join(f"{name} {wire}" for name, wire in m.layout(message)),
        )
        for code, message in (*m.TABLE.items(), *XY_TABLE.items())
    ]
    assert rows == expected


def test_code_words() -> None:
    for enum in (*m.ENUMS, *XY_ENUMS):
        words = ", ".join(f"{int(item)} {item.name}" for item in enum)
        assert f"| {enum.__name__} | {words} |" in TEXT


def test_numbers() -> None:
    assert f"version | {m.PROTOCOL_VERSION}." in TEXT
    assert f"\n{m.WATCHDOG_MS} ms, the firmware decelerates" in TEXT
    assert f"STATUS comes every {m.STATUS_PERIOD_MS} ms" in TEXT
    assert f"above {TRIGGER_WIDTH_US_MAX} us (CONFIG)" in TEXT
    assert f"come at least {TRIGGER_PERIOD_MS} ms apart" in TEXT
    assert f"within {m.SESSION_ALIVE_MS // 1000} s), another session" in TEXT
