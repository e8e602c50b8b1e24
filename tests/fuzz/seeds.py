"""Writes the fuzzer's first inputs: a good session on the wire and as a script, and its pieces.

python tests/fuzz/seeds.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

from firmware_bridge import messages as m
from firmware_bridge import messages_xy as xy
from firmware_bridge.framing import Frame, encode_frame

SESSION, START = 77, 5_000_000
HELLO = m.Hello(SESSION, m.PROTOCOL_VERSION, m.TABLE_HASH, 1_000_000, 9_000_000, 2_000, 0, 5)
XY_HELLO = xy.XyHello(SESSION, m.XY_TABLE_HASH, 0, 70_000_000, 0, 20_000_000, 0, 5)
ARM = xy.TriggerArm(SESSION, 1, 11_000_000, 500_000, 9, 10)
XY_MOVE = xy.XyMove(SESSION, 1, 16_000_000, 9_000_000, 10_000_000, 10_000_000, 1_000, 0)
PASS, PINS = 0xFE, 0xFD


def move(number: int, target_nm: int, assumed_nm: int, tolerance_nm: int = 1_000) -> m.Move:
    return m.Move(SESSION, number, target_nm, assumed_nm, tolerance_nm)


SCRIPTS: dict[str, list[m.Message | tuple[int, int]]] = {
    "move": [HELLO, move(1, START + 50_000, START), (PASS, 100), m.Sync(SESSION, 1), (PASS, 100)],
    "copy": [HELLO, move(1, START - 50_000, START), move(1, START - 50_000, START), (PASS, 200),
             move(1, START - 50_000, START)],
    "supersede": [HELLO, move(1, START + 900_000, START), (PASS, 90),
                  move(2, START, START, 2**31), (PASS, 255), m.Sync(SESSION, 2), (PASS, 255)],
    "stop": [HELLO, move(1, START + 900_000, START), (PASS, 90), m.Stop(SESSION), (PASS, 1),
             m.Clear(SESSION, 1), (PASS, 200), m.Clear(SESSION, 1), move(2, START, START, 2**31)],
    "watchdog": [HELLO, move(1, START + 900_000, START), (PASS, 255), (PASS, 255)],
    "limits": [HELLO, move(1, START + 900_000, START), (PASS, 50), (PINS, 2), (PASS, 5),
               m.Clear(SESSION, 1), move(2, START + 900_000, START, 2**31)],
    "strobe": [HELLO, move(1, START + 900_000, START), (PASS, 50), (PINS, 4), (PASS, 9), (PINS, 0)],
    "take-over": [HELLO, (PASS, 255), (PASS, 255), (PASS, 255), (PASS, 255),
                  m.Hello(78, 1, m.TABLE_HASH, 0, 10_000_000, 0, 500_000, 0), m.Bye(78)],
    "xy": [HELLO, XY_HELLO, ARM, XY_MOVE, ARM, (PASS, 255), XY_MOVE, m.Sync(SESSION, 3),
           (PASS, 255)],
    "xy-stop": [HELLO, XY_HELLO, ARM, XY_MOVE, (PASS, 150), m.Stop(SESSION), (PASS, 200),
                xy.XyClear(SESSION, 1), XY_MOVE],
    "xy-limit": [HELLO, XY_HELLO, ARM, XY_MOVE, (PASS, 150), (PINS, 16), (PASS, 9),
                 move(1, START, START)],
    "refused": [HELLO, move(1, 0, START), move(2, START, 0), move(2, START, 0), m.Bye(SESSION)],
}  # fmt: skip


def script(parts: list[m.Message | tuple[int, int]]) -> bytes:
    """The input in the fuzzer's odd form."""
    out = bytearray([1])
    for part in parts:
        if isinstance(part, tuple):
            out += bytes(part)
        else:
            code, payload = m.encode(part)
            out += bytes([code, len(payload)]) + payload
    return bytes(out)


def line(parts: list[m.Message | tuple[int, int]]) -> bytes:
    """The same frames as they come in on the wire: the even form."""
    out = bytearray([0])
    for part in parts:
        if not isinstance(part, tuple):
            code, payload = m.encode(part)
            out += encode_frame(Frame(m.PROTOCOL_VERSION, code, 1, payload))
    return bytes(out)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, parts in SCRIPTS.items():
        (folder / f"script-{name}").write_bytes(script(parts))
        (folder / f"line-{name}").write_bytes(line(parts))
    (folder / "line-junk").write_bytes(b"\0" + bytes(range(255, 0, -1)) * 2)


if __name__ == "__main__":
    main()
