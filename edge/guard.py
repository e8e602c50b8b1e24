"""The last word on every move. It refuses and never clamps, and NaN fails every comparison.

Nothing else in the project may move the glass. The guard asks the stage itself and believes
neither the controller nor the camera; the firmware repeats the window and position checks.
"""

from __future__ import annotations

import math
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic_ns
from typing import TypeVar

from edge.camera import Frame
from edge.decide.decision import Move, Plan, Shutdown
from edge.errors import MoveRefused, MoveUncertain
from edge.settings import (
    MAX_BLUR_UM,
    MAX_MOVES_PER_S,
    MAX_UNCERTAINTY_UM,
    SETTLE_MS,
    Config,
    ScanSettings,
)
from edge.state import RunState
from firmware_bridge.errors import StageError, StageRefused, StageSilent
from firmware_bridge.stage import Stage, StageStatus

MAX_SLACK_UM = 0.5

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """What no move may exceed. The window and the direction have no default on purpose."""

    z_min_um: float
    z_max_um: float
    focus_direction: int | None  # +1 or -1; anything else means not calibrated: refuse
    max_step_um: float
    max_age_ms: float  # from the end of the exposure to the move; about two frame periods
    settle_ms: float = SETTLE_MS  # the exposure must start this long after the stage settled
    max_moves_per_s: int = MAX_MOVES_PER_S
    tracking: TrackingLimits | None = (
        None  # None = frames exposed while the stage moves are refused
    )


@dataclass(frozen=True, slots=True)
class TrackingLimits:
    """What makes a frame usable that was exposed while the stage moved: z must be known during all
    of the exposure and hardly change in it, and the moves must be small."""

    max_step_um: float
    max_blur_um: float = MAX_BLUR_UM  # way of the stage within the exposure
    max_uncertainty_um: float = MAX_UNCERTAINTY_UM  # of z at its start and end


def limits_of(config: Config) -> GuardLimits:
    """What no move of this instrument may exceed."""
    stage = config.stage
    return GuardLimits(
        z_min_um=stage.z_min_um,
        z_max_um=stage.z_max_um,
        focus_direction=stage.focus_direction,
        max_step_um=stage.max_step_um,
        max_age_ms=config.max_age_ms,
        settle_ms=stage.settle_ms,
        max_moves_per_s=stage.max_moves_per_s,
        tracking=None if config.scan is None else _tracking_limits(config.scan),
    )


def _tracking_limits(scan: ScanSettings) -> TrackingLimits:
    return TrackingLimits(scan.max_step_um, scan.max_blur_um, scan.max_uncertainty_um)


class Guard:
    """Checks a proposal against the limits, the frame, the stage and the state, then sends it."""

    def __init__(
        self,
        limits: GuardLimits,
        stage: Stage,
        state: RunState,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self.limits = limits
        self.refused: Counter[str] = Counter()
        self.moves = 0
        self._stage = stage
        self._state = state
        self._clock = clock
        self._held = ""
        self._newest_id: int | None = None
        self._last_sent_ns: int | None = None
        self._one_at_a_time = threading.Lock()  # the loop and a hand may ask at once
        self._recent_ns: deque[int] = deque(maxlen=max(1, limits.max_moves_per_s))

    @property
    def held(self) -> str:
        """Why every move is refused until `resume`; "" when none is for that reason."""
        return self._held

    def hold(self, reason: str) -> None:
        """Refuse every move until `resume`, whoever asks for it: something else needs the glass
        where it is. No move is being sent when this returns; one under way is not stopped."""
        with self._one_at_a_time:
            self._held = reason or "no reason was given"

    def resume(self) -> None:
        """End a hold."""
        with self._one_at_a_time:
            self._held = ""

    def send(self, plan: Plan, frame: Frame) -> int | None:
        """Send a Move; returns the time it was sent (monotonic ns), None for other plans.

        Call it once for every frame, whatever was planned: an axis that was latched is found out
        also while nothing is to be moved. Raises MoveRefused (nothing moved) or MoveUncertain (find
        the position again first).
        """
        newest, self._newest_id = self._newest_id, frame.frame_id
        if isinstance(plan, Shutdown):
            return None
        with self._one_at_a_time:
            try:
                if not isinstance(plan, Move):
                    self._check_not_latched(self._ask(self._stage.status))
                    return None
                self._check_order(frame, newest)
                now_ns = self._clock()
                self._check_state(now_ns)
                self._check_sign()
                self._check_frame(frame, now_ns)
                status = self._ask(self._stage.status)
                tracking = self.limits.tracking
                if tracking is None:
                    self._check_exposed_at_rest(frame, status)
                else:
                    self._check_not_latched(status)
                    self._check_exposed_while_tracking(frame, tracking)
                self._check_window(plan.target_um)
                self._check_step(plan, status, (tracking or self.limits).max_step_um)
                return self._make(plan.target_um, plan.assumed_um, now_ns)
            except MoveRefused as refused:
                self.refused[refused.reason] += 1
                raise

    def send_by_hand(self, target_um: float) -> int:
        """Send a move that a person, or a program of theirs, asks for; returns when it was sent.

        No frame speaks for it and none is needed: what a frame or the calibration would have to
        prove (age, step, sign) is not asked; window, rate, state and the stage are. Raises
        MoveRefused (nothing moved) or MoveUncertain.
        """
        with self._one_at_a_time:
            try:
                now_ns = self._clock()
                self._check_state(now_ns)
                self._check_window(target_um)
                status = self._ask(self._stage.status)
                self._check_stage(status)
                return self._make(target_um, status.z_um, now_ns)
            except MoveRefused as refused:
                self.refused[refused.reason] += 1
                raise

    def _make(self, target_um: float, assumed_um: float, now_ns: int) -> int:
        """Send it to the stage: the only line of the runtime that moves glass."""
        self._recent_ns.append(now_ns)
        self._ask(lambda: self._stage.move_to(target_um, assumed_um))
        self._last_sent_ns = self._clock()
        self.moves += 1
        self._check_nobody_stopped()
        return self._last_sent_ns

    def _check_order(self, frame: Frame, newest: int | None) -> None:
        if newest is not None and not frame.frame_id > newest:
            self._newest_id = newest  # the newest stays: an old frame opens no door for others
            raise MoveRefused("frame-order", f"frame {frame.frame_id} after frame {newest}")

    def _check_state(self, now_ns: int) -> None:
        if not self._state.may_move:
            raise MoveRefused("state", f"the runtime is {self._state.name}")
        if self._held:
            raise MoveRefused("held", self._held)
        recent = self._recent_ns
        if len(recent) == recent.maxlen and not now_ns - recent[0] >= 1_000_000_000:
            raise MoveRefused("rate", f"more than {recent.maxlen} moves in a second")

    def _check_sign(self) -> None:
        if self.limits.focus_direction not in (1, -1):
            raise MoveRefused("sign-unknown", "stage.focus_direction is not calibrated")

    def _check_frame(self, frame: Frame, now_ns: int) -> None:
        if not frame.exposure_start_ns <= frame.exposure_end_ns <= now_ns:
            raise MoveRefused("exposure-time", "the exposure lies in the future or is reversed")
        age_ms = (now_ns - frame.exposure_end_ns) / 1e6
        if not age_ms <= self.limits.max_age_ms:
            raise MoveRefused("stale", f"frame is {age_ms:.0f} ms old, {self.limits.max_age_ms:g}")

    def _check_exposed_at_rest(self, frame: Frame, status: StageStatus) -> None:
        if self._last_sent_ns is not None and not frame.earliest_start_ns >= self._last_sent_ns:
            raise MoveRefused("before-last-move", "exposed before the last move was sent")
        self._check_stage(status)
        self._check_settled(frame, status)

    def _check_exposed_while_tracking(self, frame: Frame, limits: TrackingLimits) -> None:
        """H2: z at exposure instead of rest. The stage is asked, whatever the controller knew."""
        start, end = (
            self._ask(partial(self._stage.z_at, when))
            for when in (frame.exposure_start_ns, frame.exposure_end_ns)
        )
        for at in (start, end):
            if not (math.isfinite(at.z_um) and at.uncertainty_um <= limits.max_uncertainty_um):
                raise MoveRefused(
                    "z-unknown",
                    f"z during the exposure is known to {at.uncertainty_um:.2f} um only",
                )
        travel_um = abs(end.z_um - start.z_um)
        if not travel_um <= limits.max_blur_um:
            raise MoveRefused("blurred", f"the stage moved {travel_um:.2f} um within the exposure")

    @staticmethod
    def _check_not_latched(status: StageStatus) -> None:
        if status.latched is not None:
            raise MoveRefused("latched", f"the stage refuses to move: {status.latched}")

    def _check_stage(self, status: StageStatus) -> None:
        self._check_not_latched(status)
        if status.moving or status.settled_ns is None:
            raise MoveRefused("moving", "the stage is moving or settling")

    def _check_settled(self, frame: Frame, status: StageStatus) -> None:
        assert status.settled_ns is not None
        since_ns = frame.earliest_start_ns - status.settled_ns
        if not since_ns >= self.limits.settle_ms * 1e6:
            raise MoveRefused("unsettled", f"exposed {since_ns / 1e6:.1f} ms after settling")

    def _check_window(self, target: float) -> None:
        limits = self.limits
        if not limits.z_min_um <= target <= limits.z_max_um:  # NaN lands here too
            raise MoveRefused(
                "outside-window",
                f"target {target:.2f} um is outside {limits.z_min_um:g}..{limits.z_max_um:g} um",
            )

    def _check_step(self, move: Move, status: StageStatus, max_step_um: float) -> None:
        target = move.target_um
        # A full step back starts where the stage came to rest, not exactly where it was sent.
        slack_um = min(2 * self._stage.resolution_um, MAX_SLACK_UM)
        for start_um in (status.z_um, move.assumed_um):
            if not abs(target - start_um) <= max_step_um + slack_um:
                raise MoveRefused(
                    "step", f"{target - start_um:+.2f} um is above {max_step_um:g} um"
                )

    def _check_nobody_stopped(self) -> None:
        """A shutdown from another thread may have passed between the check and the move."""
        if not self._state.may_move:
            self._ask(self._stage.stop)
            raise MoveUncertain("shut down while the move was being sent")

    @staticmethod
    def _ask(call: Callable[[], T]) -> T:
        """Call the stage and translate: refused is refused, anything else is uncertain."""
        try:
            return call()
        except StageRefused as refused:
            raise MoveRefused(refused.reason, refused.detail) from refused
        except StageSilent as silent:  # it rested when it fell silent, and nothing was sent
            raise MoveRefused("stage-silent", str(silent)) from silent
        except (StageError, OSError) as error:
            raise MoveUncertain(str(error)) from error
