"""A Link with a firmware behind it that answers as its script says, at once, from any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from firmware_bridge import messages as m
from firmware_bridge.framing import Frame, FrameReader, encode_frame

#: a request and its seq -> what is sent back, each under that seq unless it brings its own
Script = Callable[[m.Message, int], Iterable[m.Message | tuple[int, m.Message]]]
BOOT = 11


def hello_ack(hello: m.Hello, **changes: int) -> m.HelloAck:
    """What an obliging firmware answers."""
    fields: dict[str, int] = {
        "result": m.Reason.OK, "protocol": m.PROTOCOL_VERSION, "table_hash": m.TABLE_HASH,
        "boot_id": BOOT, "device_id": 1, "nm_per_step": 50, "hard_min_nm": 0,
        "hard_max_nm": 10_000_000, "z_min_nm": hello.z_min_nm, "z_max_nm": hello.z_max_nm,
        "backlash_nm": hello.backlash_nm, "speed_nm_s": hello.speed_nm_s,
        "settle_ms": hello.settle_ms, "time_us": 1_000,
    }  # fmt: skip
    return m.HelloAck(**{**fields, **changes})


def obliging(message: m.Message, seq: int) -> list[m.Message]:
    """The script of a firmware that agrees to everything."""
    if isinstance(message, m.Hello):
        return [hello_ack(message)]
    if isinstance(message, m.Sync):
        return [m.SyncAck(message.token, 2_000)]
    return [m.ByeAck(message.session)] if isinstance(message, m.Bye) else []


class ScriptedFirmware:
    """The link; `heard` is every request with its seq, `written` every write as it came."""

    def __init__(self, script: Script = obliging) -> None:
        self.script = script
        self.heard: list[tuple[int, m.Message]] = []
        self.written: list[bytes] = []
        self._frames = FrameReader()
        self._waiting = b""
        self._changed = threading.Condition()
        self._in_hand = False

    def write(self, data: bytes) -> None:
        with self._changed:
            self.written.append(data)
            for frame in self._frames.feed(data):
                message = m.decode(frame.kind, frame.payload)
                self.heard.append((frame.seq, message))
                for answer in self.script(message, frame.seq):
                    self._queue(*answer if isinstance(answer, tuple) else (frame.seq, answer))

    def tell(self, message: m.Message, seq: int = 0, version: int = m.PROTOCOL_VERSION) -> None:
        """A frame that nobody asked for."""
        with self._changed:
            self._queue(seq, message, version)

    def _queue(self, seq: int, message: m.Message, version: int = m.PROTOCOL_VERSION) -> None:
        code, payload = m.encode(message)
        self._waiting += encode_frame(Frame(version, code, seq, payload))
        self._changed.notify_all()

    def read(self) -> bytes:
        with self._changed:
            self._in_hand = False
            self._changed.wait_for(lambda: self._waiting, 0.02)
            data, self._waiting = self._waiting, b""
            self._in_hand = bool(data)
            return data

    def behind(self) -> bool:
        with self._changed:
            return bool(self._waiting) or self._in_hand

    def close(self) -> None:
        """Nothing is held."""
