"""A host without manners: sends any frame to the firmware, below the client and its checks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TypeVar

from firmware_bridge import messages as m
from firmware_bridge.framing import Frame, FrameReader, encode_frame
from firmware_bridge.link import SerialLink
from tests.support.patience import ANSWER_S

Wanted = TypeVar("Wanted")

HELLO = m.Hello(
    session=77,
    protocol=m.PROTOCOL_VERSION,
    table_hash=m.TABLE_HASH,
    z_min_nm=1_000_000,
    z_max_nm=9_000_000,
    backlash_nm=2_000,
    speed_nm_s=0,
    settle_ms=5,
)


class RawHost:
    """One line, no threads; `heard` keeps everything that arrived."""

    def __init__(self, port: str) -> None:
        self.link = SerialLink(port)
        self.heard: list[m.Message] = []
        self._frames = FrameReader()
        self._seq = 100
        self._next_id = 0

    def send(self, message: m.Message, version: int = m.PROTOCOL_VERSION) -> int:
        """Returns the frame's seq."""
        code, payload = m.encode(message)
        self._seq = (self._seq + 1) % 256
        self.link.write(encode_frame(Frame(version, code, self._seq, payload)))
        return self._seq

    def wait(self, *wanted: type[Wanted], timeout_s: float = ANSWER_S) -> Wanted:
        """The next message of these types."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            for index, message in enumerate(self.heard):
                if isinstance(message, wanted):
                    del self.heard[: index + 1]
                    return message
            self.listen()
        raise AssertionError(f"no {wanted} within {timeout_s} s")

    def listen(self) -> None:
        """Take what is there, 50 ms at most."""
        for frame in self._frames.feed(self.link.read()):
            self.heard.append(m.decode(frame.kind, frame.payload))

    def ask(self, message: m.Message, *wanted: type[Wanted]) -> Wanted:
        """Forget what was heard, send, and wait for the answer."""
        self.listen()  # through the reader: half a frame may be waiting there for its end
        self.heard.clear()
        self.send(message)
        return self.wait(*wanted)

    def hello(self, **changes: int) -> m.HelloAck:
        return self.ask(replace(HELLO, **changes), m.HelloAck)

    def move(self, target_nm: int, assumed_nm: int, **changes: int) -> m.Accepted | m.Refused:
        """A new move, with a tolerance of 1 um."""
        self._next_id += 1
        move = m.Move(HELLO.session, self._next_id, target_nm, assumed_nm, 1_000)
        answer = self.ask(replace(move, **changes), m.Accepted, m.Refused)
        assert isinstance(answer, m.Accepted | m.Refused)
        return answer

    def status_where(self, flag: m.Flag, timeout_s: float = ANSWER_S) -> m.Status:
        """The next STATUS with this flag, keeping the session alive meanwhile."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            self.send(m.Sync(HELLO.session, 1))
            status = self.wait(m.Status)
            if status.flags & flag:
                return status
        raise AssertionError(f"no STATUS with {flag!r}")

    def close(self) -> None:
        self.link.close()
