"""The binary stages against the firmware's own C, on a clock that passes only when they wait.

No thread, no process, no sleep: who waits lets the board's ticks run, and what it sends arrives
at its time. `harm` may lose, spoil, repeat or delay what travels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from random import Random
from unittest.mock import patch

from firmware_bridge import client, exchange
from firmware_bridge import messages as m
from firmware_bridge.client import HEARTBEAT_S, Client
from firmware_bridge.framing import FrameReader
from firmware_bridge.stages import binary, binary_slide
from tests.support.virtual_board import VirtualBoard

#: (bytes of one write, towards the board) -> what arrives, each so many us later
Harm = Callable[[bytes, bool], list[tuple[int, bytes]]]
START_NS = 100_000_000_000


def healthy(wire: bytes, to_board: bool) -> list[tuple[int, bytes]]:
    """Whole, in order, a millisecond later."""
    return [(1_000, wire)]


class BoardTime:
    """`time`, a Condition, an Event and a Link at once."""

    def __init__(self, board: VirtualBoard, harm: Harm = healthy) -> None:
        self.board, self.harm = board, harm
        self.client: Client | None = None
        self.beats = True
        self.closed = False
        self._frames = FrameReader()
        self._begin_us = board.now_us
        self._beat_us = 0
        self._flying: list[tuple[int, int, bytes, bool]] = []
        self._number = count()
        self._tokens = count(1)

    # ---- a clock ------------------------------------------------------------------------------

    @property
    def now_ns(self) -> int:
        return START_NS + (self.board.now_us - self._begin_us) * 1_000

    def monotonic(self) -> float:
        return self.now_ns / 1e9

    def monotonic_ns(self) -> int:
        return self.now_ns

    # ---- a Link -------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self._send(data, True)

    def _send(self, data: bytes, to_board: bool) -> None:
        for later_us, wire in self.harm(data, to_board):
            at_us = self.board.now_us + later_us
            self._flying.append((at_us, next(self._number), wire, to_board))
        self._flying.sort()

    def read(self) -> bytes:
        raise AssertionError("nobody reads here")

    def behind(self) -> bool:
        return False

    def fileno(self) -> int:
        return -1

    def close(self) -> None:
        self.closed = True

    # ---- a Condition --------------------------------------------------------------------------

    def __enter__(self) -> BoardTime:
        return self

    def __exit__(self, *_: object) -> None: ...

    def notify_all(self) -> None: ...

    def wait(self, timeout: float) -> bool:
        """Until something has arrived, or so long."""
        return self._pass(max(1, round(timeout * 1e6)), stop=True)

    def wait_for(self, over: Callable[[], bool], timeout: float) -> bool:
        end_ns = self.now_ns + round(timeout * 1e9)
        while not over():
            if self.now_ns >= end_ns:
                return False
            self.wait((end_ns - self.now_ns) / 1e9)
        return True

    def pass_s(self, seconds: float) -> None:
        """Nobody waits."""
        self._pass(round(seconds * 1e6), stop=False)

    def _pass(self, us: int, stop: bool) -> bool:
        end_us = self.board.now_us + us
        while self.board.now_us < end_us:
            next_us = min([end_us, *(at for at, *_ in self._flying[:1])])
            if self.beats:
                next_us = min(next_us, max(self._beat_us, self.board.now_us + 1))
            self.board.run_us(max(1, next_us - self.board.now_us))
            if sent := self.board.take():
                self._send(sent, False)
            if self.beats and self.board.now_us >= self._beat_us:
                self._beat()
            if self._arrive() and stop:
                return True
        return False

    def _beat(self) -> None:
        self._beat_us = self.board.now_us + round(HEARTBEAT_S * 1e6)
        owner = self.client
        if owner is not None and owner.session and owner.exchange.trouble is None:
            token = next(self._tokens)
            owner._syncs[token] = self.now_ns
            owner.exchange.send(m.Sync(owner.session, token))

    def _arrive(self) -> bool:
        """What is due; True when the host heard something."""
        heard = False
        while self._flying and self._flying[0][0] <= self.board.now_us:
            _, _, wire, to_board = self._flying.pop(0)
            if to_board:
                self.board.receive(wire)
                if sent := self.board.take():
                    self._send(sent, False)
            elif self.client is not None:
                for frame in self._frames.feed(wire):
                    self.client.exchange._take(frame, self.now_ns)
                    heard = True
        return heard


class _Dice:
    """Sessions and tokens, the same in each run."""

    def __init__(self) -> None:
        self._dice = Random(1)

    def randbelow(self, bound: int) -> int:
        return self._dice.randrange(bound)


class _Event:
    def __init__(self, time: BoardTime) -> None:
        self._time, self._set = time, False

    def set(self) -> None:
        self._set = True

    def is_set(self) -> bool:
        return self._set

    def wait(self, timeout: float) -> bool:
        self._time.pass_s(timeout)
        return self._set


@contextmanager
def board_time(board: VirtualBoard, harm: Harm = healthy) -> Iterator[BoardTime]:
    """Stages that are opened inside, with `open_link=lambda *_: time`, live in this time."""
    time = BoardTime(board, harm)

    class Made(Client):
        def __init__(self, *words: object, **options: object) -> None:
            super().__init__(*words, **options)  # type: ignore[arg-type]
            self.exchange.closing = _Event(time)  # type: ignore[assignment]
            time.client = self

    class Threads:
        Condition = staticmethod(lambda: time)
        Event = staticmethod(lambda: None)

    with (
        patch.object(exchange, "threading", Threads),
        patch.object(exchange, "time", time),
        patch.object(client, "time", time),
        patch.object(client, "secrets", _Dice()),
        patch.object(binary, "time", time),
        patch.object(binary_slide, "time", time),
        patch.object(binary, "Client", Made),
        patch.object(exchange.Exchange, "run", lambda self, name, body: None),
    ):
        yield time
