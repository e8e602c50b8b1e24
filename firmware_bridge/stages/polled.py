"""The stage contract for controllers that tell where they are only when they are asked.

`WatchedStage` asks every `poll_ms`. Such a controller cannot say where it was during an exposure.
So `z_at` answers for moments at which the axis had come to rest, and refuses ("no-history") for all
others; the guard demands a settled stage anyway. A driver adds only its wire: `_identify`, `_read`,
`_go` and `_halt`.
"""

from __future__ import annotations

import math
import threading
import time
from abc import abstractmethod
from contextlib import suppress
from typing import Any

from firmware_bridge.errors import LinkLost, StageError, StageRefused, StageSilent, StageUncertain
from firmware_bridge.stage import Identity as Identity
from firmware_bridge.stage import StageStatus, ZAt
from firmware_bridge.stages.conversation import Unanswered
from firmware_bridge.stages.last_place import LastPlace
from firmware_bridge.stages.rest_detector import Reading
from firmware_bridge.stages.watched import UNREFERENCED, WatchedStage

_BRAKING = 20  # looks at an axis that was told to stop, before it is left


class PolledStage(WatchedStage):
    """Safe to use from several threads. The driver opens its line, then calls `_begin`."""

    def __init__(self, **motion: Any) -> None:
        """As WatchedStage: the window, and the fields of MotionOptions."""
        super().__init__(**motion)
        self._moves = 0
        self._place: LastPlace | None = None  # where the last session left it
        self._doubt = ""  # why it may count from elsewhere since then

    #: of a driver whose `referenced` says only that nobody can be asked: False
    counts_from_reference = True

    @abstractmethod
    def _go(self, target_um: float) -> None:
        """Send an absolute move and have it accepted; may be sent twice.

        StageRefused when the controller said no and nothing moved; LinkLost or Unanswered.
        """

    def _before_a_move(self, goes_on: bool) -> None:
        """What must be there before the axis may move; StageRefused when it is not, StageUncertain
        when it is gone since the move began that now `goes_on`."""

    def _clear(self) -> None:
        """Leave the controller's latch; the default has no command for it."""
        latched = self._observe().latched
        if latched is not None:
            raise StageRefused("LATCHED", f"{latched} must be cleared at the controller itself")

    def remember(self, place: LastPlace) -> None:
        """Compare with where the last session left it, and write down where this one does. What
        knows its own reference, or a person vouches for, needs no memory."""
        with self._changed:
            if self._vouched or (self.identity.referenced and self.counts_from_reference):
                return
            assert self._newest is not None
            self._place = place
            self._doubt = place.doubt(self._newest.z_um, self._tolerance_um)

    def _leave(self) -> None:
        """At the end: where it rests, if that is known and beyond doubt."""
        place, self._place = self._place, None
        if place is None or self._doubt:
            return
        with suppress(StageError):
            for _ in range(_BRAKING):
                reading = self._observe()
                if self._rest.since_ns is not None and self._rest.target_um is None:
                    if not (self._uncertain or self._silence):
                        place.leave(reading.z_um)
                    return
                if not self._rest.stopped:
                    return  # it is under way, and stopped by its minder
                time.sleep(self._poll_s)

    # ---- the contract ----------------------------------------------------------------------------

    def status(self) -> StageStatus:
        """Not older than two polls; LinkLost when the controller does not answer."""
        with self._changed:
            self._check_heard()
            if self._stale():
                self._look()
            return self._status()

    def _stale(self) -> bool:
        """The newest reading is older than two polls: who asks had no turn."""
        return time.monotonic_ns() - self._answered_ns > 2e9 * self._poll_s

    def _check_heard(self) -> None:
        if self._trouble is not None:
            raise self._trouble
        if self._silence:
            raise StageSilent(self._silence)

    def _status(self) -> StageStatus:
        reading = self._newest
        assert reading is not None
        moving = reading.moving or self._rest.target_um is not None
        settled_ns = None if moving else self._settled_ns()
        middle_ns = (self._asked_ns + self._answered_ns) // 2
        return StageStatus(reading.z_um, moving, settled_ns, self._latched(reading), middle_ns)

    def _latched(self, reading: Reading) -> str | None:
        doubt = f"{UNREFERENCED}: {self._doubt}" if self._doubt else None
        return reading.latched or (UNREFERENCED if self._unreferenced else doubt)

    def _settled_ns(self) -> int | None:
        """When it settled: first seen at rest plus settle_ms, so late rather than early."""
        if not self._rest.since_ns:
            return self._rest.since_ns
        settled_ns = self._rest.since_ns + self._settle_ns
        return settled_ns if settled_ns <= self._answered_ns else None

    def z_at(self, time_ns: int) -> ZAt:
        """Position at a moment since the axis settled; StageRefused("no-history") otherwise."""
        if time_ns > time.monotonic_ns():
            raise StageRefused("no-history", "that moment is still to come")
        with self._changed:
            if time_ns > self._asked_ns:
                self._check_heard()
                self._look()
            settled_ns = self._status().settled_ns
            if settled_ns is None or time_ns < settled_ns:
                why = "this controller cannot tell where the axis was before it settled"
                raise StageRefused("no-history", why)
            return ZAt(self._rest.z_um, self.resolution_um / 2 + self._still_um)

    def move_to(self, target_um: float, assumed_um: float) -> int:
        for name, value in (("target_um", target_um), ("assumed_um", assumed_um)):
            if not math.isfinite(value):
                raise StageRefused("NOT_FINITE", f"{name} = {value}")
        if not self.z_min_um <= target_um <= self.z_max_um:
            window = f"{self.z_min_um:g}..{self.z_max_um:g} um"
            raise StageRefused("WINDOW", f"target {target_um:.3f} um is outside {window}")
        with self._changed:
            if self._uncertain:
                raise StageUncertain(self._uncertain)
            self._check_heard()
            self._check_start(target_um, assumed_um)
            self._send(target_um)
            return self._moves

    def _check_start(self, target_um: float, assumed_um: float) -> None:
        reading = self._look()
        detail = f"to {target_um:.3f} um; the axis is at {reading.z_um:.3f} um"
        latched = self._latched(reading)
        if latched is not None:
            raise StageRefused("LATCHED", f"{detail}, {latched}")
        if reading.moving or self._rest.target_um is not None:
            raise StageRefused("BUSY", detail)
        if not abs(reading.z_um - assumed_um) <= self._tolerance_um:
            raise StageRefused("ASSUMED_DIFFERS", f"{detail}, not at {assumed_um:.3f} um")

    def _send(self, target_um: float) -> None:
        leg_um = self._legs.begin(self._rest.z_um, target_um, time.monotonic_ns())
        if self._place is not None:
            self._place.strike()
        self._send_leg(leg_um, goes_on=False)
        self._moves += 1

    def _look(self) -> Reading:
        """As WatchedStage; and the next leg of a long move is sent, where one is due."""
        try:
            reading = super()._look()
        except StageError:
            self._legs.drop()
            raise
        leg_um = self._legs.note(self._rest, reading, time.monotonic_ns())
        if leg_um is not None:
            target_um = self._legs.target_um if self._legs.target_um is not None else leg_um
            try:
                self._send_leg(leg_um, goes_on=True)
            except StageRefused as refused:
                self._rest.fell_short(reading, target_um, str(refused))
            except StageError as error:
                self._trouble = self._trouble or error
                raise
        return reading

    def _send_leg(self, leg_um: float, goes_on: bool) -> None:
        try:
            # from beyond the window, which a hand may lead to, every leg ends inside it
            self._send_part(min(max(leg_um, self.z_min_um), self.z_max_um), goes_on)
        except StageError:
            self._legs.drop()
            raise

    def _send_part(self, target_um: float, goes_on: bool) -> None:
        rested_ns, start_um = self._rest.since_ns, self._rest.z_um
        self._rest.begin(target_um, time.monotonic_ns())
        self._origin.begin()
        try:
            self._before_a_move(goes_on)
            self._go(target_um)
        except StageRefused as refused:
            self._check_nothing_moved(start_um, refused)
            self._rest.withdraw(rested_ns)
            raise
        except StageError as error:
            self._uncertain = f"the move to {target_um:.3f} um was never confirmed: {error}"
            if isinstance(error, LinkLost) and not isinstance(error, Unanswered):
                self._trouble = error
                raise
            raise StageUncertain(self._uncertain) from error

    def _check_nothing_moved(self, start_um: float, refused: StageRefused) -> None:
        """A damaged `taken` reads as a refusal: believe it only while the axis rests."""
        reading = self._observe()
        if reading.moving or not abs(reading.z_um - start_um) <= self._still_um:
            self._uncertain = f"refused, and yet the axis moved: {refused}"
            raise StageUncertain(self._uncertain) from refused

    def wait(self, timeout_s: float) -> StageStatus:
        """As the contract says; StageUncertain too when the move ended elsewhere unasked.

        Time is not up while the newest reading is stale: on a busy computer it is the asking that
        is late, not the axis. Then we look ourselves, and once more after what settling takes.
        """
        deadline, own_looks = time.monotonic() + timeout_s, 2
        with self._changed:
            while True:
                self._check_heard()
                status = self._status()
                if status.settled_ns is not None:
                    if self._rest.ended_short:
                        raise StageUncertain(self._rest.ended_short)
                    return status
                left_s = deadline - time.monotonic()
                if left_s > 0:
                    self._changed.wait(left_s)
                    continue
                if not (own_looks and self._stale()):
                    raise StageUncertain(f"still not done after {timeout_s:g} s")
                own_looks -= 1
                self._look()
                if self._rest.since_ns:
                    settles_s = self._settle_ns / 1e9 + 2 * self._poll_s
                    deadline = time.monotonic() + settles_s

    def stop(self) -> None:
        """Waits for the question under way: one answer, three tries on a silent line.

        PI and GRBL need not wait: theirs is a byte that acts wherever it comes. On a lost link it
        is tried all the same: the way out may still be whole.
        """
        with suppress(StageError):
            self._halt_at_once()
        with self._changed:
            self._legs.drop()
            self._rest.stop()
            self._ask_once(False)  # a stop is worth three tries
            if self._trouble is not None:
                with suppress(StageError):
                    self._halt()
                raise self._trouble
            self._halt()
            try:
                self._look()
            except StageSilent as silent:
                raise LinkLost(f"nobody says that the axis has stopped: {silent}") from silent

    def clear(self) -> None:
        with self._changed:
            self._check_heard()
            if self._unreferenced:
                raise StageRefused(
                    UNREFERENCED,
                    f"{self._unreferenced}: reference the axis, or say `referenced: true` under "
                    "stage.options when its positions are those that the window means",
                )
            self._clear()
            self._doubt = ""  # a person has looked
            self._look()

    def close(self) -> None:
        self._closing.set()
        self._legs.drop()  # at once: it need not wait for a turn
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2.0)
        with self._changed:
            self._leave()
            self._hang_up()
            if self._trouble is None:
                self._trouble = LinkLost("the stage is closed")
