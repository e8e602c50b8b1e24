"""A microscope of plain numbers behind the real contracts: a clock that is advanced by hand, a
stage with travel time and history, a camera whose frames are looked up instead of measured."""

import math
from dataclasses import dataclass, field, replace

import numpy as np

from edge.camera import Camera, Frame, PixelFormat
from edge.decide.controller import Controller, ControllerSettings
from edge.decide.decision import Move
from edge.errors import CameraStalled
from edge.guard import Guard, GuardLimits
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Ranked, Sparsity
from edge.measure.sensor import Measurement
from edge.rig import Rig
from edge.state import RunState
from firmware_bridge.stage import Stage, StageStatus, ZAt

MS = 1_000_000
PIXELS = np.zeros((1, 1, 3), np.uint8)
NONE = np.zeros(0, np.float32)
RANKED = Ranked(np.zeros((9, 9), np.float32), Sparsity.SPARSE, 0, (), NONE)
PATCHES = PatchDefocus(NONE, NONE, NONE, (), Sparsity.SPARSE, True)


@dataclass
class Clock:
    now_ns: int = 1_000_000_000

    def __call__(self) -> int:
        return self.now_ns


@dataclass
class FakeStage(Stage):
    """Moves in `travel_ms`; `lost` is the part of each move that the glass does not make."""

    clock: Clock
    z_um: float = 0.0
    travel_ms: float = 20.0
    settle_ms: float = 10.0
    lost: float = 0.0
    z_min_um: float = -1000.0
    z_max_um: float = 1000.0
    resolution_um: float = 0.05
    latched: str | None = None
    fail: Exception | None = None  # raised by move_to
    fail_z: Exception | None = None  # raised by z_at
    fail_status: Exception | None = None
    uncertainty_um: float = 0.0
    drift_um_per_ms: float = 0.0  # z_at moves on while status() lags: z(now) is not z(exposure)
    moves: list = field(default_factory=list)
    stops: int = 0
    closed: int = 0

    def __post_init__(self):
        self._path = [(0, self.z_um, self.z_um)]  # (start_ns, from, to)
        self.glass_um = self.z_um

    def _reported(self, time_ns):
        start, a, b = next(p for p in reversed(self._path) if p[0] <= time_ns)
        part = min(1.0, (time_ns - start) / max(1.0, self.travel_ms * MS)) if start else 1.0
        return a + (b - a) * part

    def status(self):
        if self.fail_status:
            raise self.fail_status
        start = self._path[-1][0]
        done = start + (self.travel_ms + self.settle_ms) * MS if start else 0
        moving = self.clock() < done
        z = self._reported(self.clock()) + self.drift_um_per_ms * self.clock() / MS
        return StageStatus(z, moving, None if moving else int(done), self.latched, self.clock())

    def z_at(self, time_ns):
        if self.fail_z:
            raise self.fail_z
        return ZAt(
            self._reported(time_ns) + self.drift_um_per_ms * time_ns / MS, self.uncertainty_um
        )

    def move_to(self, target_um, assumed_um):
        if self.fail:
            raise self.fail
        here = self._reported(self.clock())
        self.glass_um += (target_um - here) * (1 - self.lost)
        self._path.append((self.clock(), here, target_um))
        self.moves.append(target_um)
        return len(self.moves)

    def wait(self, timeout_s):
        return self.status()

    def stop(self):
        self.stops += 1

    def clear(self):
        self.latched = None

    def close(self):
        self.closed += 1


@dataclass
class FakeCamera(Camera):
    """A frame every `period_ms`; the exposure takes 2 ms and ends 1 ms before the frame comes."""

    clock: Clock
    period_ms: float = 50.0
    stalls: int = 0  # this many time-outs before the next frame
    repeat: bool = False  # hand out the same frame again
    closed: int = 0

    def __post_init__(self):
        self._id = -1
        self.last = None

    def next(self, timeout_s):
        self.clock.now_ns += int(self.period_ms * MS)
        if self.stalls:
            self.stalls -= 1
            raise CameraStalled("no frame")
        if not (self.repeat and self.last):
            self._id += 1
            self.last = frame_at(self.clock.now_ns, self._id)
        return self.last

    def close(self):
        self.closed += 1


def frame_at(now_ns, frame_id=0, age_ms=1.0, exposure_ms=2.0):
    end = int(now_ns - age_ms * MS)
    return Frame(PIXELS, PixelFormat.RGB8, frame_id, int(end - exposure_ms * MS), end)


def estimate(d, interval=0.2, start_ns=0, mid_ns=0, k=9):
    return FocusEstimate(d, interval, k, Sparsity.SPARSE, start_ns, mid_ns, 0.1)


def no_focus(reason=Reason.BLANK, start_ns=0, mid_ns=0, d=math.nan, interval=math.nan):
    return NoFocus(reason, Sparsity.BLANK, start_ns, mid_ns, d, interval)


@dataclass
class Eye:
    """Stands in for the networks: defocus = sign * (focus - glass), seen through `see`."""

    stage: FakeStage
    focus_um: float = 0.0
    sign: int = 1  # -1: the stage is mounted upside down
    interval_um: float = 0.2
    saturate_um: float = 30.0
    range_um: float = 25.0
    noise: object = None  # callable -> um
    gain: float = 1.0  # um read for one um of defocus
    outside: str = ""  # what lies outside the training
    answer: object = None  # a fixed estimate, or a callable(frame)

    def __call__(self, frame):
        start, mid = frame.exposure_start_ns, frame.exposure_mid_ns
        if callable(self.answer):
            return self.answer(frame)
        if self.answer is not None:
            return self.answer
        d = self.focus_um - self.sign * self.stage.glass_um
        d = float(np.clip(d, -self.saturate_um, self.saturate_um))
        d = d * self.gain + (self.noise() if self.noise else 0.0)
        if abs(d) > self.range_um:
            return no_focus(Reason.OUTSIDE_RANGE, start, mid, d, self.interval_um)
        return replace(estimate(d, self.interval_um, start, mid), outside=self.outside)


SETTINGS = ControllerSettings(focus_direction=1, deadband_um=0.5, max_shots=10)
LIMITS = GuardLimits(-1000.0, 1000.0, 1, max_step_um=25.0, max_age_ms=100.0)


@dataclass(frozen=True)
class FakeMeasurer:
    """An edge.measure.sensor.Measurer whose answer is its eye's; the lap has every stage."""

    eye: Eye

    def measure(self, frame, lap):
        for name in ("preprocess", "rin", "select", "dpn", "plain_look"):
            lap(name, None)
        return Measurement(RANKED, PATCHES, lap("aggregate", self.eye(frame)))


def microscope(z_um=0.0, settings=SETTINGS, limits=LIMITS, **eye):
    """A rig on fakes and its eye."""
    clock = Clock()
    stage = FakeStage(clock, z_um=z_um)
    camera = FakeCamera(clock)
    eye = Eye(stage, **eye)
    state = RunState(stage.stop)
    rig = Rig(
        config=None,
        camera=camera,
        stage=stage,
        sensor=FakeMeasurer(eye),
        controller=Controller(settings),
        guard=Guard(limits, stage, state, clock),
        state=state,
        engines=(),
        stall_s=0.1,
        clock=clock,
    )
    state.ready()
    return rig, eye


def move(target=1.0, assumed=0.0):
    return Move(target, assumed, "test")


def fixed_answer(make, *args, **more):
    """The same answer to every frame."""
    return lambda f: make(
        *args, **more, start_ns=f.exposure_start_ns, mid_ns=f.exposure_mid_ns
    )  # fmt: skip
