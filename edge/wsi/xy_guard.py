"""The last word on every move of the slide. It refuses and never clamps; NaN fails each comparison.

An objective a few hundred um above glass is as easily driven into something sideways as from
above: a slide's edge, a label, a clamp. So the slide moves only while Z is known and at rest;
before a long way, and before the objective leaves the specimen, Z goes up; and a frame that was
smeared corrects no focus.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from edge.errors import MoveRefused, MoveUncertain
from edge.wsi.regions import Box
from firmware_bridge.errors import StageError, StageRefused, StageSilent
from firmware_bridge.stage import Stage, StageStatus
from firmware_bridge.xy_stage import Trigger, XYStage, XYStatus

T = TypeVar("T")
Z_SLACK_UM = 0.5  # how far short of the travel height a retracted objective may rest


@dataclass(frozen=True, slots=True)
class XYLimits:
    """What no move of the slide may exceed; none of it has a default that is dangerous.

    `window`: where the stage may stand; `travel_z_um`: height of Z for long ways; `up`: +1 where a
    rising z raises the objective, -1 where it lowers it, anything else = not known: refuse;
    `near_um`: ways up to this (about two fields) are gone without going up; `max_smear_um`: way of
    the slide within an exposure that may correct Z; `z_wait_s`: for Z to come up.
    """

    window: Box
    travel_z_um: float
    up: int | None
    near_um: float
    max_smear_um: float
    z_wait_s: float = 5.0


class XYGuard:
    """Checks a move of the slide against limits, state, Z and the stage, then sends it.

    `retract` moves Z to a height through the guard of Z (edge.guard.Guard.send_by_hand); it is not
    believed: Z is asked afterwards. `specimen` tells whether a place lies on the specimen.
    """

    def __init__(
        self,
        limits: XYLimits,
        xy: XYStage,
        z: Stage,
        may_move: Callable[[], bool],
        retract: Callable[[float], object],
        specimen: Callable[[float, float], bool],
    ) -> None:
        self.limits = limits
        self.refused: Counter[str] = Counter()
        self.moves = 0
        self._xy, self._z = xy, z
        self._may_move, self._retract, self._specimen = may_move, retract, specimen

    def send(self, x_um: float, y_um: float) -> int:
        """Send the slide to a place; the number of the move.

        MoveRefused (the slide did not move) or MoveUncertain (find its position again first).
        """
        try:
            self._check_window(x_um, y_um)
            here = self._check_may_go()
            travel_um = max(abs(x_um - here.x_um), abs(y_um - here.y_um))
            near = travel_um <= self.limits.near_um  # not for NaN
            on = self._specimen(here.x_um, here.y_um) and self._specimen(x_um, y_um)
            if not (near and on):
                self._go_up()
            return self._make(lambda: self._xy.move_to(x_um, y_um, assumed=(here.x_um, here.y_um)))
        except MoveRefused as refused:
            self.refused[refused.reason] += 1
            raise

    def sweep(self, x_um: float, speed_um_s: float, trigger: Trigger | None) -> int:
        """Send the slide along a line of the specimen, Z following focus; the number of the move.

        Refused unless all places of the line that are `near_um` apart lie on the specimen, but for
        its run-up and its end. MoveRefused and MoveUncertain as `send`.
        """
        try:
            here = self._check_may_go()
            self._check_window(x_um, here.y_um)
            start_um, end_um = (trigger.start_um, trigger.end_um) if trigger else (here.x_um, x_um)
            if not all(map(math.isfinite, (start_um, end_um))):
                raise MoveRefused("outside-window", f"a line from {start_um} to {end_um} um")
            steps = math.ceil(abs(end_um - start_um) / self.limits.near_um) or 1
            for n in range(steps + 1):
                place_um = start_um + (end_um - start_um) * n / steps
                if not self._specimen(place_um, here.y_um):
                    detail = f"the line leaves the specimen at ({place_um:.0f}, {here.y_um:.0f}) um"
                    raise MoveRefused("off-specimen", detail)
            run_um = max(abs(start_um - here.x_um), abs(x_um - end_um))
            if not run_um <= self.limits.near_um:
                raise MoveRefused("run-up", f"{run_um:.0f} um beside the line are too far")
            assumed = (here.x_um, here.y_um)
            return self._make(lambda: self._xy.sweep(x_um, speed_um_s, assumed, trigger))
        except MoveRefused as refused:
            self.refused[refused.reason] += 1
            raise

    def check_sharp(self, exposure_start_ns: int, exposure_end_ns: int) -> None:
        """MoveRefused("smeared") for a frame in which the slide moved too far to correct Z by it,
        or of which nobody knows how far: call it before a frame may move Z."""
        try:
            start, end = (
                self._ask(lambda when=when: self._xy.xy_at(when))  # type: ignore[misc]
                for when in (exposure_start_ns, exposure_end_ns)
            )
            travel_um = math.hypot(end.x_um - start.x_um, end.y_um - start.y_um)
            travel_um += start.uncertainty_um + end.uncertainty_um
            if not travel_um <= self.limits.max_smear_um:
                detail = f"the slide moved {travel_um:.2f} um within the exposure"
                raise MoveRefused("smeared", detail)
        except MoveRefused as refused:
            self.refused[refused.reason] += 1
            raise

    def _check_window(self, x_um: float, y_um: float) -> None:
        if not self.limits.window.holds(x_um, y_um):  # NaN lands here too
            raise MoveRefused("outside-window", f"({x_um:.1f}, {y_um:.1f}) um is outside")

    def _check_may_go(self) -> XYStatus:
        """State, Z and the stage itself; where it stands."""
        if not self._may_move():
            raise MoveRefused("state", "the runtime may not move anything")
        self._check_z(self._z_status())
        here = self._ask(self._xy.status)
        if here.latched is not None:
            raise MoveRefused("latched", f"the stage refuses to move: {here.latched}")
        if here.moving or here.settled_ns is None:
            raise MoveRefused("moving", "the slide is moving or settling")
        if not (math.isfinite(here.x_um) and math.isfinite(here.y_um)):
            raise MoveRefused("position-unknown", f"the slide is at ({here.x_um}, {here.y_um})")
        return here

    def _z_status(self) -> StageStatus:
        """Z that does not answer is uncertain, whatever the reason: the slide stays."""
        try:
            return self._z.status()
        except (StageError, OSError) as error:
            raise MoveRefused("z-uncertain", str(error)) from error

    @staticmethod
    def _check_z(status: StageStatus) -> None:
        if status.latched is not None:
            raise MoveRefused("z-latched", f"Z refuses to move: {status.latched}")
        if status.moving or status.settled_ns is None:
            raise MoveRefused("z-moving", "Z is moving or settling")
        if not math.isfinite(status.z_um):
            raise MoveRefused("z-uncertain", f"Z is at {status.z_um}")

    def _go_up(self) -> None:
        """Raise the objective to the travel height, unless it is there; then ask whether it is."""
        if self.limits.up not in (1, -1):
            raise MoveRefused("sign-unknown", "nobody knows which way raises the objective")
        if self._is_up(self._z_status()):
            return
        self._retract(self.limits.travel_z_um)  # refused or uncertain: passed on as it is
        try:
            status = self._z.wait(self.limits.z_wait_s)
        except StageRefused as refused:
            raise MoveRefused("z-uncertain", str(refused)) from refused
        except (StageError, OSError) as error:
            raise MoveUncertain(f"Z did not come up: {error}") from error
        self._check_z(status)
        if not self._is_up(status):
            detail = f"Z is at {status.z_um:.1f} um, not up at {self.limits.travel_z_um:g}"
            raise MoveRefused("z-not-up", detail)

    def _is_up(self, status: StageStatus) -> bool:
        above_um = (self.limits.up or 0) * (status.z_um - self.limits.travel_z_um)
        return above_um >= -Z_SLACK_UM

    def _make(self, move: Callable[[], int]) -> int:
        """The only line of the runtime that moves the slide."""
        number = self._ask(move)
        self.moves += 1
        if not self._may_move():  # a shutdown passed between the check and the move
            self._ask(self._xy.stop)
            raise MoveUncertain("shut down while the slide was being sent")
        return number

    @staticmethod
    def _ask(call: Callable[[], T]) -> T:
        """Refused is refused, anything else is uncertain."""
        try:
            return call()
        except StageRefused as refused:
            raise MoveRefused(refused.reason, str(refused)) from refused
        except StageSilent as silent:  # it rested when it fell silent, and nothing was sent
            raise MoveRefused("stage-silent", str(silent)) from silent
        except (StageError, OSError) as error:
            raise MoveUncertain(str(error)) from error
