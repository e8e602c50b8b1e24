"""What stands between the loop's step and a scan: which frames it sees, which moves it sends, and
that the slide may leave while a frame is measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge.camera import Camera, Frame
from edge.decide.decision import Hold, Move, Plan
from edge.decide.reading_scale import Scale
from edge.errors import CameraStalled
from edge.guard import Guard
from edge.latency import Lap
from edge.loop import Proposer
from edge.measure.aggregate import FocusEstimate, NoFocus
from edge.measure.focus_offset import with_offset
from edge.measure.sensor import Measurement, Measurer, second_look
from edge.rig import Rig
from edge.state import RunState
from edge.wsi.path import Field
from firmware_bridge.stage import Stage

MOST_EARLY = 20  # frames in a row that were exposed before everything had settled


@dataclass(frozen=True, slots=True)
class Kept:
    """A frame, where its field lies and where Z was; `offset_um`: how far above the sharpest plane
    this field is to be; `measured`: what the frame said, where it was asked."""

    field: Field
    frame: Frame
    z_um: float
    offset_um: float = 0.0
    measured: Measurement | None = None


class FreshFrames(Camera):
    """Frames exposed from `not_before_ns` on: the slide and Z had settled. `last`: the newest."""

    def __init__(self, camera: Camera) -> None:
        self._camera = camera
        self.not_before_ns = 0
        self.last: Frame | None = None

    def next(self, timeout_s: float) -> Frame:
        """See Camera.next."""
        for _ in range(MOST_EARLY):
            frame = self._camera.next(timeout_s)
            self.dropped = self._camera.dropped
            if frame.earliest_start_ns >= self.not_before_ns:
                self.last = frame
                return frame
        raise CameraStalled(f"{MOST_EARLY} frames in a row were exposed before the stage settled")

    def close(self) -> None:
        """See Camera."""
        self._camera.close()


class Gate:
    """The controller, whose moves pass only while `open`, and only above `least_um`."""

    def __init__(self, inner: Proposer, least_um: float) -> None:
        self.open, self.least_um = False, least_um
        self._inner = inner

    def plan(self, estimate: FocusEstimate | NoFocus, stage: Stage) -> Plan:
        """See Proposer. The controller hears every frame, also one that may move nothing."""
        plan = self._inner.plan(estimate, stage)
        if not isinstance(plan, Move):
            return plan
        far = abs(plan.target_um - plan.assumed_um) > self.least_um
        return plan if self.open and far else Hold("kept", enough=True)

    def sent(self, sent_ns: int) -> None:
        """See Proposer."""
        self._inner.sent(sent_ns)

    def new_field(self) -> None:
        """See Proposer."""
        self._inner.new_field()

    @property
    def scale(self) -> Scale | None:
        """See Proposer."""
        return self._inner.scale


class Departing:
    """A Measurer before which `leave` is called: the frame is here, the slide may go."""

    def __init__(self, inner: Measurer, leave: Callable[[], None]) -> None:
        self.offset_um = 0.0  # of this field, beside that of the instrument
        self._inner, self._leave = inner, leave

    def measure(self, frame: Frame, lap: Lap) -> Measurement:
        """See edge.measure.sensor.Measurer."""
        self._leave()
        return self._sensor().measure(frame, lap)

    def second_look(self, frame: Frame, measured: Measurement) -> Measurement:
        """See edge.measure.sensor.LooksAgain."""
        return second_look(self._sensor(), frame, measured)

    def _sensor(self) -> Measurer:
        if not self.offset_um:
            return self._inner
        given_um = getattr(self._inner, "offset_um", 0.0)
        return with_offset(self._inner, given_um + self.offset_um)


class Parts:
    """An edge.loop.Parts: the rig, seen through these."""

    def __init__(self, rig: Rig, camera: Camera, sensor: Measurer, controller: Proposer) -> None:
        self.camera, self.sensor, self.controller = camera, sensor, controller
        self.stage: Stage = rig.stage
        self.guard: Guard = rig.guard
        self.state: RunState = rig.state
        self.stall_s, self.late_ms, self.clock = rig.stall_s, rig.late_ms, rig.clock
        self.stalls = 0
