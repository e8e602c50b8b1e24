"""A client without threads on a clock of its own: who waits lets happen what was arranged.

`Exchange.run` starts nothing; what the firmware says arrives at its time, on whatever thread
asks. No test of this can be late, and none needs to sleep.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from unittest.mock import patch

from firmware_bridge import client, exchange
from firmware_bridge import messages as m
from firmware_bridge.client import AxisRequest, Client
from firmware_bridge.framing import Frame, FrameReader
from tests.support.scripted_firmware import BOOT, Script, hello_ack, obliging

AXIS = AxisRequest(1_000_000, 9_000_000, 2_000, 70_000, 20)


class VirtualTime:
    """`time`, a Condition and an Event at once. It starts at 100 s."""

    def __init__(self) -> None:
        self.now_ns = 100_000_000_000
        self.waits = self.notified = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._number = count()
        self._set = False

    def monotonic(self) -> float:
        return self.now_ns / 1e9

    def monotonic_ns(self) -> int:
        return self.now_ns

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """`event` happens so long from now, to whoever waits then."""
        at_ns = self.now_ns + round(seconds * 1e9)
        heapq.heappush(self._events, (at_ns, next(self._number), event))

    def pass_s(self, seconds: float) -> None:
        """Nobody waits: time passes, and what is due happens."""
        end_ns = self.now_ns + round(seconds * 1e9)
        while self._events and self._events[0][0] <= end_ns:
            self._next()
        self.now_ns = max(self.now_ns, end_ns)

    def _next(self) -> None:
        at_ns, _, event = heapq.heappop(self._events)
        self.now_ns = max(self.now_ns, at_ns)
        event()

    def __enter__(self) -> VirtualTime:
        return self

    def __exit__(self, *_: object) -> None: ...

    def notify_all(self) -> None:
        self.notified += 1

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float) -> bool:
        """Until the next event, or so long."""
        self.waits += 1
        assert self.waits < 10_000, "it waits for ever"
        end_ns = self.now_ns + max(1, round(timeout * 1e9))
        if self._events and self._events[0][0] <= end_ns:
            self._next()
            return True
        self.now_ns = end_ns
        return self._set

    def wait_for(self, over: Callable[[], bool], timeout: float) -> bool:
        end_ns = self.now_ns + round(timeout * 1e9)
        while not over():
            if self.now_ns >= end_ns:
                return False
            self.wait((end_ns - self.now_ns) / 1e9)
        return True


class Line:
    """A Link: what is written is answered at once as the script says, unless `mute`."""

    def __init__(self, time: VirtualTime) -> None:
        self.time, self.script, self.mute, self.late = time, obliging, False, False
        self.delay_s = 0.0  # until an answer
        self.heard: list[tuple[int, m.Message]] = []
        self.written: list[bytes] = []
        self.closed = 0
        self.owner: Client | None = None
        self._frames = FrameReader()

    def write(self, data: bytes) -> None:
        self.written.append(data)
        for frame in self._frames.feed(data):
            message = m.decode(frame.kind, frame.payload)
            self.heard.append((frame.seq, message))
            for answer in [] if self.mute else self.script(message, frame.seq):
                seq, reply = answer if isinstance(answer, tuple) else (frame.seq, answer)
                self.time.after(self.delay_s, lambda reply=reply, seq=seq: self.tell(reply, seq))

    def tell(self, message: m.Message, seq: int = 0, version: int = m.PROTOCOL_VERSION) -> None:
        """It arrives now."""
        assert self.owner is not None
        code, payload = m.encode(message)
        self.owner.exchange._take(Frame(version, code, seq, payload), self.time.now_ns)

    def read(self) -> bytes:
        raise AssertionError("nobody reads here")

    def behind(self) -> bool:
        return self.late

    def close(self) -> None:
        self.closed += 1


class VirtualClient:
    """A client, its line and its time, after a handshake."""

    def __init__(self, script: Script = obliging, *, handshake: bool = True) -> None:
        self.time = VirtualTime()
        self.line = Line(self.time)
        self.line.script = script
        self.client = Client(self.line)
        self.line.owner = self.client
        self.client.exchange.closing = VirtualEvent(self.time)  # type: ignore[assignment]
        if handshake:
            self.client.handshake(AXIS)

    def status(self, time_us: int = 5_000, **changes: int) -> m.Status:
        """One of this session, settled at 5 mm."""
        fields = {"time_us": time_us, "settled_us": 0, "commanded_nm": 5_000_000,
                  "encoder_nm": 5_000_000, "session": self.client.session, "boot_id": BOOT,
                  "last_move_id": 0, "crc_errors": 0, "latch_count": 0, "flags": 2, "latch": 0,
                  "last_result": 0}  # fmt: skip
        return m.Status(**{**fields, **changes})

    def tell_status(self, time_us: int = 5_000, **changes: int) -> None:
        """It arrives now."""
        self.line.tell(self.status(time_us, **changes))


class VirtualEvent:
    """An Event on that time."""

    def __init__(self, time: VirtualTime) -> None:
        self._time, self._is_set = time, False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, timeout: float) -> bool:
        if not self._is_set:
            self._time.pass_s(timeout)
        return self._is_set


@contextmanager
def virtual_client(script: Script = obliging, *, handshake: bool = True) -> Iterator[VirtualClient]:
    """The client's modules see this time, and start no thread."""
    made: list[VirtualTime] = []

    class Conditions:
        def Condition(self) -> VirtualTime:
            return made[-1]

        def Event(self) -> None:
            return None

    class Clock:
        def monotonic(self) -> float:
            return made[-1].monotonic()

        def monotonic_ns(self) -> int:
            return made[-1].now_ns

    class Made(VirtualTime):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    with (
        patch.object(exchange, "threading", Conditions()),
        patch.object(exchange, "time", Clock()),
        patch.object(client, "time", Clock()),
        patch.object(exchange.Exchange, "run", lambda self, name, body: None),
        patch(f"{__name__}.VirtualTime", Made),
    ):
        yield VirtualClient(script, handshake=handshake)


def silent(message: m.Message, seq: int) -> list[m.Message]:
    """A firmware that answers nothing."""
    return []


def beats(client: Client, talk: VirtualClient, count: int) -> list[m.Sync]:
    """What the heartbeat's thread sends in so many of its turns."""
    before = len(talk.line.heard)
    talk.time.after(0.05 * count + 0.01, client.exchange.closing.set)
    client._beat()
    return [one for _, one in talk.line.heard[before:] if isinstance(one, m.Sync)]


__all__ = ["AXIS", "VirtualClient", "beats", "hello_ack", "silent", "virtual_client"]
