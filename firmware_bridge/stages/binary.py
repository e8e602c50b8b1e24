"""A Z axis behind the binary protocol (PROTOCOL.md), on a board or on a pty."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from firmware_bridge import messages as m
from firmware_bridge.client import AxisRequest, Client
from firmware_bridge.errors import LinkLost, StageError, StageRefused, StageUncertain
from firmware_bridge.history import position_nm
from firmware_bridge.link import Link, SerialLink, lasting_name
from firmware_bridge.stage import Exposure, Identity, Stage, StageStatus, ZAt
from firmware_bridge.stages.motion_options import SETTLE_MS, TOLERANCE_UM
from firmware_bridge.stages.wire_numbers import nm, size_nm, speed_nm_s

_COVER_WAIT_S = 2.5 * m.STATUS_PERIOD_MS / 1e3
_LAST_MOVE_ID = 2**32 - 1  # move_id is a u32
SETTLE_MS_MAX = 10_000
ARRIVAL_NM = 500  # how near to its target a move must end


class BinaryStage(Stage):
    """The stage contract over one session with the firmware. Safe to use from several threads."""

    def __init__(
        self,
        *,
        port: str,
        z_min_um: float,
        z_max_um: float,
        settle_ms: int = SETTLE_MS,
        speed_um_s: float | None = None,
        backlash_um: float = 2.0,
        assumed_tolerance_um: float = TOLERANCE_UM,
        baudrate: int = 115_200,
        open_link: Callable[[str, int], Link] = SerialLink,
        may_beat: Callable[[], bool] = lambda: True,
        stop_first: bool = False,
    ) -> None:
        """Open `port` and a session with the window z_min_um..z_max_um, which the firmware keeps.

        `speed_um_s` None = the firmware's own; `backlash_um`: every move ends coming up by this
        much, coming down when it is negative, dipping past the target first; 0 = direct;
        `assumed_tolerance_um`: how far off `assumed_um` of a move may be; `may_beat`: while it says
        False the firmware gets no heartbeat, and its watchdog stops what moves; `stop_first`: STOP
        before the handshake, which is obeyed whoever sends it. Raises StageRefused (PORT_LOCKED,
        WINDOW, CONFIG, OTHER_SESSION), ProtocolError or LinkLost; nothing moves.
        """
        self._axis = AxisRequest(
            z_min_nm=nm(z_min_um, "z_min_um"),
            z_max_nm=nm(z_max_um, "z_max_um"),
            backlash_nm=nm(backlash_um, "backlash_um"),
            speed_nm_s=0 if speed_um_s is None else speed_nm_s(speed_um_s),
            settle_ms=settle_ms,
        )
        self._tolerance_nm = size_nm(assumed_tolerance_um, "assumed_tolerance_um")
        if not 0 <= settle_ms <= SETTLE_MS_MAX:
            raise StageRefused("CONFIG", f"settle_ms = {settle_ms} is not 0..{SETTLE_MS_MAX}")
        self._moving = threading.Lock()  # one MOVE on the wire at a time
        self._last_id = 0  # newest number used
        self._accepted_nm = 0  # where the firmware said that it goes
        self._stopped_id = 0  # newest move that a stop of ours may have ended
        self._uncertain = ""  # why no further move may be sent before reconnect()
        self._connected_us = 0
        self._device_id: int | None = None
        self._open_line: Callable[[], Link] = lambda: open_link(port, baudrate)
        self._line_name = lasting_name(port)
        self._may_beat = may_beat
        self._client = Client(self._open_line(), may_beat)
        try:
            if stop_first:  # whatever the handshake ends in
                with suppress(StageRefused, StageUncertain):
                    self._client.request(m.Stop(0), m.Stopping)
            self.reconnect()
        except StageError:
            self.close()
            raise

    def reconnect(self) -> None:
        """Open a new session, after StageUncertain: read where the axis is.

        After LinkLost the port is opened anew under its name, which therefore should be a stable
        one (/dev/serial/by-id/...). Raises as the constructor does, and StageRefused
        ("OTHER_DEVICE") when another controller answers there. `boot_id` tells whether it restarted
        meanwhile. A move left over from the old session can no longer start.
        """
        with self._moving:
            if isinstance(self._client.exchange.trouble, LinkLost):
                self._client.close()
                self._client = Client(self._open_line(), self._may_beat)
            ack = self._client.handshake(self._axis)
            if self._device_id not in (None, ack.device_id):
                self._client.close()
                there = f"device {ack.device_id} answers instead of {self._device_id}"
                raise StageRefused("OTHER_DEVICE", there)
            self._device_id = ack.device_id
            self._last_id = self._client.awaited_id = self._stopped_id = 0
            self._uncertain = ""
            self._connected_us = ack.time_us
        self.z_min_um, self.z_max_um = ack.z_min_nm / 1e3, ack.z_max_nm / 1e3
        self.resolution_um = ack.nm_per_step / 1e3
        self.boot_id = ack.boot_id
        self.identity = Identity(
            f"binary protocol {ack.protocol}",
            self.resolution_um,
            (ack.hard_min_nm / 1e3, ack.hard_max_nm / 1e3),
            serial=f"{ack.device_id}",
            referenced=True,  # the protocol demands it of a firmware before its first answer
            port=self._line_name,
        )
        self._client.newest()

    @property
    def client(self) -> Client:
        """The present session, for who moves the slide of the same board."""
        return self._client

    # ---- reading ------------------------------------------------------------------------------

    def status(self) -> StageStatus:
        return self._stage_status(self._client.newest())

    def _stage_status(self, status: m.Status) -> StageStatus:
        moving = bool(status.flags & m.Flag.MOVING) or status.last_move_id < self._client.awaited_id
        settled = bool(status.flags & m.Flag.SETTLED) and not moving
        with self._client.changed:
            time_ns, _ = self._client.clock.host_ns(status.time_us)
            settled_ns, width_ns = self._client.clock.host_ns(status.settled_us)
        if status.settled_us < self._connected_us:
            settled_ns, width_ns = 0, 0
        return StageStatus(
            z_um=position_nm(status) / 1e3,
            moving=moving,
            settled_ns=settled_ns + width_ns if settled else None,  # late rather than early
            latched=m.Latch(status.latch).name if status.latch else None,
            time_ns=time_ns,
        )

    def z_at(self, time_ns: int) -> ZAt:
        """Position at a recent moment; waits up to 50 ms for the STATUS that covers it.

        At rest it need not wait: nobody but this session can start a move. StageRefused
        ("no-history") for a moment in the future or older than about 10 s.
        """
        if time_ns > time.monotonic_ns():
            raise StageRefused("no-history", "that moment is still to come")
        self._client.newest()
        deadline = time.monotonic() + _COVER_WAIT_S
        client = self._client
        with client.changed:
            while True:
                client.exchange.raise_trouble()
                known = self._known_at(time_ns)
                left_s = deadline - time.monotonic()
                if known is not None:
                    return known
                if left_s <= 0:
                    raise StageRefused("no-history", "STATUS does not cover that moment")
                client.changed.wait(left_s)

    def _known_at(self, time_ns: int) -> ZAt | None:
        history = self._client.history
        newest = history.newest
        assert newest is not None
        firmware_us, width_us = self._client.clock.firmware_us(time_ns)
        firmware_us = history.no_earlier(firmware_us, width_us)
        half_step_um = self.resolution_um / 2
        if history.covers(firmware_us):
            z_nm, half_width_nm = history.at(firmware_us, width_us)
            return ZAt(z_nm / 1e3, half_width_nm / 1e3 + half_step_um)
        if firmware_us > newest.time_us and self._client.rests(newest):
            return ZAt(position_nm(newest) / 1e3, half_step_um)
        if firmware_us < newest.time_us:
            raise StageRefused("no-history", "that moment is before the first STATUS kept")
        return None

    def exposures(self) -> list[Exposure]:
        """Exposures the controller told of since the last call, oldest first; 256 are kept.

        z at mid-exposure by the firmware's own clock: the uncertainty is half a step and what an
        acceleration may bend the way in between, a quarter of it at most.
        """
        client, exposures = self._client, []
        with client.changed:
            client.exchange.raise_trouble()
            while client.exposures:
                event = client.exposures.popleft()
                start_ns, _ = client.clock.host_ns(event.start_us)
                end_ns, _ = client.clock.host_ns(event.end_us)
                travel_um = abs(event.end_nm - event.start_nm) / 1e3
                z_um = (event.start_nm + event.end_nm) / 2e3
                z = ZAt(z_um, self.resolution_um / 2 + travel_um / 4)
                exposures.append(Exposure(start_ns, end_ns, z, event.count))
        return exposures

    # ---- moving -------------------------------------------------------------------------------

    def move_to(self, target_um: float, assumed_um: float) -> int:
        target_nm, assumed_nm = nm(target_um, "target_um"), nm(assumed_um, "assumed_um")
        if not self._axis.z_min_nm <= target_nm <= self._axis.z_max_nm:
            window = f"{self.z_min_um:g}..{self.z_max_um:g} um"
            raise StageRefused("WINDOW", f"target {target_um:.3f} um is outside {window}")
        with self._moving:
            self._client.check()
            if self._uncertain:
                raise StageUncertain(self._uncertain)
            if self._last_id >= _LAST_MOVE_ID:
                raise StageRefused("MOVE_NUMBERS", "this session has used all: open the stage anew")
            self._last_id += 1
            session = self._client.session
            move = m.Move(session, self._last_id, target_nm, assumed_nm, self._tolerance_nm)
            self._send(move)
            return move.move_id

    def _send(self, move: m.Move) -> None:
        before = self._client.awaited_id, self._accepted_nm
        with self._client.changed:
            self._client.awaited_id, self._accepted_nm = move.move_id, move.target_nm
        try:
            reply = self._client.request(move, m.Accepted, m.Refused)
        except StageUncertain as error:
            self._uncertain = f"move {move.move_id} was never confirmed: {error}"
            if isinstance(error, LinkLost):
                raise
            raise StageUncertain(self._uncertain) from error
        if isinstance(reply, m.Accepted):
            self._accepted_nm = reply.target_nm
            return
        assert isinstance(reply, m.Refused)
        if reply.reason == m.Reason.NO_SESSION:
            self._uncertain = "the controller forgot the session: it restarted"
            raise StageUncertain(self._uncertain)
        with self._client.changed:
            self._client.awaited_id, self._accepted_nm = before
        z_um = reply.position_nm / 1e3
        detail = f"to {move.target_nm / 1e3:.3f} um; the axis is at {z_um:.3f} um"
        raise StageRefused(m.Reason(reply.reason).name, detail)

    def wait(self, timeout_s: float) -> StageStatus:
        wanted = self._client.awaited_id
        status = self._client.wait_for(
            lambda status: bool(status.flags & m.Flag.SETTLED) and status.last_move_id >= wanted,
            timeout_s,
        )
        if wanted > self._stopped_id:
            self._check_reached(status, wanted)
        return self._stage_status(status)

    def _check_reached(self, status: m.Status, wanted: int) -> None:
        """That it rests proves nothing: the move itself must say that it was made."""
        reached = status.last_move_id == wanted and status.last_result == m.Result.REACHED
        off_nm = abs(position_nm(status) - self._accepted_nm)  # an encoder's, where there is one
        step_nm = self.resolution_um * 1e3  # an acceptance that was lost told no rounded target
        there = abs(status.commanded_nm - self._accepted_nm) < step_nm and off_nm <= ARRIVAL_NM
        if reached and there:
            return
        how = m.Result(status.last_result).name if status.last_move_id == wanted else "SUPERSEDED"
        raise StageUncertain(
            f"the move ended at {position_nm(status) / 1e3:.3f} um, "
            f"not at {self._accepted_nm / 1e3:.3f}: {how}"
        )

    def stop(self) -> None:
        with self._client.changed:
            self._stopped_id = self._client.awaited_id
        self._client.request(m.Stop(self._client.session), m.Stopping)

    def clear(self) -> None:
        """Leave the latched stop; StageRefused("BUSY") while the axis still brakes."""
        status = self._client.newest()
        clear = m.Clear(self._client.session, status.latch_count)
        cleared = self._client.request(clear, m.Cleared)
        if cleared.latch:
            raise StageRefused("LATCHED", "a newer stop has latched meanwhile")

    def close(self) -> None:
        self._client.close()
