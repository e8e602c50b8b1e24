"""A thread that asks a controller where it is, and what its answers are worth.

It finds the moment of rest, a hand on the knob, a controller that counts from elsewhere, and a
line that is silent or dead. A controller that falls silent at rest is asked on: it may be busy for
a second. It is believed again when it is the same one, set up as before, where it was.
"""

from __future__ import annotations

import math
import threading
import time
from abc import abstractmethod
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from firmware_bridge.errors import LinkLost, StageError, StageRefused, StageSilent, StageUncertain
from firmware_bridge.stage import Identity, Stage
from firmware_bridge.stages.conversation import Unanswered
from firmware_bridge.stages.legs import Legs
from firmware_bridge.stages.motion_options import MotionOptions
from firmware_bridge.stages.origin import STRAY_UM, Origin
from firmware_bridge.stages.rest_detector import Reading, RestDetector

UNREFERENCED = "UNREFERENCED"  # what its positions count from is not known
_LOOKS = 4  # at a position that cannot be: damage rarely says the same twice


class WatchedStage(Stage):
    """The life of a stage that is asked. The driver opens its line, then calls `_begin`."""

    identity: Identity

    def __init__(
        self, *, z_min_um: float, z_max_um: float, stop_first: bool = False, **motion: Any
    ) -> None:
        """`motion`: the fields of MotionOptions; `stop_first`: stop before the first question.

        StageRefused("CONFIG") for bad ones.
        """
        options = MotionOptions(**motion)
        options.check(z_min_um, z_max_um)
        self.z_min_um, self.z_max_um = float(z_min_um), float(z_max_um)
        self._stop_first, self._vouched = stop_first, options.referenced
        self._settle_ns = round(options.settle_ms * 1e6)
        self._poll_s = max(options.poll_ms, 1.0) / 1e3
        self._tolerance_um, self._still_um = options.assumed_tolerance_um, options.still_um
        self._opened = False  # who answers and where it was is known
        self._changed = threading.Condition(threading.RLock())  # guards the line and all below
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._polling = False
        self._trouble: StageError | None = None
        self._silence = ""  # since when it does not answer, at rest; "" = it does
        self._restarted = ""  # how the controller was heard to restart
        self._lost = ""  # why its positions are worth nothing any more
        self._unreferenced = ""  # why nobody can say what they count from
        self._line_name = ""  # of the port, where it has one that stays
        self._uncertain = ""  # why no further move may be sent before reconnect()
        self._newest: Reading | None = None
        self._asked_ns = self._answered_ns = 0  # of the newest reading
        self._rest = RestDetector(options.still_um, options.arrival_um)
        self._origin = Origin(options.still_um, 0.0)
        self._legs = Legs(3 * max(options.arrival_um, options.still_um), whole=not options.legs)

    # ---- what a driver adds; all called with the lock held ---------------------------------------

    @abstractmethod
    def _identify(self) -> Identity:
        """Ask what the controller is; StageRefused("CONFIG") when it is not set up as needed."""

    @abstractmethod
    def _read(self) -> Reading:
        """Ask the controller. LinkLost (Unanswered) when it does not answer."""

    @abstractmethod
    def _halt(self) -> None:
        """Decelerate now."""

    def _halt_at_once(self) -> None:
        """A stop that needs no turn on the line; called without the lock. Most have none."""

    def _hang_up(self) -> None:
        """Close the line; safe to call twice."""

    def _ask_once(self, once: bool) -> None:
        """While it is silent: a question is asked once only, so that nobody waits for long."""

    # ---- the life of a stage ---------------------------------------------------------------------

    def _begin(self) -> None:
        """Ask the controller who it is, read where it is, start asking. Closes on error.

        StageRefused("CONFIG", "WINDOW") when what it says does not fit the config.
        """
        try:
            with self._changed:
                if self._stop_first:  # whatever the questions end in, the axis does not go on
                    with suppress(StageRefused, Unanswered):
                        self._halt_at_once()
                        self._halt()
                self.identity = identity = self._ask_identity()
                if not 0 < identity.resolution_um < 1000:
                    raise StageRefused("CONFIG", f"{identity.resolution_um} um is no resolution")
                self.resolution_um = identity.resolution_um
                if identity.travel_um is not None:
                    self._check_travel(*identity.travel_um)
                self._origin = Origin(self._still_um, identity.resolution_um / 2, self._poll_s)
                at_zero = abs(self._observe().z_um) <= identity.resolution_um / 2
                self._unreferenced = self._doubt_of_origin(identity, at_zero)
                self._opened = True
        except StageError:
            self.close()
            raise
        self._start_polling()

    def _doubt_of_origin(self, identity: Identity, at_zero: bool) -> str:
        """Why nobody can say what its positions count from; "" = a controller or a person can."""
        if self._vouched or identity.referenced:
            return ""
        if identity.referenced is False:
            return "the controller says that it has not been referenced"
        return "it is at exactly 0, as after power-up" if at_zero else ""

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
        """After StageUncertain: read on the same line where the axis is, and go on from there.

        StageUncertain when its positions are worth nothing, or another controller answers: a
        person looks, references the axis and opens it again.
        """
        with self._changed:
            if self._lost:
                raise StageUncertain(self._lost)
            silent, self._trouble = self._silence, None
            self._fall_silent("")
            try:
                self._observe()
                self._check_same()
            except StageError as error:
                self._trouble = None if silent else error
                raise
            self._uncertain, self._rest.target_um = "", None
            self._legs.drop()
            if not self._polling and not self._closing.is_set():
                self._start_polling()

    def _poll(self) -> None:
        while not self._closing.wait(self._poll_s):
            with self._changed:
                if self._trouble is not None or self._closing.is_set():
                    self._polling = False
                    return
                with suppress(StageError):  # the next call raises it
                    self._look()
                self._changed.notify_all()

    def _look(self) -> Reading:
        """Observe; what goes wrong, whatever it is, is kept for the next call to raise."""
        try:
            return self._observe()
        except StageSilent:
            raise
        except StageError as error:
            self._trouble = error
            raise
        except Exception as error:
            self._trouble = StageUncertain(f"the driver cannot go on: {error!r}")
            raise self._trouble from error

    # ---- what an answer is worth -----------------------------------------------------------------

    def _observe(self) -> Reading:
        """A fresh reading, and what it says about rest and origin."""
        if self._trouble is not None:
            raise self._trouble
        asked_ns = time.monotonic_ns()
        try:
            reading = self._believable(asked_ns)
        except Unanswered as error:
            if not self._known_at_rest():
                raise
            self._fall_silent(str(error))
            raise StageSilent(self._silence) from error
        now_ns = time.monotonic_ns()
        self._check_origin(reading, asked_ns)
        self._newest, self._asked_ns, self._answered_ns = reading, asked_ns, now_ns
        self._origin.note(reading, now_ns, self._rest.target_um)
        self._rest.note(reading, now_ns)
        return reading

    def _known_at_rest(self) -> bool:
        rest = self._rest
        at_rest = rest.since_ns is not None and rest.target_um is None
        return self._newest is not None and at_rest and not self._uncertain

    def _believable(self, asked_ns: int) -> Reading:
        """One damaged digit is no hand on the knob: what surprises is asked again."""
        reading = self._read()
        for _ in range(_LOOKS):
            if not math.isfinite(reading.z_um):
                raise LinkLost(f"the controller's position is {reading.z_um}")
            if not self._surprises(reading, asked_ns):
                break
            before, reading = reading, self._read()
            same_um = STRAY_UM if before.moving or reading.moving else self._still_um
            if abs(reading.z_um - before.z_um) <= same_um:
                break
        if self._silence:
            self._check_back(reading)
        return reading

    def _surprises(self, reading: Reading, now_ns: int) -> bool:
        target_um = self._rest.target_um
        return bool(
            self._rest.contradicts(reading)
            or self._origin.lost(reading, now_ns, target_um)
            or self._origin.strayed(reading, target_um)
        )

    def _check_origin(self, reading: Reading, now_ns: int) -> None:
        target_um = self._rest.target_um
        self._lost = self._lost or self._restarted or self._origin.lost(reading, now_ns, target_um)
        if self._lost:
            self._trouble = (LinkLost if self._restarted else StageUncertain)(self._lost)
            raise self._trouble
        strayed = self._origin.strayed(reading, target_um)
        if strayed:
            self._uncertain = strayed
            raise StageUncertain(strayed)

    def _fall_silent(self, why: str) -> None:
        self._silence = self._silence or why if why else ""
        self._ask_once(bool(self._silence))

    def _check_back(self, reading: Reading) -> None:
        """It answers again: the same controller, where it was? Nothing may have moved it."""
        self._check_same()
        if reading.moving or not abs(reading.z_um - self._rest.z_um) <= self._still_um:
            self._lost = (
                f"after a silence at {self._rest.z_um:.3f} um it answers from "
                f"{reading.z_um:.3f} um: find the origin again"
            )
        self._fall_silent("")

    def _check_same(self) -> None:
        """Ask again who it is; its settings are then again those that were found at first."""
        for _ in range(_LOOKS):  # a damaged name is no other controller
            try:
                now = self._ask_identity()
            except StageRefused as refused:
                reason = f"it answers again, and is not set up as it was: {refused}"
                continue
            if now == self.identity:
                return
            reason = (
                f"another controller answers, or in another state: {_other(self.identity, now)}"
            )
        self._lost = reason
        self._trouble = StageUncertain(reason)
        raise self._trouble

    def _ask_identity(self) -> Identity:
        return replace(self._identify(), port=self._line_name)


def _other(before: Identity, now: Identity) -> str:
    """What is another, in words."""
    names = [field.name for field in fields(Identity)]
    pairs = [(name, getattr(before, name), getattr(now, name)) for name in names]
    return ", ".join(f"{name} {new!r} instead of {old!r}" for name, old, new in pairs if old != new)
