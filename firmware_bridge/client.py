"""One session with one firmware: handshake, heartbeat, clock, and what STATUS told.

The heartbeat is a SYNC every 50 ms from a thread of its own: it keeps the firmware's watchdog
quiet, the session alive and the clocks together, whatever the caller is busy with.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from firmware_bridge import messages as m
from firmware_bridge.clock import ClockSync
from firmware_bridge.errors import (
    LinkLost,
    NotConnected,
    ProtocolError,
    StageError,
    StageRefused,
    StageSilent,
    StageUncertain,
)
from firmware_bridge.exchange import BEHIND_S, LOOK_S, Exchange, Reply
from firmware_bridge.history import StatusHistory
from firmware_bridge.link import Link

HEARTBEAT_S = 0.05
LINK_TIMEOUT_S = 0.5  # 25 STATUS periods
_TAKE_OVER_S = m.SESSION_ALIVE_MS / 1e3 + 0.5
_FIRST_SYNCS = 8
_EXPOSURES_KEPT = 256


@dataclass(frozen=True, slots=True)
class AxisRequest:
    """What HELLO asks for; nm, nm/s, ms. `speed_nm_s` 0 = as fast as the firmware allows."""

    z_min_nm: int
    z_max_nm: int
    backlash_nm: int
    speed_nm_s: int
    settle_ms: int


class Client:
    """Talks to one firmware. Every method may be called from any thread."""

    def __init__(self, link: Link, may_beat: Callable[[], bool] = lambda: True) -> None:
        """Start talking on `link`, which the client closes. `handshake` comes next.

        `may_beat` is asked before each heartbeat, for whom the client serves a process other than
        its own.
        """
        self._may_beat = may_beat
        self._boot_id: int | None = None
        self._status_ns: int  # when the newest STATUS arrived
        self._syncs: dict[int, int] = {}  # token of a heartbeat -> sent, ns
        self.session = 0  # 0 = none
        self.awaited_id = 0  # newest move that may be, or has been, under way
        self.clock = ClockSync()
        self.history = StatusHistory()
        self.exposures: deque[m.Exposure] = deque(maxlen=_EXPOSURES_KEPT)
        self.also_note: Callable[[m.Message], object] = lambda _: None  # whoever moves X and Y
        self.exchange = Exchange(link, self._note)
        self.changed = self.exchange.changed  # guards all of the above
        self.exchange.run("z-heartbeat", self._beat)

    def handshake(self, axis: AxisRequest) -> m.HelloAck:
        """Open a new session, dropping the old one.

        LinkLost when nobody answers; ProtocolError when the peer's version or table differ;
        StageRefused with the firmware's reason (WINDOW, CONFIG, OTHER_SESSION, BUSY).
        """
        self._say_bye()
        with self.changed:
            if isinstance(self.exchange.trouble, LinkLost):
                self.exchange.raise_trouble()
            self.exchange.trouble = None
            self.exchange.foreign_frames = 0
            self._boot_id = None
            self._syncs.clear()
            self.clock, self.history = ClockSync(), StatusHistory()
            self.exposures.clear()
        self.exchange.end_frame()
        ack = self._hello(secrets.randbelow(2**32 - 1) + 1, axis)
        for _ in range(_FIRST_SYNCS):
            self.request(m.Sync(self.session, 0), m.SyncAck)
        return ack

    def request(self, message: m.Message, *expected: type[Reply]) -> Reply:
        """As `Exchange.request`."""
        return self.exchange.request(message, *expected)

    def check(self) -> None:
        """Raise what the threads met: LinkLost, or StageUncertain after a reboot."""
        with self.changed:
            self.exchange.raise_trouble()

    def newest(self) -> m.Status:
        """The newest STATUS, waiting for the first; LinkLost when there was none for 0.5 s."""
        return self.wait_for(lambda _: True, LINK_TIMEOUT_S)

    def wait_for(self, condition: Callable[[m.Status], bool], timeout_s: float) -> m.Status:
        """The first STATUS that fulfils `condition`; StageUncertain after `timeout_s`.

        LinkLost when STATUS stops arriving, StageSilent when it stopped at rest; other trouble as
        soon as it is known. An old STATUS is no silence while newer ones wait to be read: then it
        is the reader that is late, and the newer ones are waited for.
        """
        deadline = time.monotonic() + timeout_s
        with self.changed:
            while True:
                self.exchange.raise_trouble()
                status, now = self.history.newest, time.monotonic()
                over: StageError | None = None
                if status is not None and now > self._status_ns / 1e9 + LINK_TIMEOUT_S:
                    over = self._silence(status)
                elif status is not None and condition(status):
                    return status
                elif now >= deadline:
                    over = StageUncertain(f"still not done after {timeout_s:g} s")
                    if status is None:
                        over = LinkLost("no STATUS since the handshake")
                if over is None:
                    self.changed.wait(min(deadline - now, LINK_TIMEOUT_S))
                elif now < deadline + BEHIND_S and self.exchange.behind():
                    self.changed.wait(LOOK_S)
                else:
                    raise over

    def _silence(self, newest: m.Status) -> LinkLost:
        """At rest with nothing under way: who is silent may come back, and is asked on."""
        reason = f"no STATUS for {LINK_TIMEOUT_S} s"
        return StageSilent(reason) if self.rests(newest) else LinkLost(reason)

    def rests(self, status: m.Status) -> bool:
        """At rest by this STATUS, and it knows of the newest move."""
        return not status.flags & m.Flag.MOVING and status.last_move_id >= self.awaited_id

    def close(self) -> None:
        """End the session and the threads, close the line; safe to call twice."""
        self._say_bye()
        self.exchange.close()

    # ---- handshake ----------------------------------------------------------------------------

    def _hello(self, session: int, axis: AxisRequest) -> m.HelloAck:
        hello = m.Hello(
            session=session,
            protocol=m.PROTOCOL_VERSION,
            table_hash=m.TABLE_HASH,
            z_min_nm=axis.z_min_nm,
            z_max_nm=axis.z_max_nm,
            backlash_nm=axis.backlash_nm,
            speed_nm_s=axis.speed_nm_s,
            settle_ms=axis.settle_ms,
        )
        give_up = time.monotonic() + _TAKE_OVER_S
        while True:
            ack = self._ask_hello(hello)
            # A host that died leaves its session behind for a second.
            waits = ack.result in (m.Reason.OTHER_SESSION, m.Reason.BUSY)
            if not waits or time.monotonic() > give_up:
                break
            self.exchange.closing.wait(HEARTBEAT_S)
        _judge(ack, axis)
        with self.changed:
            self.session, self._boot_id = session, ack.boot_id
        return ack

    def _ask_hello(self, hello: m.Hello) -> m.HelloAck:
        try:
            return self.request(hello, m.HelloAck)
        except StageRefused as error:  # a NACK: it understood the frame, not the message
            raise ProtocolError(f"the firmware does not understand HELLO: {error}") from error
        except LinkLost:
            raise
        except StageUncertain as error:
            if self.exchange.foreign_frames:
                raise ProtocolError("the peer answers in another protocol") from error
            raise NotConnected("no firmware answers on this port") from error

    def _say_bye(self) -> None:
        if self.session:
            with suppress(StageError):  # then it ends by itself, a second after our last frame
                self.request(m.Bye(self.session), m.ByeAck)
        self.session = 0

    # ---- what arrives, and the heartbeat ------------------------------------------------------

    def _beat(self) -> None:
        while not self.exchange.closing.wait(HEARTBEAT_S):
            if not self._may_beat():
                continue
            with self.changed:
                if not self.session or self.exchange.trouble is not None:
                    continue
                if len(self._syncs) > 64:
                    self._syncs.clear()  # lost ones: their answers will not come any more
                sync = m.Sync(self.session, secrets.randbelow(2**32 - 1) + 1)
                self._syncs[sync.token] = time.monotonic_ns()
            self.exchange.send(sync)

    def _note(self, message: m.Message, sent_ns: int, received_ns: int) -> None:
        if isinstance(message, m.SyncAck):
            sent_ns = self._syncs.pop(message.token, sent_ns)
            if sent_ns:
                self.clock.add(sent_ns, received_ns, message.time_us)
        elif isinstance(message, m.Status):
            self._note_status(message, received_ns)
        elif isinstance(message, m.Exposure) and self.session:
            self.exposures.append(message)
        elif isinstance(message, m.Nack) and self._boot_id not in (None, message.boot_id):
            self._lose("the controller restarted: its position is unknown")
        else:
            self.also_note(message)

    def _note_status(self, status: m.Status, received_ns: int) -> None:
        if not self.session:
            return  # left over from before the handshake, or after the end
        if status.boot_id != self._boot_id:
            self._lose("the controller restarted: its position is unknown")
        elif status.session != self.session:
            self._lose("another host took the axis over")
        else:
            self.history.append(status)
            self._status_ns = received_ns

    def _lose(self, why: str) -> None:
        if self.exchange.trouble is None:
            self.exchange.trouble = StageUncertain(why)


def _judge(ack: m.HelloAck, axis: AxisRequest) -> None:
    """Raise unless the handshake gave exactly what was asked for."""
    if ack.table_hash != m.TABLE_HASH or ack.result in (m.Reason.VERSION, m.Reason.HASH):
        raise ProtocolError(
            f"the firmware speaks version {ack.protocol}, table {ack.table_hash:#010x}; "
            f"this host {m.PROTOCOL_VERSION}, {m.TABLE_HASH:#010x}"
        )
    if ack.result != m.Reason.OK:
        limits = f"{ack.hard_min_nm}..{ack.hard_max_nm} nm"
        raise StageRefused(m.Reason(ack.result).name, f"at the handshake; hard limits {limits}")
    asked = (axis.z_min_nm, axis.z_max_nm, axis.settle_ms)
    if (ack.z_min_nm, ack.z_max_nm, ack.settle_ms) != asked:
        applied = f"{ack.z_min_nm}..{ack.z_max_nm} nm, settling {ack.settle_ms} ms"
        raise ProtocolError(f"the firmware applied {applied}")
