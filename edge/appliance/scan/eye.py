"""What a pipeline asks of a real instrument: the slide, Z, the loop's own step, and their guards.

A field is looked at by one step of the loop (edge.loop.step), so that whatever may happen to a
frame, a move or an engine ends here as it does there. Z goes to where the map expects focus by the
guard, never farther down than one step below where focus was measured last; what a frame corrects
is sent by the controller's plan for exactly that frame. The slide leaves while the last frame is
measured, where the pipeline says so.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge.appliance.scan.gates import Departing, FreshFrames, Gate, Kept, Parts
from edge.camera import Frame
from edge.decide.decision import Move, Shutdown
from edge.errors import CameraLost, CameraStalled, MoveRefused, MoveUncertain
from edge.loop import LATCHED, MAX_STALLS, UNCERTAIN, Outcome, focus_field, step
from edge.measure.aggregate import FocusEstimate, Reason
from edge.measure.sensor import Measurement
from edge.rig import Rig
from edge.state import State, at_rest
from edge.wsi.path import Field
from edge.wsi.pipelines import Seen
from edge.wsi.route import Cell
from edge.wsi.walk import SIDES
from edge.wsi.xy_guard import XYGuard
from firmware_bridge.xy_stage import XYStage

MOST_FRAMES = 20  # that say nothing, at one look
EDGE = 2 / 9  # of a field's width: what reaches into this may go on beyond it
_RATE_WAIT_S, _RATE_TRIES = 0.1, 20


@dataclass(frozen=True, slots=True)
class EyeSettings:
    """`correct_um`: what a frame shows is corrected above it; `max_step_um`: Z goes no farther
    below the last measured focus than this; `near_um`: ways up to it are begun while a frame is
    measured; `upright`: a picture's rows and columns go along Y and X, so that its edges tell where
    a specimen goes on; `by_hand`: a person vouches for Z where no move has proven its sign;
    `wait_s`: for any move."""

    correct_um: float
    max_step_um: float
    near_um: float
    upright: bool = False
    by_hand: bool = False
    wait_s: float = 10.0


class InstrumentEye:
    """An edge.wsi.pipelines.Eye. `kept` is the frame of the last look. Errors of cameras, stages
    and guards pass through: then the rig is shut down, and what was recorded stays."""

    def __init__(
        self,
        rig: Rig,
        xy: XYStage,
        guard: XYGuard,
        settings: EyeSettings,
        offset_um: Callable[[Field], float] = lambda field: 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`offset_um`: what is called sharp in this field, above the plane where it is sharpest."""
        self.kept: Kept | None = None
        self._rig, self._xy, self._guard, self._settings = rig, xy, guard, settings
        self._offset_um, self._sleep = offset_um, sleep
        self._gate = Gate(rig.controller, settings.correct_um)
        self._frames = FreshFrames(rig.camera)
        self._depart = Departing(rig.sensor, self._leave)
        self._parts = Parts(rig, self._frames, self._depart, self._gate)
        self._at: Field | None = None
        self._sent_to: Field | None = None
        self._then: Field | None = None
        self._focus_um = rig.stage.status().z_um  # a person brought it here, or a frame told

    def one_shot(self, field: Field, z_um: float, then: Field | None = None) -> Seen:
        """See Eye. Until a move has shown that the sign is right, each look is the loop's own way,
        which verifies its moves and takes them back, and Z goes nowhere that no frame told."""
        if not self._proven:
            return self.search(field, z_um)
        self._go(field, z_um)
        self._gate.open, self._then = then is None, then
        outcome = self._step()
        return self._seen(field, outcome)

    def search(self, field: Field, z_um: float) -> Seen:
        """See Eye: the loop's own way, until nothing more is to be moved."""
        self._go(field, z_um)
        self._gate.open, self._gate.least_um, self._then = True, 0.0, None
        try:
            outcomes = focus_field(self._parts)
        finally:
            self._gate.least_um = self._settings.correct_um
        self._ended(outcomes[-1])
        return self._seen(field, outcomes[-1])

    def take(self, field: Field, z_um: float, then: Field | None = None) -> float:
        """See Eye."""
        self._go(field, z_um)
        self._then = then
        frame = self._frame()
        self._leave()
        z_um, offset_um = self._rig.stage.z_at(frame.exposure_mid_ns).z_um, self._offset_um(field)
        self.kept = Kept(field, frame, z_um, offset_um)
        return z_um - offset_um

    def trust(self, focus_um: float) -> None:
        """Focus was measured there, by other means than this eye's."""
        self._focus_um = focus_um

    # ---- the way there ---------------------------------------------------------------------------

    def _go(self, field: Field, z_um: float) -> None:
        stage, wait_s = self._rig.stage, self._settings.wait_s
        if not math.isfinite(z_um):
            raise MoveRefused("outside-window", f"Z to {z_um} um")
        offset_um = self._offset_um(field)
        self._rig.state.follow(tracking=True)  # whatever the last field showed: the map knows
        if field is not self._at:
            self._gate.new_field()
            self._depart.offset_um = offset_um
            if self._sent_to is not field:
                if self._sent_to is not None:
                    self._xy.wait(wait_s)  # it was sent elsewhere
                self._guard.send(field.x_um, field.y_um)
            self._at, self._sent_to = field, None
        elif self._sent_to is not None:  # it left, and must come back
            self._xy.wait(wait_s)
            self._guard.send(field.x_um, field.y_um)
            self._sent_to = None
        here = stage.wait(wait_s)
        if self._proven and abs(z_um + offset_um - here.z_um) > self._tolerance_um:
            self._z_to(z_um + offset_um)
        there = self._xy.wait(wait_s)
        settled = stage.wait(wait_s)
        since = [at.settled_ns for at in (there, settled)]
        if None in since:
            raise MoveUncertain("the stage does not say that it rests")
        settle_ns = round(self._rig.guard.limits.settle_ms * 1e6)
        self._frames.not_before_ns = max(s + settle_ns if s else 0 for s in since if s is not None)

    @property
    def _proven(self) -> bool:
        """Whether a move did what was predicted since the rig was built."""
        told = getattr(self._rig.controller, "sign_confirmed", False)
        return bool(told) or self._settings.by_hand

    @property
    def _tolerance_um(self) -> float:
        """A correction by the controller may differ a little from what the pipeline makes of it."""
        return max(2 * self._rig.stage.resolution_um, 0.1) * (not self._settings.by_hand)

    def _z_to(self, target_um: float) -> None:
        """By the guard; not far below what was measured, whatever a map says."""
        limits = self._rig.guard.limits
        if limits.focus_direction not in (1, -1):
            raise MoveRefused("sign-unknown", "stage.focus_direction is not calibrated")
        below_um = limits.focus_direction * (self._focus_um - target_um)
        if not below_um <= self._settings.max_step_um:
            detail = f"{below_um:.1f} um below the last measured focus"
            raise MoveRefused("below-focus", f"{detail}, at most {self._settings.max_step_um:g}")
        for _ in range(_RATE_TRIES):
            try:
                self._rig.guard.send_by_hand(target_um)
                return
            except MoveRefused as refused:
                if refused.reason != "rate":
                    raise
                self._sleep(_RATE_WAIT_S)
        raise MoveRefused("rate", "Z may not move so often")

    def _leave(self) -> None:
        """A frame was exposed here: the slide may go on."""
        then, self._then, at = self._then, None, self._at
        if then is None or at is None:
            return
        way_um = max(abs(then.x_um - at.x_um), abs(then.y_um - at.y_um))
        if way_um <= self._settings.near_um:
            self._rig.state.follow(tracking=True)
            self._guard.send(then.x_um, then.y_um)
            self._sent_to = then

    def _frame(self) -> Frame:
        """One that nobody measures; the loop counts time-outs where it does."""
        for _ in range(MAX_STALLS - 1):
            try:
                return self._frames.next(self._rig.stall_s)
            except CameraLost:
                raise
            except CameraStalled:
                continue
        return self._frames.next(self._rig.stall_s)

    # ---- one look --------------------------------------------------------------------------------

    def _step(self) -> Outcome:
        for _ in range(MOST_FRAMES):
            outcome = step(self._parts)
            self._ended(outcome)
            if outcome.measurement is not None:
                return outcome
        raise CameraStalled(f"{MOST_FRAMES} frames in a row said nothing: {outcome.reason}")

    def _ended(self, outcome: Outcome) -> None:
        """Raise what shut the rig down: 3, 5 or 4 as exit status, as `sparsefocus run` has it."""
        rig = self._rig
        if rig.state.value is not State.SHUTDOWN:
            return
        reason = rig.state.reason
        if isinstance(outcome.plan, Shutdown) or outcome.reason.startswith(LATCHED):
            raise MoveRefused("shut down", reason)
        if outcome.reason.startswith(UNCERTAIN) or not at_rest(rig.stage):
            raise MoveUncertain(reason)
        raise CameraStalled(reason)

    def _seen(self, field: Field, outcome: Outcome) -> Seen:
        frame, measured = self._frames.last, outcome.measurement
        if frame is None or measured is None:
            raise CameraStalled(outcome.reason)
        z_um = self._rig.stage.z_at(frame.exposure_mid_ns).z_um
        estimate, offset_um = measured.estimate, self._offset_um(field)
        self.kept = Kept(field, frame, z_um, offset_um, measured)
        patches = _patches(measured)
        toward = self._toward(measured) if self._settings.upright and patches else None
        place = {"time_ns": frame.exposure_mid_ns, "z_um": z_um - offset_um, "toward": toward}
        back = isinstance(outcome.plan, Move) and outcome.plan.reason.startswith("roll-back")
        interval_um = outcome.interval_um
        if not isinstance(estimate, FocusEstimate) or interval_um is None or back:
            return Seen(patches, None, math.inf, **place)  # type: ignore[arg-type]
        focus_um = z_um + estimate.defocus_um  # the offset is in it
        self._focus_um = focus_um
        return Seen(patches, focus_um - offset_um, interval_um, **place)  # type: ignore[arg-type]

    def _toward(self, measured: Measurement) -> frozenset[Cell]:
        """The sides to whose edge patches with content reach."""
        there = measured.ranked.scores > self._rig.config.loop.classes.threshold
        return sides_reached(there)


def sides_reached(there: np.typing.NDArray[np.bool_]) -> frozenset[Cell]:
    """Of (rows, columns) patches with content: on which sides the outer ones are among them."""
    part = [max(1, round(EDGE * n)) for n in there.shape]
    ends = [{-1: slice(0, p), 0: slice(None), 1: slice(-p, None)} for p in part]
    return frozenset(side for side in SIDES if there[ends[0][side[0]], ends[1][side[1]]].any())


def _patches(measured: Measurement) -> int | None:
    """How many hold content; None where the frame could not be judged."""
    estimate = measured.estimate
    unknown = (Reason.TOO_DARK, Reason.NOT_FINITE)
    if not isinstance(estimate, FocusEstimate) and estimate.reason in unknown:
        return None
    return len(measured.ranked.cells)
