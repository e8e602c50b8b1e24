"""One question and its answer at a time on a line whose controller never speaks first.

Every command of these drivers may be sent twice without harm, so silence and damage are met by
sending again. So is a refusal: a damaged command earns one, and a damaged `0` reads as one, so
only what is refused twice is refused. An answer is known by its shape (or its number, where the
wire has one), never by being the next thing that arrives. What arrives between two questions is
no answer, and yet may matter (a greeting after a restart): `overhear` is given all of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

from firmware_bridge.errors import LinkLost, StageRefused
from firmware_bridge.link import Link

SENDS = 3
ANSWER_S = 0.3  # the slowest answer: 30 bytes at 9600 baud and a controller that was busy
#: a number as controllers write it; what damage leaves of one (`-5.05.000`) is none
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)"
_BUFFER = 4096  # more than that without an answer is noise
_SHOWN = 60  # characters of an answer that nobody understood

Answer = TypeVar("Answer")
#: looks at what arrived, takes what it understood out, and returns the answer once it is there
Take = Callable[[bytearray], "Answer | None"]


class Unanswered(LinkLost):
    """Nothing that could be understood came back. The controller may have acted all the same."""


class Conversation:
    """A line and its buffer. Not thread-safe: the stage holds its lock around every call."""

    def __init__(
        self,
        link: Link,
        name: str,
        answer_s: float = ANSWER_S,
        overhear: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._link, self._name, self._answer_s = link, name, answer_s
        #: of a line that several axes share: a question and its answer are not parted
        self._turn: AbstractContextManager[object] = getattr(link, "turn", None) or nullcontext()
        self._overhear = overhear
        self._arrived = bytearray()
        self._came = bytearray()  # all that came since the question was first asked
        self.patient = True  # False: every question is asked once only

    def ask(self, wire: bytes, take: Take[Answer], sends: int = SENDS) -> Answer:
        """Send `wire` until `take` finds an answer; Unanswered after `sends` tries of 0.3 s.

        LinkLost when the line is gone; StageRefused from `take` when it came twice.
        """
        with self._turn:
            return self._ask(wire, take, sends if self.patient else 1)

    def _ask(self, wire: bytes, take: Take[Answer], sends: int) -> Answer:
        refused = False
        self._came.clear()
        for _ in range(sends):
            self._arrived.clear()
            self._link.write(wire)
            try:
                answer = self._until(take)
            except StageRefused:
                if refused:
                    raise
                refused = True
                answer = None
            if answer is not None:
                return answer
            self._hush()
        shown = wire.decode("latin-1").strip() if wire.isascii() else wire.hex(" ")
        raise Unanswered(f"{self._name}: {self._complaint(shown, sends)}")

    def tell(self, wire: bytes) -> None:
        """Send what is not answered."""
        self._link.write(wire)

    def close(self) -> None:
        """Close the line; safe to call twice."""
        self._link.close()

    def _complaint(self, question: str, sends: int) -> str:
        """Silence and an answer in other words call for different things from a person."""
        came = bytes(self._came).strip()
        if not came:
            return f"no answer to {question!r} in {sends} tries"
        last = came.splitlines()[-1].decode("latin-1")[-_SHOWN:]
        text = repr(last) if last.isprintable() else came[-_SHOWN:].hex(" ")
        return f"{question!r} was answered too late or in words not known; the last were {text}"

    def _until(self, take: Take[Answer]) -> Answer | None:
        """Time is up once a look that began after it found nothing: on a busy computer an answer
        that came in time may have waited for this thread."""
        deadline = time.monotonic() + self._answer_s
        give_up = deadline + self._answer_s  # noise may go on for ever
        while True:
            now = time.monotonic()
            data = self._read()
            del self._arrived[:-_BUFFER]
            self._arrived += data
            answer = take(self._arrived)
            if answer is not None or (now > deadline and not data) or now > give_up:
                return answer

    def _read(self) -> bytes:
        data = self._link.read()
        if data:
            self._came += data
            del self._came[:-_BUFFER]
            self._overhear(data)
        return data

    def _hush(self) -> None:
        """Wait for silence: a late answer must not be taken for the next question's."""
        deadline = time.monotonic() + self._answer_s
        while self._read() and time.monotonic() < deadline:
            pass


def line(end: bytes, judge: Callable[[str], Answer | None]) -> Take[Answer]:
    """A `take` for lines of text that end in `end`; `judge` is given each without its end and
    returns None for what is no answer to this question (noise, something unsolicited)."""

    def take(arrived: bytearray) -> Answer | None:
        while end in arrived:
            text, _, rest = bytes(arrived).partition(end)
            arrived[:] = rest
            answer = judge(text.decode("latin-1").strip())
            if answer is not None:
                return answer
        return None

    return take
