"""X and Y of a board that speaks the binary protocol: their session, and where they are."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from firmware_bridge import messages as m
from firmware_bridge import messages_xy as xy
from firmware_bridge.errors import (
    LinkLost,
    ProtocolError,
    StageRefused,
    StageSilent,
    StageUncertain,
)
from firmware_bridge.stages.binary import BinaryStage
from firmware_bridge.stages.slide_history import SlideHistory
from firmware_bridge.stages.wire_numbers import nm, size_nm, speed_nm_s
from firmware_bridge.xy_stage import XYAt, XYStage, XYStatus

Window = tuple[float, float, float, float]
_COVER_WAIT_S = 2.5 * xy.XY_STATUS_PERIOD_MS / 1e3


class BinarySlide(XYStage):
    """What is known of X and Y beside a BinaryStage of the same board; BinaryXYStage moves them."""

    def __init__(
        self,
        z: BinaryStage,
        *,
        window_um: Window,
        settle_ms: int = 30,
        speed_um_s: float | None = None,
        assumed_tolerance_um: float = 1.0,
        owns_z: bool = False,
    ) -> None:
        """`window_um`: (x_min, y_min, x_max, y_max), which the firmware keeps; `owns_z`: `clear`
        and `close` are for Z, too.

        StageRefused (NO_XY for a board with Z alone, WINDOW, CONFIG, BUSY), ProtocolError for
        another table, LinkLost; nothing moves.
        """
        self._z, self._owns_z = z, owns_z
        names = ("x_min", "y_min", "x_max", "y_max")
        self._window_nm = [nm(value, name) for value, name in zip(window_um, names, strict=True)]
        self._speed_nm_s = 0 if speed_um_s is None else speed_nm_s(speed_um_s)
        self._settle_ms = settle_ms
        self._tolerance_um = size_nm(assumed_tolerance_um, "assumed_tolerance_um") / 1e3
        self._moving = threading.Lock()  # one XY_MOVE on the wire at a time
        self._session = 0
        self.reconnect()

    def reconnect(self) -> None:
        """Say where the slide may go, in the session that Z has now; errors as the constructor."""
        with self._moving:
            client = self._client = self._z.client
            with client.changed:
                self._history = SlideHistory()
                self._pulses: list[xy.Triggered] = []
                self._pulses_after_us = 0
                self._last_id = self._awaited_id = self._stopped_id = 0
                self._accepted_nm = (0, 0)
                self._uncertain = ""
                self._session = client.session
                client.also_note = self._note
            x_min, y_min, x_max, y_max = self._window_nm
            hello = xy.XyHello(
                self._session, m.XY_TABLE_HASH, x_min, x_max, y_min, y_max, self._speed_nm_s,
                self._settle_ms,
            )  # fmt: skip
            try:
                ack = client.request(hello, xy.XyHelloAck)
            except StageRefused as refused:
                if refused.reason == m.Reason.UNKNOWN_TYPE.name:
                    raise StageRefused("NO_XY", "this board moves Z alone") from refused
                raise
            self._take(ack)
        self._wait_for(lambda: self._history.newest is not None, 1.0)

    def _take(self, ack: xy.XyHelloAck) -> None:
        if ack.result == m.Reason.HASH:
            raise ProtocolError("the board speaks of X and Y by another table")
        if ack.result != m.Reason.OK:
            limits = (ack.hard_x_min_nm, ack.hard_y_min_nm, ack.hard_x_max_nm, ack.hard_y_max_nm)
            raise StageRefused(m.Reason(ack.result).name, f"hard limits of X and Y {limits} nm")
        window = [ack.x_min_nm, ack.y_min_nm, ack.x_max_nm, ack.y_max_nm]
        if window != self._window_nm or ack.settle_ms != self._settle_ms:
            raise ProtocolError(f"the firmware applied {window} nm, settling {ack.settle_ms} ms")
        self.x_min_um, self.y_min_um, self.x_max_um, self.y_max_um = (v / 1e3 for v in window)
        self.resolution_um = ack.nm_per_step / 1e3
        self.speed_um_s = ack.speed_nm_s / 1e3
        self.acceleration_um_s2 = float(ack.accel_um_s2)

    def _note(self, message: m.Message) -> None:
        """What arrived and is none of Z's; the client's lock is held."""
        if isinstance(message, xy.XyStatus) and message.session == self._session:
            self._history.append(message)
        elif isinstance(message, xy.Triggered):
            copied = any(one.count == message.count for one in self._pulses)
            if message.time_us > self._pulses_after_us and not copied:
                self._pulses.append(message)
                self._pulses.sort(key=lambda one: one.count)

    # ---- reading ------------------------------------------------------------------------------

    def _check(self) -> None:
        """The client's lock is held. Another session knows nothing of X and Y."""
        self._client.exchange.raise_trouble()
        if self._client is not self._z.client or self._client.session != self._session:
            raise StageUncertain("Z has opened another session: reconnect X and Y")

    def _wait_for(self, over: Callable[[], bool], timeout_s: float) -> None:
        """Until `over`; StageUncertain after `timeout_s`, LinkLost as soon as Z's STATUS stops."""

        def known(_: m.Status) -> bool:
            self._check()
            return over()

        try:
            self._client.wait_for(known, timeout_s)
        except StageSilent as silent:
            with self._client.changed:
                newest = self._history.newest
                if newest is None or not self._rests(newest):
                    raise LinkLost(str(silent)) from silent
            raise

    def _rests(self, status: xy.XyStatus) -> bool:
        return not status.flags & m.Flag.MOVING and status.last_move_id >= self._awaited_id

    def _newest(self) -> xy.XyStatus:
        """Not older than Z's, which must be new."""
        self._wait_for(lambda: True, 0.5)
        with self._client.changed:
            newest = self._history.newest
            assert newest is not None
            return newest

    def status(self) -> XYStatus:
        return self._as_status(self._newest())

    def _as_status(self, status: xy.XyStatus) -> XYStatus:
        with self._client.changed:
            time_ns, _ = self._client.clock.host_ns(status.time_us)
            settled_ns, width_ns = self._client.clock.host_ns(status.settled_us)
        moving = not self._rests(status)
        settled = bool(status.flags & m.Flag.SETTLED) and not moving
        known_ns = settled_ns + width_ns if status.settled_us else 0  # late rather than early
        latch = max(status.latch_x, status.latch_y)
        return XYStatus(
            x_um=status.x_nm / 1e3,
            y_um=status.y_nm / 1e3,
            moving=moving,
            settled_ns=known_ns if settled else None,
            latched=m.Latch(latch).name if latch else None,
            time_ns=time_ns,
        )

    def xy_at(self, time_ns: int) -> XYAt:
        if time_ns > time.monotonic_ns():
            raise StageRefused("no-history", "that moment is still to come")
        self._newest()
        places: list[XYAt] = []

        def covered() -> bool:
            us, width_us = self._client.clock.firmware_us(time_ns)
            at = self._history.at(us, width_us, self._awaited_id)
            if at is not None:
                (x, y), half_nm = at
                places.append(XYAt(x / 1e3, y / 1e3, half_nm / 1e3 + self.resolution_um / 2))
            return at is not None

        try:
            self._wait_for(covered, _COVER_WAIT_S)
        except StageUncertain as late:
            if isinstance(late, LinkLost):
                raise
            raise StageRefused("no-history", "XY_STATUS does not cover that moment") from late
        return places[-1]
