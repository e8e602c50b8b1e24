"""The test host: asks one firmware anything, politely or not, below the client and its checks."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from firmware_bridge import messages as m
from firmware_bridge.conformance.stalls import Clock, Stalls
from firmware_bridge.conformance.verdicts import Failed, need
from firmware_bridge.errors import NotConnected, StageError, StageRefused
from firmware_bridge.firmware.pins import BoardPins
from firmware_bridge.framing import Frame, FrameReader, encode_frame
from firmware_bridge.link import READ_TIMEOUT_S, WRITE_TIMEOUT_S, Link

ANSWER_S = 1.0
SETTLE_MS = 20
_SPEED_DIVISOR = 0.6  # seconds for the whole travel: longer than the watchdog's silence
Wanted = TypeVar("Wanted")


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame from the firmware."""

    seq: int
    message: m.Message


class ConformanceHost:
    """One line and one axis, of which it uses `travel_nm` up and down from where it stands."""

    def __init__(
        self, link: Link, travel_nm: int, pins: BoardPins | None = None, clock: Clock = time
    ) -> None:
        """Find out where the axis is; LinkLost when nobody answers, StageRefused without room."""
        self.pins = pins
        self.clock = self.stalls = Stalls(clock)
        self.travel_nm = travel_nm
        self._link = link
        self._frames = FrameReader()
        self._seq = 0
        self._settings: dict[str, int] = {}  # of the present session, other than the usual ones
        self._kept_alive = 0.0
        self._session = int.from_bytes(clock.monotonic_ns().to_bytes(8, "little")[:3], "little")
        self.heard: list[Heard] = []
        link.write(b"\0")
        self.ack = self._meet()
        self.step_nm = self.ack.nm_per_step
        self.origin_nm = self.wait(m.Status).commanded_nm
        low, high = self.ack.hard_min_nm, self.ack.hard_max_nm
        if not low <= self.origin_nm - travel_nm < self.origin_nm + travel_nm <= high:
            raise StageRefused(
                "ROOM", f"the axis is at {self.origin_nm / 1e3:g} um within {low / 1e3:g}.."
                f"{high / 1e3:g} um: {travel_nm / 1e3:g} um up and down are needed"
            )  # fmt: skip

    # ---- the line -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Any bytes."""
        self.stalls.lap()
        self._link.write(data)
        self.stalls.lap(WRITE_TIMEOUT_S)

    def wire(self, message: m.Message, version: int = m.PROTOCOL_VERSION) -> bytes:
        """The next frame, numbered, not yet sent."""
        code, payload = m.encode(message)
        self._seq = self._seq % 255 + 1
        return encode_frame(Frame(version, code, self._seq, payload))

    def send(self, message: m.Message) -> int:
        """Send; returns the frame's number."""
        self.write(self.wire(message))
        return self._seq

    def listen(self) -> None:
        """Take what has arrived, waiting 50 ms at most."""
        self.stalls.lap()
        data = self._link.read()
        self.stalls.lap(READ_TIMEOUT_S)
        for frame in self._frames.feed(data):
            try:
                self.heard.append(Heard(frame.seq, m.decode(frame.kind, frame.payload)))
            except m.MessageError as error:
                raise Failed(f"a frame that is in no table: {error}") from error

    def forget(self) -> None:
        """Drop what was heard so far."""
        self.listen()
        self.heard.clear()

    def find(
        self, wanted: Callable[[Heard], bool], what: str, timeout_s: float = ANSWER_S
    ) -> Heard:
        """The next frame that is `wanted`, silent meanwhile; Failed after `timeout_s`."""
        deadline, late = self.clock.monotonic() + timeout_s, False
        while True:
            for index, heard in enumerate(self.heard):
                if wanted(heard):
                    del self.heard[: index + 1]
                    return heard
            if late:
                raise Failed(f"no {what} within {timeout_s:g} s")
            late = self.clock.monotonic() > deadline  # what has come by then still counts
            self.listen()

    def wait(self, *wanted: type[Wanted], timeout_s: float = ANSWER_S) -> Wanted:
        """The next message of these types."""
        names = " or ".join(kind.__name__ for kind in wanted)
        message = self.find(
            lambda heard: isinstance(heard.message, wanted), names, timeout_s
        ).message
        assert isinstance(message, wanted)
        return message

    def ask(self, message: m.Message, *wanted: type[Wanted]) -> Wanted:
        """Send, and the answer that carries the same number."""
        self.forget()
        seq = self.send(message)
        names = " or ".join(kind.__name__ for kind in wanted)
        what = f"{names} to {type(message).__name__} under its number"
        fits = lambda heard: isinstance(heard.message, wanted) and heard.seq == seq  # noqa: E731
        answer = self.find(fits, what).message
        assert isinstance(answer, wanted)
        return answer

    # ---- sessions -----------------------------------------------------------------------------

    @property
    def session(self) -> int:
        """The number of the session this host opened last."""
        return self._session

    def hello(self, **changes: int) -> m.HelloAck:
        """HELLO of the present session with the usual settings, changed where wanted."""
        return self.ask(replace(self._usual_hello(), **changes), m.HelloAck)

    def _usual_hello(self) -> m.Hello:
        speed = round(self.travel_nm / _SPEED_DIVISOR)
        usual = m.Hello(
            session=self._session,
            protocol=m.PROTOCOL_VERSION,
            table_hash=m.TABLE_HASH,
            z_min_nm=self.origin_nm - self.travel_nm,
            z_max_nm=self.origin_nm + self.travel_nm,
            backlash_nm=self.backlash_nm,
            speed_nm_s=min(speed, self.ack.speed_nm_s),
            settle_ms=SETTLE_MS,
        )
        return replace(usual, **self._settings)

    @property
    def backlash_nm(self) -> int:
        """The dip asked for: a whole number of steps, about a hundredth of the travel."""
        return max(1, self.travel_nm // 100 // self.step_nm) * self.step_nm

    def _meet(self) -> m.HelloAck:
        """The first HELLO asks for nothing it can be refused for; an old host may hold the axis."""
        wide = m.Hello(self._session, m.PROTOCOL_VERSION, m.TABLE_HASH, 0, 1, 0, 0, 0)
        for _ in range(40):
            try:
                ack = self.ask(wide, m.HelloAck)
            except Failed as nobody:
                raise NotConnected(f"no firmware answers HELLO: {nobody}") from nobody
            if ack.result == m.Reason.OK:
                return ack
            if ack.result == m.Reason.WINDOW:  # now its limits are known
                wide = replace(wide, z_min_nm=ack.hard_min_nm, z_max_nm=ack.hard_max_nm)
            self.clock.sleep(0.05)
        raise NotConnected(f"HELLO is refused: {m.Reason(ack.result).name}")

    def fresh(self) -> None:
        """A new session at rest at the origin, unlatched: where every check begins."""
        if self.status().commanded_nm != self.origin_nm:
            self.reopen(speed_nm_s=0)
            self.move(1, self.origin_nm)
            self.settled()
        self.reopen()

    def reopen(self, **settings: int) -> None:
        """A new session, unlatched, whose settings differ from the usual ones in these."""
        self.bye()
        self._settings = settings
        self._session += 1
        deadline = self.clock.monotonic() + 3.0
        while (ack := self.hello()).result != m.Reason.OK:
            if self.clock.monotonic() > deadline:
                raise Failed(f"no new session: {m.Reason(ack.result).name}")
        status = self.wait(m.Status)
        if status.latch:
            self.ask(m.Clear(self._session, status.latch_count), m.Cleared)
        self.forget()

    def keep_alive(self) -> None:
        """A SYNC, unless one was sent less than 20 ms ago: a line carries only so many."""
        now = self.clock.monotonic()
        if now - self._kept_alive >= 0.02:
            self._kept_alive = now
            self.send(m.Sync(self._session, 1))

    def bye(self) -> None:
        """End the session once the axis rests."""
        deadline = self.clock.monotonic() + 5.0
        while True:
            answer = self.ask(m.Bye(self._session), m.ByeAck, m.Nack)
            busy = isinstance(answer, m.Nack) and answer.reason == m.Reason.BUSY
            if not busy:
                return
            if self.clock.monotonic() > deadline:
                raise Failed("the axis does not come to rest")

    def stop_at_once(self) -> None:
        """STOP, from any thread, past whatever is being asked; nobody waits for the answer."""
        code, payload = m.encode(m.Stop(self._session))
        wire = encode_frame(Frame(m.PROTOCOL_VERSION, code, 0, payload))
        self._link.write(b"\0" + wire)  # a frame cut short would swallow it

    def leave(self) -> None:
        """Stop an axis that moves, or does not tell; one at rest is not latched."""
        with contextlib.suppress(StageError, Failed):
            try:
                moves = bool(self.status().flags & m.Flag.MOVING)
            except (StageError, Failed):
                moves = True
            if moves:
                self.stop_at_once()

    # ---- the axis -----------------------------------------------------------------------------

    def status(self) -> m.Status:
        """STATUS as it is now: HELLO of the present session changes nothing and brings one."""
        self.forget()
        self.send(self._usual_hello())
        self.wait(m.HelloAck)
        return self.wait(m.Status)

    def move(self, move_id: int, target_nm: int, **changes: int) -> m.Accepted | m.Refused:
        """A numbered move from where the axis is now."""
        answer = self.ask(self.a_move(move_id, target_nm, **changes), m.Accepted, m.Refused)
        assert isinstance(answer, m.Accepted | m.Refused)
        return answer

    def a_move(self, move_id: int, target_nm: int, **changes: int) -> m.Move:
        """The message, not sent."""
        here = self.status().commanded_nm
        move = m.Move(self._session, move_id, target_nm, here, self.travel_nm // 10)
        return replace(move, **changes)

    def until(self, condition: Callable[[m.Status], bool], what: str) -> m.Status:
        """The first STATUS that fulfils `condition`, kept alive; Failed after 5 s."""
        deadline = self.clock.monotonic() + 5.0
        while self.clock.monotonic() < deadline:
            self.keep_alive()
            status = self.wait(m.Status)
            if condition(status):
                return status
        raise Failed(f"never {what}")

    def done(self) -> m.Done:
        """The next DONE, kept alive; Failed after 5 s."""
        deadline = self.clock.monotonic() + 5.0
        while True:
            for index, heard in enumerate(self.heard):
                if isinstance(heard.message, m.Done):
                    del self.heard[: index + 1]
                    return heard.message
            need(self.clock.monotonic() < deadline, "no DONE")
            self.keep_alive()
            self.listen()

    def settled(self) -> m.Status:
        """Wait for rest."""
        return self.until(lambda status: bool(status.flags & m.Flag.SETTLED), "at rest")
