"""A host of a VirtualBoard for whom no time passes: every frame and its answers, exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from firmware_bridge import messages as m
from firmware_bridge.framing import Frame, FrameReader, encode_frame
from tests.support.virtual_board import TICK_US, VirtualBoard

START = 5_000_000
SESSION = 77
HELLO = m.Hello(SESSION, m.PROTOCOL_VERSION, m.TABLE_HASH, 1_000_000, 9_000_000, 2_000, 0, 5)


class CoreHost:
    """`say` sends now and returns what came at once; `ticks` lets milliseconds pass."""

    def __init__(self, *, hello: bool = True, **board: Any) -> None:
        self.board = VirtualBoard(**board)
        self._frames = FrameReader()
        self.heard: list[tuple[int, m.Message]] = []  # everything so far, with its seq
        if hello:
            (ack, status) = self.say(HELLO)
            assert isinstance(ack, m.HelloAck)
            assert ack.result == m.Reason.OK
            assert isinstance(status, m.Status)

    def send(self, message: m.Message, seq: int = 9, version: int = m.PROTOCOL_VERSION) -> None:
        self.board.receive(self.wire(message, seq, version))

    def wire(self, message: m.Message, seq: int = 9, version: int = m.PROTOCOL_VERSION) -> bytes:
        """The frame."""
        code, payload = m.encode(message)
        return encode_frame(Frame(version, code, seq, payload))

    def say(self, message: m.Message, seq: int = 9) -> list[m.Message]:
        """What came in answer, in its order."""
        self.take()
        self.send(message, seq)
        return [heard for _, heard in self.take()]

    def take(self) -> list[tuple[int, m.Message]]:
        """What was sent and not taken yet."""
        frames = self._frames.feed(self.board.take())
        new = [(frame.seq, m.decode(frame.kind, frame.payload)) for frame in frames]
        self.heard += new
        return new

    def ticks(self, count: int = 1, alive: bool = True) -> list[m.Message]:
        """What came during `count` ms; `alive`: the watchdog is fed every 50."""
        came: list[m.Message] = []
        for number in range(count):
            if alive and number % 50 == 0:
                self.send(m.Sync(SESSION, 1))
            self.board.wait_us(TICK_US)
            came += [heard for _, heard in self.take() if not isinstance(heard, m.SyncAck)]
        return came

    def status(self) -> m.Status:
        """As it is now."""
        *_, status = self.say(HELLO)  # of the present session it changes nothing and brings one
        assert isinstance(status, m.Status)
        return status

    def move(self, number: int, target_nm: int, **changes: int) -> list[m.Message]:
        """A MOVE from where the axis is."""
        return self.say(self.a_move(number, target_nm, **changes))

    def a_move(self, number: int, target_nm: int, **changes: int) -> m.Move:
        return replace(m.Move(SESSION, number, target_nm, self.board.motor_nm, 1_000), **changes)

    def settle(self) -> m.Status:
        """Ticks until it says that it has settled."""
        for _ in range(20_000):
            for heard in self.ticks(1):
                if isinstance(heard, m.Status) and heard.flags & m.Flag.SETTLED:
                    return heard
        raise AssertionError("never settled")


def refusal(answers: list[m.Message]) -> m.Reason:
    """The only answer, which must be REFUSED."""
    (answer,) = answers
    assert isinstance(answer, m.Refused), answer
    return m.Reason(answer.reason)


def only(kind: type[Any], answers: list[m.Message]) -> Any:
    """The one message of this kind among them."""
    (answer,) = [one for one in answers if isinstance(one, kind)]
    return answer
