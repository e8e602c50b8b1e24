"""The loop: one frame in, at most one guarded move out. Read `step`.

Every way a frame can end becomes an Outcome: errors that leave the glass where it is are
reported, errors after which its position is unknown shut the rig down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.camera import Camera, Frame
from edge.decide.decision import Decision, Hold, LookAgain, Move, Plan, Shutdown
from edge.decide.reading_scale import Scale
from edge.errors import CameraStalled, ConfigError, EngineRejected, MoveRefused, MoveUncertain
from edge.guard import Guard
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus
from edge.measure.sensor import Measurement, Measurer, measure, second_look
from edge.state import RunState, halt
from firmware_bridge.errors import StageError, StageSilent, StageUncertain
from firmware_bridge.stage import Stage

SILENT = "stage-silent"  # how the reason begins while a stage at rest does not answer
LATE = "late"  # how the reason of a dropped result begins
UNCERTAIN = "the stage's position is uncertain"  # and that of a shutdown after a move like that
LATCHED = "latched"  # and that of a shutdown because the axis refuses every move
MAX_STALLS = 10  # in a row; then the camera is gone
#: frames in a row in `focus_field` that show nothing, are late or do not come: more end the field
NOTHING = 3
#: the guard's refusals of a frame, not of the move: the next frame's may be sent
IN_VAIN = ("stale", "moving", "unsettled", "rate")
MAX_UNSETTLED = 100  # frames in a row in `focus_field`: then the stage does not settle


class Proposer(Protocol):
    """Proposes moves: edge.decide.controller.Controller field by field,
    edge.decide.tracking.TrackingController while the slide moves."""

    def plan(self, estimate: FocusEstimate | NoFocus, stage: Stage) -> Plan:
        """Decide on one frame."""

    def sent(self, sent_ns: int) -> None:
        """The last proposal was sent."""

    def new_field(self) -> None:
        """Another field, or another scan line, lies under the objective."""

    @property
    def scale(self) -> Scale | None:
        """What a reading is worth, as far as the moves told; None where that is not followed."""


class Parts(Protocol):
    """What `step` needs of a rig (edge.rig.Rig is one)."""

    camera: Camera
    stage: Stage
    sensor: Measurer
    guard: Guard
    state: RunState
    stall_s: float
    stalls: int
    late_ms: float

    @property
    def controller(self) -> Proposer:
        """Who proposes moves."""

    @property
    def clock(self) -> Callable[[], int]:
        """Monotonic ns; the same as the camera's and the stage's."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one frame ended, and everything that decided it.

    `frame_id`, times and `measurement` are None when no frame came. `plan` is what the
    controller proposed, also when the guard refused it; `sent_ns` is when it was sent, None if
    it was not. `latency_ms` has preprocess, rin, select, dpn (on a GPU instead of these: gpu),
    plain_look, aggregate, plan, move and total, from the frame's arrival, as far as the frame got;
    second_look comes after the move and is in no total. `age_ms` is from mid-exposure to the move.
    `scale`: what a reading is worth, as known after this frame.
    """

    decision: Decision
    reason: str
    plan: Plan | None = None
    sent_ns: int | None = None
    measurement: Measurement | None = None
    frame_id: int | None = None
    exposure_start_ns: int | None = None
    exposure_end_ns: int | None = None
    latency_ms: Mapping[str, float] | None = None
    age_ms: float | None = None
    scale: Scale | None = None

    @property
    def estimate(self) -> FocusEstimate | NoFocus | None:
        """The estimate, the reason why there is none, or None when no frame was measured."""
        return self.measurement.estimate if self.measurement else None

    @property
    def interval_um(self) -> float | None:
        """Half-width of the 95 % interval with what the scale of the readings may be off; None
        without an estimate."""
        estimate = self.estimate
        if not isinstance(estimate, FocusEstimate):
            return None
        if self.scale is None:
            return estimate.interval_um
        return self.scale.interval_um(estimate.defocus_um, estimate.interval_um)

    @property
    def move(self) -> Move | None:
        """The move that was sent; None when nothing was."""
        return self.plan if isinstance(self.plan, Move) and self.sent_ns is not None else None

    @property
    def scores(self) -> npt.NDArray[np.float32] | None:
        """(9, 9) float32 importance, None when no frame was measured."""
        return self.measurement.ranked.scores if self.measurement else None


def step(rig: Parts) -> Outcome:
    """One frame. Never raises for what can happen in operation; see Outcome."""
    trace = _Trace(rig)
    try:
        trace.frame = frame = trace.arrived(rig.camera.next(timeout_s=rig.stall_s))
        trace.measured = measured = measure(rig.sensor, frame, trace.lap)
        late_ms = trace.lateness_ms()  # too old to act on, and a witness nevertheless
        trace.plan = plan = trace.lap("plan", rig.controller.plan(measured.estimate, rig.stage))
        if late_ms is not None and not isinstance(plan, Shutdown):
            rig.state.follow(tracking=False)
            return trace.end(Decision.HOLD, f"{LATE}: {late_ms:.0f} ms after the exposure")
        rig.state.follow(tracking=not isinstance(plan, Hold))
        trace.sent_ns = sent_ns = trace.lap("move", rig.guard.send(plan, frame))
        if sent_ns is not None:
            rig.controller.sent(sent_ns)
        trace.look_again(frame, measured)
    except MoveRefused as refused:
        if refused.reason.lower() == LATCHED:  # for good: only a person clears it
            return trace.end(Decision.SHUTDOWN, f"{LATCHED}: {refused.detail}")
        return trace.end(Decision.REFUSE, str(refused))
    except CameraStalled as stalled:
        return trace.stalled(str(stalled))
    except StageSilent as silent:  # at rest, and asked on: nothing was sent, it may come back
        rig.state.follow(tracking=False)
        return trace.end(Decision.HOLD, f"{SILENT}: {silent}")
    except (MoveUncertain, StageUncertain) as error:
        return trace.end(Decision.SHUTDOWN, f"{UNCERTAIN}: {error}")
    except (EngineRejected, ConfigError) as error:
        return trace.gone(str(error))
    except StageError as error:
        return trace.end(Decision.SHUTDOWN, str(error))
    return trace.end(plan.decision, plan.reason)


def focus_field(rig: Parts) -> list[Outcome]:
    """Step at one XY position until nothing more is to be moved; the outcomes, in order.

    Ends with IN_FOCUS, HOLD, REFUSE or SHUTDOWN; frames exposed before the stage settled, those
    that said nothing about the last move, and the first NOTHING that showed nothing or did not come
    in time, are left out. The number of moves is bounded by the controller's max_shots, its
    roll-backs, and the play of the drive.
    """
    rig.controller.new_field()
    field = FieldWatch()
    while not field.ended_by(step(rig)):
        pass
    return field.outcomes


class FieldWatch:
    """Says of one outcome after the other whether the field is done: `focus_field`, for whoever
    steps by himself."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []
        self._waited = self._nothing = 0

    def ended_by(self, outcome: Outcome) -> bool:
        """Whether nothing more is to be moved after this one."""
        again = outcome.reason == "unsettled" or isinstance(outcome.plan, LookAgain)
        self._waited += 1
        if again and self._waited < MAX_UNSETTLED:
            return False
        if _said_nothing(outcome) and not again and self._nothing < NOTHING:
            self._nothing += 1
            return False
        self.outcomes.append(outcome)
        self._waited = self._nothing = 0
        return outcome.move is None


def _said_nothing(outcome: Outcome) -> bool:
    """Whether the next frame may well tell more: no decision, but no frame in time, or no light."""
    if outcome.decision is Decision.REFUSE:
        return outcome.reason.startswith(IN_VAIN)
    if outcome.decision is not Decision.HOLD:
        return False
    return not (isinstance(outcome.plan, Hold) and outcome.plan.enough)


class _Trace:
    """What is known of the frame so far, so that every ending is reported alike."""

    def __init__(self, rig: Parts) -> None:
        self._rig = rig
        self.lap = Lap(rig.clock)
        self.frame: Frame | None = None
        self.measured: Measurement | None = None
        self.plan: Plan | None = None
        self.sent_ns: int | None = None
        self.done_ns: int | None = None

    def arrived(self, frame: Frame) -> Frame:
        self._rig.stalls = 0
        self.lap.restart()
        return frame

    def look_again(self, frame: Frame, measured: Measurement) -> None:
        """What may be asked of a frame once its move is on its way."""
        self.done_ns = self._rig.clock()
        self.measured = self.lap.after(
            "second_look", second_look(self._rig.sensor, frame, measured)
        )

    def lateness_ms(self) -> float | None:
        """How old the frame is when that is too old to act on (H8), else None."""
        assert self.frame is not None
        age_ms = (self._rig.clock() - self.frame.exposure_end_ns) / 1e6
        return None if age_ms <= self._rig.late_ms else age_ms

    def stalled(self, why: str) -> Outcome:
        self._rig.stalls += 1
        if self._rig.stalls >= MAX_STALLS:
            return self.gone(f"camera stalled {MAX_STALLS} times: {why}")
        self._rig.state.follow(tracking=False)
        return self.end(Decision.HOLD, f"camera-stalled: {why}")

    def gone(self, reason: str) -> Outcome:
        """Shut down because nothing more can be measured: an axis at rest stays as it is, without
        a latch, for whoever begins again."""
        halt(self._rig.state, self._rig.stage, reason)
        return self.end(Decision.SHUTDOWN, reason)

    def end(self, decision: Decision, reason: str) -> Outcome:
        if decision is Decision.SHUTDOWN:
            self._rig.state.shutdown(reason)
        if self.frame is None:
            return Outcome(decision, reason)
        return Outcome(
            decision,
            reason,
            self.plan,
            self.sent_ns,
            self.measured,
            self.frame.frame_id,
            self.frame.exposure_start_ns,
            self.frame.exposure_end_ns,
            self.lap.ms,
            ((self.done_ns or self._rig.clock()) - self.frame.exposure_mid_ns) / 1e6,
            self._rig.controller.scale,
        )
