"""The stage contract for controllers that tell where they are only when they are asked.

A thread asks every `poll_ms`: that finds the moment of rest, a hand on the knob and a dead line.
Such a controller cannot say where it was during an exposure. So `z_at` answers for moments at
which the axis had come to rest, and refuses ("no-history") for all others; the guard demands a
settled stage anyway. A driver adds only its wire: `_read`, `_go` and `_halt`.
"""

from __future__ import annotations

import math
import threading
import time
from abc import abstractmethod
from contextlib import suppress
from dataclasses import dataclass

from firmware_bridge.errors import LinkLost, StageError, StageRefused, StageUncertain
from firmware_bridge.stage import Stage, StageStatus, ZAt
from firmware_bridge.stages.conversation import Unanswered
from firmware_bridge.stages.motion_options import MotionOptions
from firmware_bridge.stages.rest import Reading, Rest


@dataclass(frozen=True, slots=True)
class Identity:
    """What a controller says of itself. `travel_um` None = it cannot tell its limits."""

    text: str
    resolution_um: float
    travel_um: tuple[float, float] | None


class PolledStage(Stage):
    """Safe to use from several threads. The driver opens its line, then calls `_begin`."""

    def __init__(self, *, z_min_um: float, z_max_um: float, **motion: float) -> None:
        """`motion`: the fields of MotionOptions. StageRefused("CONFIG") for bad ones."""
        options = MotionOptions(**motion)
        options.check(z_min_um, z_max_um)
        self.z_min_um, self.z_max_um = float(z_min_um), float(z_max_um)
        self._settle_ns = round(options.settle_ms * 1e6)
        self._poll_s = max(options.poll_ms, 1.0) / 1e3
        self._tolerance_um, self._still_um = options.assumed_tolerance_um, options.still_um
        self._changed = threading.Condition(threading.RLock())  # guards the line and all below
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._polling = False
        self._trouble: StageError | None = None
        self._uncertain = ""  # why no further move may be sent before reconnect()
        self._newest: Reading | None = None
        self._asked_ns = self._answered_ns = 0  # of the newest reading
        self._rest = Rest(options.still_um, options.arrival_um)
        self._moves = 0

    # ---- what a driver adds; all called with the lock held ---------------------------------------

    @abstractmethod
    def _identify(self) -> Identity:
        """Ask what the controller is; StageRefused("CONFIG") when it is not set up as needed."""

    @abstractmethod
    def _read(self) -> Reading:
        """Ask the controller. LinkLost (Unanswered) when it does not answer."""

    @abstractmethod
    def _go(self, target_um: float) -> None:
        """Send an absolute move and have it accepted; may be sent twice.

        StageRefused when the controller said no and nothing moved; LinkLost or Unanswered.
        """

    @abstractmethod
    def _halt(self) -> None:
        """Decelerate now."""

    def _halt_at_once(self) -> None:
        """A stop that needs no turn on the line; called without the lock. Most have none."""

    def _hang_up(self) -> None:
        """Close the line; safe to call twice."""

    def _clear(self) -> None:
        """Leave the controller's latch; the default has no command for it."""
        latched = self._observe().latched
        if latched is not None:
            raise StageRefused("LATCHED", f"{latched} must be cleared at the controller itself")

    # ---- the life of a stage ---------------------------------------------------------------------

    def _begin(self) -> None:
        """Ask the controller who it is, read where it is, start asking. Closes on error.

        StageRefused("CONFIG", "WINDOW") when what it says does not fit the config.
        """
        try:
            with self._changed:
                self.identity = identity = self._identify()
                if not 0 < identity.resolution_um < 1000:
                    raise StageRefused("CONFIG", f"{identity.resolution_um} um is no resolution")
                self.resolution_um = identity.resolution_um
                if identity.travel_um is not None:
                    self._check_travel(*identity.travel_um)
                self._observe()
        except StageError:
            self.close()
            raise
        self._start_polling()

    def _start_polling(self) -> None:
        self._polling = True
        self._thread = threading.Thread(target=self._poll, name="z-poll", daemon=True)
        self._thread.start()

    def _check_travel(self, low_um: float, high_um: float) -> None:
        if not low_um <= self.z_min_um < self.z_max_um <= high_um:
            window = f"the window {self.z_min_um:g}..{self.z_max_um:g} um"
            travel = f"the controller's travel {low_um:g}..{high_um:g} um"
            raise StageRefused("WINDOW", f"{window} is not inside {travel}")

    def reconnect(self) -> None:
        """After StageUncertain: read on the same line where the axis is, and go on from there."""
        with self._changed:
            self._trouble = None
            try:
                self._observe()
            except StageError as error:
                self._trouble = error
                raise
            self._uncertain, self._rest.target_um = "", None
            if not self._polling and not self._closing.is_set():
                self._start_polling()

    def _poll(self) -> None:
        while not self._closing.wait(self._poll_s):
            with self._changed:
                if self._trouble is not None or self._closing.is_set():
                    self._polling = False
                    return
                try:
                    self._observe()
                except StageError as error:
                    self._trouble = error
                self._changed.notify_all()

    def _observe(self) -> Reading:
        """A fresh reading, and what it says about rest."""
        if self._trouble is not None:
            raise self._trouble
        asked_ns = time.monotonic_ns()
        reading = self._read()
        if self._rest.contradicts(reading):
            reading = self._read()  # one damaged digit is no hand on the knob: ask twice
        now_ns = time.monotonic_ns()
        if not math.isfinite(reading.z_um):
            raise LinkLost(f"the controller's position is {reading.z_um}")
        self._newest, self._asked_ns, self._answered_ns = reading, asked_ns, now_ns
        self._rest.note(reading, now_ns)
        return reading

    # ---- the contract ----------------------------------------------------------------------------

    def status(self) -> StageStatus:
        """Not older than two polls; LinkLost when the controller does not answer."""
        with self._changed:
            if self._trouble is not None:
                raise self._trouble
            if time.monotonic_ns() - self._answered_ns > 2e9 * self._poll_s:
                self._observe()
            return self._status()

    def _status(self) -> StageStatus:
        reading = self._newest
        assert reading is not None
        moving = reading.moving or self._rest.target_um is not None
        settled_ns = None if moving else self._settled_ns()
        middle_ns = (self._asked_ns + self._answered_ns) // 2
        return StageStatus(reading.z_um, moving, settled_ns, reading.latched, middle_ns)

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
                self._observe()
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
            self._check_start(target_um, assumed_um)
            self._send(target_um)
            return self._moves

    def _check_start(self, target_um: float, assumed_um: float) -> None:
        reading = self._observe()
        detail = f"to {target_um:.3f} um; the axis is at {reading.z_um:.3f} um"
        if reading.latched is not None:
            raise StageRefused("LATCHED", f"{detail}, {reading.latched}")
        if reading.moving or self._rest.target_um is not None:
            raise StageRefused("BUSY", detail)
        if not abs(reading.z_um - assumed_um) <= self._tolerance_um:
            raise StageRefused("ASSUMED_DIFFERS", f"{detail}, not at {assumed_um:.3f} um")

    def _send(self, target_um: float) -> None:
        rested_ns, start_um = self._rest.since_ns, self._rest.z_um
        self._rest.begin(target_um, time.monotonic_ns())
        try:
            self._go(target_um)
        except StageRefused as refused:
            self._rest.withdraw(rested_ns)
            self._check_nothing_moved(start_um, refused)
            raise
        except StageError as error:
            self._uncertain = f"the move to {target_um:.3f} um was never confirmed: {error}"
            if isinstance(error, LinkLost) and not isinstance(error, Unanswered):
                self._trouble = error
                raise
            raise StageUncertain(self._uncertain) from error
        self._moves += 1

    def _check_nothing_moved(self, start_um: float, refused: StageRefused) -> None:
        """A damaged `taken` reads as a refusal: believe it only while the axis rests."""
        reading = self._observe()
        if reading.moving or not abs(reading.z_um - start_um) <= self._still_um:
            self._uncertain = f"refused, and yet the axis moved: {refused}"
            raise StageUncertain(self._uncertain) from refused

    def wait(self, timeout_s: float) -> StageStatus:
        """As the contract says; StageUncertain too when the move ended elsewhere unasked."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                if self._trouble is not None:
                    raise self._trouble
                status = self._status()
                if status.settled_ns is not None:
                    if self._rest.ended_short:
                        raise StageUncertain(self._rest.ended_short)
                    return status
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise StageUncertain(f"still not done after {timeout_s:g} s")
                self._changed.wait(left_s)

    def stop(self) -> None:
        """Waits for the question under way: one answer, three tries on a silent line.

        PI and GRBL need not wait: theirs is a byte that acts wherever it comes. On a lost link it
        is tried all the same: the way out may still be whole.
        """
        with suppress(StageError):
            self._halt_at_once()
        with self._changed:
            self._rest.stop()
            if self._trouble is not None:
                with suppress(StageError):
                    self._halt()
                raise self._trouble
            self._halt()
            self._observe()

    def clear(self) -> None:
        with self._changed:
            if self._trouble is not None:
                raise self._trouble
            self._clear()
            self._observe()

    def close(self) -> None:
        self._closing.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(2.0)
        with self._changed:
            self._hang_up()
            if self._trouble is None:
                self._trouble = LinkLost("the stage is closed")
