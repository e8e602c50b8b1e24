"""Requests and answers on one line: numbers, copies, time-outs, and the thread that reads.

What goes wrong in a thread is kept as `trouble` and raised by the next call. Everything shared is
guarded by `changed`, which is also notified whenever a frame arrived.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from firmware_bridge import messages as m
from firmware_bridge.errors import LinkLost, StageError, StageRefused, StageUncertain
from firmware_bridge.framing import Frame, FrameReader, encode_frame
from firmware_bridge.link import Link
from firmware_bridge.round_trip import RoundTrip

SENDS = 3
BEHIND_S = 2.0  # how long a reader that is behind is waited for: then this computer is to blame
LOOK_S = 0.005  # meanwhile

Reply = TypeVar("Reply")


@dataclass(slots=True)
class _Pending:
    """A request on its way."""

    code: int
    expected: tuple[type, ...]
    reply: m.Message | None = None
    sends: int = 0
    sent_ns: int = 0  # the newest send
    received_ns: int = 0


class Exchange:
    """Frames to and from one firmware. Every method may be called from any thread."""

    def __init__(self, link: Link, note: Callable[[m.Message, int, int], None]) -> None:
        """Start reading `link`, which the exchange closes.

        `note(message, sent_ns, received_ns)` sees every message, with `changed` held; `sent_ns` is
        when its request was first sent, if it was sent once only, else 0.
        """
        self._link = link
        self._note = note
        self._pending: dict[int, _Pending] = {}
        self._seq = 0
        self._threads: list[threading.Thread] = []
        self.changed = threading.Condition()
        self.closing = threading.Event()
        self.trouble: StageError | None = None
        self.foreign_frames = 0  # whole frames of another version or table
        self.round_trip = RoundTrip()
        self.bad_frames = 0
        self.run("z-reader", self._read)

    def request(self, message: m.Message, *expected: type[Reply]) -> Reply:
        """Send until answered, three times at most; a copy carries the same numbers.

        StageRefused with the firmware's reason for a NACK; StageUncertain when nothing came back;
        LinkLost and other trouble as soon as it is known.
        """
        code, payload = m.encode(message)
        pending = _Pending(code, expected)
        with self.changed:
            seq = self._seq = self._seq % 255 + 1  # 0 is left to what expects no answer
            self._pending[seq] = pending
        wire = encode_frame(Frame(m.PROTOCOL_VERSION, code, seq, payload))
        try:
            reply = self._send_until_answered(wire, pending)
        finally:
            with self.changed:
                self._pending.pop(seq, None)
        if reply is None:
            raise StageUncertain(f"{type(message).__name__}: no answer to {SENDS} sends")
        if isinstance(reply, m.Nack):
            raise StageRefused(m.Reason(reply.reason).name, type(message).__name__)
        assert isinstance(reply, expected)
        return reply

    def _send_until_answered(self, wire: bytes, pending: _Pending) -> m.Message | None:
        patience_s = self.round_trip.timeout_s
        for _ in range(SENDS):
            with self.changed:
                self.raise_trouble()
                pending.sends += 1
                pending.sent_ns = time.monotonic_ns()
            # a copy ends first what may be left of a frame cut short: it would swallow the copy
            self._link.write(wire if pending.sends == 1 else b"\0" + wire)
            with self.changed:
                self._wait(lambda: bool(pending.reply or self.trouble), patience_s)
                if pending.reply is not None:
                    if pending.sends == 1:  # Karn: a resent request has two possible answers
                        self.round_trip.add(pending.received_ns - pending.sent_ns)
                    return pending.reply
                self.raise_trouble()
            patience_s *= 2
        return None

    def _wait(self, over: Callable[[], bool], timeout_s: float) -> None:
        """Until `over`, or a silence of `timeout_s`. Call with `changed` held.

        Time counts only while the reader keeps up: what has arrived in time is not missed because
        the thread that reads it had to wait for this computer.
        """
        deadline = time.monotonic() + timeout_s
        while not self.changed.wait_for(over, max(0.0, deadline - time.monotonic())):
            if time.monotonic() > deadline + BEHIND_S or not self._link.behind():
                return
            self.changed.wait(LOOK_S)

    def behind(self) -> bool:
        """Whether something has arrived that the reader has not dealt with yet."""
        return self._link.behind()

    def send(self, message: m.Message) -> None:
        """Send once and expect nothing."""
        code, payload = m.encode(message)
        self._link.write(encode_frame(Frame(m.PROTOCOL_VERSION, code, 0, payload)))

    def end_frame(self) -> None:
        """End whatever a predecessor left half sent on this line."""
        self._link.write(b"\0")

    def raise_trouble(self) -> None:
        """Raise what went wrong so far; call with `changed` held."""
        if self.trouble is not None:
            raise type(self.trouble)(*self.trouble.args) from self.trouble
        if self.closing.is_set():
            raise LinkLost("the stage is closed")

    def fail(self, error: StageError) -> None:
        """Keep the first error for the next calls and wake the waiting ones."""
        with self.changed:
            if self.trouble is None and not self.closing.is_set():
                self.trouble = error
            self.changed.notify_all()

    def run(self, name: str, body: Callable[[], None]) -> None:
        """Start a thread that ends at `closing`; what it raises becomes `trouble`."""
        thread = threading.Thread(target=self._guarded, args=(body,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """End the threads, close the line; safe to call twice."""
        self.closing.set()
        with self.changed:
            self.changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=1.0)
        self._link.close()

    def _guarded(self, body: Callable[[], None]) -> None:
        try:
            body()
        except StageError as error:
            self.fail(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next call must raise it
            self.fail(StageUncertain(f"the bridge stopped: {error!r}"))

    def _read(self) -> None:
        frames = FrameReader()
        while not self.closing.is_set():
            data = self._link.read()
            received_ns = time.monotonic_ns()
            for frame in frames.feed(data):
                self._take(frame, received_ns)
            self.bad_frames = frames.bad_frames

    def _take(self, frame: Frame, received_ns: int) -> None:
        message: m.Message | None = None
        with suppress(m.MessageError):
            if frame.version == m.PROTOCOL_VERSION:
                message = m.decode(frame.kind, frame.payload)
        with self.changed:
            if message is None:
                self.foreign_frames += 1  # the handshake asks; later, one frame proves nothing
                return
            pending = self._pending.get(frame.seq)
            sent_ns = pending.sent_ns if pending is not None and pending.sends == 1 else 0
            self._note(message, sent_ns, received_ns)
            if pending is not None and pending.reply is None:
                nack = isinstance(message, m.Nack) and message.of_type == pending.code
                if nack or isinstance(message, pending.expected):
                    pending.reply, pending.received_ns = message, received_ns
            self.changed.notify_all()
