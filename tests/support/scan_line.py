"""A line of fields on a slide of any shape, followed by a tracking controller on virtual time."""

import dataclasses

import numpy as np

from edge.camera import Frame, PixelFormat
from edge.decide.decision import Shutdown
from edge.decide.tracking import SteadyScan, TrackingController, TrackingSettings
from edge.errors import MoveRefused
from edge.guard import Guard, TrackingLimits
from edge.measure.aggregate import Reason
from edge.state import RunState
from tests.support.fake_microscope import LIMITS, MS, Clock, FakeStage, estimate, no_focus

SPEED_UM_S = 11_000.0
PERIOD_MS = 28.6
TRACKING = TrackingLimits(max_step_um=5.0)


class Scan:
    """A slide under a fake stage: every period a frame, `latency_ms` later its command."""

    def __init__(self, surface, latency_ms=12.0, sign=1, blank=(), noise_um=0.05, seed=0, **more):
        self.clock = Clock()
        self.surface, self.latency_ms, self.sign, self.blank = surface, latency_ms, sign, blank
        self.stage = FakeStage(self.clock, z_um=surface(0.0), travel_ms=14.0, settle_ms=5.0)
        state = RunState(self.stage.stop)
        state.ready()
        self.state = state
        limits = dataclasses.replace(LIMITS, tracking=TRACKING, max_moves_per_s=200)
        self.guard = Guard(limits, self.stage, state, self.clock)
        more = {"max_step_um": TRACKING.max_step_um, "lead_ms": 14.0, **more}
        settings = TrackingSettings(1, PERIOD_MS, **more)
        self.path = SteadyScan(SPEED_UM_S)
        self.start_ns = self.clock()
        self.control = TrackingController(settings, self, self.clock)
        self.rng, self.noise_um = np.random.default_rng(seed), noise_um
        self.errors, self.decisions, self.refused = [], [], 0

    def x_um(self, time_ns):
        return self.path.x_um(time_ns - self.start_ns)

    def glass_um(self, time_ns):
        """The true height: the stage's own, mirrored about the start where the sign is wrong."""
        z = self.stage.z_at(time_ns).z_um
        return z if self.sign == 1 else 2 * self.surface(0.0) - z

    def frame(self, number):
        """One frame to its command."""
        mid = self.start_ns + round(number * PERIOD_MS * MS)
        start, end = mid - 2 * MS, mid + 2 * MS
        self.clock.now_ns = end + round(self.latency_ms * MS)
        x = self.x_um(mid)
        error = self.surface(x) - self.glass_um(mid)
        self.errors.append(-error)
        reading = error + self.rng.normal(0, self.noise_um)
        if any(low <= x < high for low, high in self.blank):
            answer = no_focus(Reason.BLANK, start, mid)
        else:
            answer = estimate(reading, 0.2, start, mid)
        plan = self.control.plan(answer, self.stage)
        self.decisions.append(plan.decision)
        picture = np.zeros((1, 1, 3), np.uint8)
        try:
            sent = self.guard.send(plan, Frame(picture, PixelFormat.RGB8, number, start, end))
        except MoveRefused:
            self.refused += 1
            return plan
        if sent is not None:
            self.control.sent(sent)
        return plan

    def run(self, frames=120):
        for number in range(1, frames + 1):
            plan = self.frame(number)
            if isinstance(plan, Shutdown):
                return plan
        return None

    def share(self, limit_um=0.6, after=6):
        return float(np.mean(np.abs(self.errors[after:]) <= limit_um))


def tilted(slope_um_per_mm):
    return lambda x: 200.0 + slope_um_per_mm * x / 1e3


def read_at_rest(scan, number, d, interval=0.2):
    """Shown a defocus at rest, `number` periods after the start; the clock is right behind it."""
    mid = scan.start_ns + round(number * PERIOD_MS * MS)
    scan.clock.now_ns = mid + round(12.0 * MS)
    return scan.control.plan(estimate(d, interval, mid, mid), scan.stage)


def begun_off(start_um, surface, **more):
    """A scan whose stage begins `start_um` above focus; a wrong sign turns about z = 200."""
    scan = Scan(surface, **more)
    z_um = 200.0 + start_um * scan.sign
    scan.stage._path = [(0, z_um, z_um)]
    return scan


def with_gaps(scan, gap, frames=160, jitter=0):
    """Only every `gap`th frame comes (+- `jitter`); the shutdown, or None."""
    number, draw = 0, np.random.default_rng(7)
    while number < frames:
        number += max(1, gap + int(draw.integers(-jitter, jitter + 1)))
        plan = scan.frame(number)
        if isinstance(plan, Shutdown):
            return plan
    return None
