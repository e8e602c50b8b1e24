"""X and Y behind the binary protocol, in the session of the board's Z axis (PROTOCOL.md).

The Z stage holds line, session, heartbeat and clock; who moves the slide speaks in them. So a STOP
of either stops all three, and a board that restarted is found out by both.
"""

from __future__ import annotations

import math
from typing import Any

from firmware_bridge import messages as m
from firmware_bridge import messages_xy as xy
from firmware_bridge.errors import LinkLost, StageError, StageRefused, StageUncertain
from firmware_bridge.stages.binary import BinaryStage
from firmware_bridge.stages.binary_slide import BinarySlide, Window
from firmware_bridge.stages.wire_numbers import nm
from firmware_bridge.xy_stage import Trigger, Triggered, XYStatus, allowed

ARRIVAL_NM = 500  # how near to its target a move must end
_LAST_MOVE_ID = 2**32 - 1


class BinaryXYStage(BinarySlide):
    """The XY contract. Safe to use from several threads."""

    # ---- moving -------------------------------------------------------------------------------

    def move_to(self, x_um: float, y_um: float, assumed: tuple[float, float]) -> int:
        with self._moving:
            self._check_certain()
            allowed(self, x_um, y_um, assumed, self._tolerance_um)
            return self._send(self._next_move(x_um, nm(y_um, "y_um"), assumed, 0))

    def sweep(
        self, x_um: float, speed_um_s: float, assumed: tuple[float, float], trigger: Trigger | None
    ) -> int:
        with self._moving:
            self._check_certain()
            if not 0.004 <= speed_um_s <= self.speed_um_s:
                raise StageRefused("SPEED", f"{speed_um_s} um/s is not up to {self.speed_um_s:g}")
            at = allowed(self, x_um, assumed[1], assumed, self._tolerance_um)
            y_nm = nm(at.y_um, "y_um")  # where it is: Y stays
            move = self._next_move(x_um, y_nm, assumed, round(speed_um_s * 1e3))
            if trigger is not None:
                self._check_run_up(at.x_um, x_um, speed_um_s, trigger)
                self._arm(move.move_id, trigger)
            return self._send(move)

    def _check_certain(self) -> None:
        with self._client.changed:
            self._check()
        if self._uncertain:
            raise StageUncertain(self._uncertain)
        if self._last_id >= _LAST_MOVE_ID:
            raise StageRefused("MOVE_NUMBERS", "this session has used all: open the stage anew")

    def _next_move(
        self, x_um: float, y_nm: int, assumed: tuple[float, float], speed: int
    ) -> xy.XyMove:
        self._last_id += 1
        here = (nm(assumed[0], "assumed x"), nm(assumed[1], "assumed y"))
        tolerance = round(self._tolerance_um * 1e3)
        x_nm = nm(x_um, "x_um")
        return xy.XyMove(self._session, self._last_id, x_nm, y_nm, *here, tolerance, speed)

    def _check_run_up(self, from_um: float, to_um: float, speed: float, trigger: Trigger) -> None:
        """Pulses where the speed is not reached would light frames for another time."""
        sign = math.copysign(1.0, to_um - from_um)
        ramp_um = speed**2 / (2 * self.acceleration_um_s2)
        first, last = sign * (trigger.start_um - from_um), sign * (to_um - trigger.end_um)
        if not (sign * trigger.pitch_um > 0 and min(first, last) >= ramp_um):
            raise StageRefused("RUN_UP", f"{ramp_um:.1f} um are needed before and after the pulses")

    def _arm(self, move_id: int, trigger: Trigger) -> None:
        if not 1 <= trigger.width_us <= xy.TRIGGER_WIDTH_US_MAX or trigger.count >= 2**32:
            raise StageRefused("TRIGGER", f"{trigger} does not fit the protocol")
        arm = xy.TriggerArm(
            self._session, move_id, nm(trigger.start_um, "start"), nm(trigger.pitch_um, "pitch"),
            trigger.count, round(trigger.width_us),
        )  # fmt: skip
        armed = self._client.request(arm, xy.TriggerArmed)
        if armed.reason != m.Reason.OK:
            raise StageRefused(_reason(armed.reason), f"pulses: {trigger}")

    def _send(self, move: xy.XyMove) -> int:
        before = self._awaited_id, self._accepted_nm
        with self._client.changed:
            self._awaited_id, self._accepted_nm = move.move_id, (move.x_nm, move.y_nm)
            self._pulses.clear()  # a late copy of the last line's is older than that it rested
            newest = self._history.newest
            self._pulses_after_us = newest.time_us if newest is not None else 0
        try:
            reply = self._client.request(move, xy.XyAccepted, xy.XyRefused)
        except StageRefused as nacked:  # the session is gone, or the board forgot it
            self._uncertain = f"the board does not know the session of move {move.move_id}"
            raise StageUncertain(self._uncertain) from nacked
        except StageError as error:
            self._uncertain = f"move {move.move_id} was never confirmed: {error}"
            if isinstance(error, LinkLost):
                raise
            raise StageUncertain(self._uncertain) from error
        if isinstance(reply, xy.XyAccepted):
            self._accepted_nm = (reply.x_nm, reply.y_nm)
            return move.move_id
        assert isinstance(reply, xy.XyRefused)
        with self._client.changed:
            self._awaited_id, self._accepted_nm = before
        at = f"it is at ({reply.x_nm / 1e3:.1f}, {reply.y_nm / 1e3:.1f}) um"
        raise StageRefused(_reason(reply.reason), at)

    def triggered(self) -> list[Triggered]:
        with self._client.changed:
            pulses = list(self._pulses)
            times = [self._client.clock.host_ns(one.time_us)[0] for one in pulses]
        return [
            Triggered(one.count, time_ns, one.position_nm / 1e3)
            for one, time_ns in zip(pulses, times, strict=True)
        ]

    def pulses_given(self) -> int:
        newest = self._newest()
        return newest.pulses if newest.last_move_id == self._awaited_id else 0

    def wait(self, timeout_s: float) -> XYStatus:
        wanted = self._awaited_id

        def settled() -> bool:
            newest = self._history.newest
            assert newest is not None
            return bool(newest.flags & m.Flag.SETTLED) and newest.last_move_id >= wanted

        self._wait_for(settled, timeout_s)
        with self._client.changed:
            status = self._history.newest
            assert status is not None
        if wanted > self._stopped_id:
            self._check_reached(status, wanted)
        return self._as_status(status)

    def _check_reached(self, status: xy.XyStatus, wanted: int) -> None:
        """That it rests proves nothing: the move itself must say that it was made."""
        off_nm = max(
            abs(status.x_nm - self._accepted_nm[0]), abs(status.y_nm - self._accepted_nm[1])
        )
        if (
            status.last_move_id == wanted
            and status.last_result == m.Result.REACHED
            and off_nm <= ARRIVAL_NM
        ):
            return
        there = tuple(value / 1e3 for value in self._accepted_nm)
        raise StageUncertain(
            f"the move ended at ({status.x_nm / 1e3:.1f}, {status.y_nm / 1e3:.1f}) um, "
            f"not at {there}: {m.Result(status.last_result).name}"
        )

    def stop(self) -> None:
        with self._client.changed:
            self._stopped_id = self._awaited_id
        self._client.request(m.Stop(self._client.session), m.Stopping)

    def clear(self) -> None:
        """StageRefused("BUSY") while an axis still brakes."""
        clear = xy.XyClear(self._session, self._newest().latch_count)
        cleared = self._client.request(clear, xy.XyCleared)
        if cleared.latch_x or cleared.latch_y:
            raise StageRefused("LATCHED", "a newer stop has latched meanwhile")
        if self._owns_z:
            self._z.clear()

    def close(self) -> None:
        if self._owns_z:
            self._z.close()


def _reason(code: int) -> str:
    for words in (m.Reason, xy.XyReason):
        if code in set(words):
            return words(code).name
    return f"reason {code}"


def open_binary_xy(
    *, port: str, window_um: Window, z_window_um: tuple[float, float], settle_ms: int = 30,
    speed_um_s: float | None = None, assumed_tolerance_um: float = 1.0, **session: Any,
) -> BinaryXYStage:  # fmt: skip
    """X and Y of a board of which nobody else uses Z: the session still needs a window for it, in
    which this stage moves nothing. `session` as BinaryStage takes it; errors of both."""
    z = BinaryStage(port=port, z_min_um=z_window_um[0], z_max_um=z_window_um[1], **session)
    try:
        return BinaryXYStage(
            z, window_um=window_um, settle_ms=settle_ms, speed_um_s=speed_um_s,
            assumed_tolerance_um=assumed_tolerance_um, owns_z=True,
        )  # fmt: skip
    except StageError:
        z.close()
        raise
