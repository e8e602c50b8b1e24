"""Focus is followed while the slide moves: feed-forward, blank stretches, a wrong sign."""

import dataclasses
import math

import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.decide.decision import Decision, Hold, InFocus, Shutdown
from edge.decide.tracking import SteadyScan, TrackingController, TrackingSettings
from edge.errors import MoveRefused
from edge.guard import Guard, TrackingLimits
from edge.measure.aggregate import Reason
from edge.state import RunState
from edge.wsi.focus_map import Anchor, FocusMap
from edge.wsi.map_line import MapLine
from firmware_bridge.errors import StageRefused
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


@pytest.mark.parametrize("slope", [3.0, -3.0])
@pytest.mark.parametrize("latency_ms", [10.0, 20.0])
def test_feed_forward_keeps_a_tilted_slide_in_focus(slope, latency_ms):
    with_it, without = (Scan(tilted(slope), latency_ms, feed_forward=on) for on in (True, False))
    with_it.run()
    without.run()
    assert with_it.share() >= 0.95
    assert without.share() < 0.5
    # what is lost without it: the rise between the exposure and the next one
    assert np.median(np.abs(without.errors[6:])) > 0.8


def test_relief_and_steps_are_followed():
    def surface(x):
        relief = 0.5 * math.sin(2 * math.pi * x / 9000.0)
        return 200.0 + 3.0 * x / 1e3 + relief + (1.5 if x > 15_000 else 0.0)

    scan = Scan(surface)
    assert scan.run() is None
    assert scan.share() >= 0.95


def test_a_blank_stretch_is_crossed_by_the_surface_and_held_when_it_is_too_long():
    scan = Scan(tilted(3.0), blank=[(8_000, 9_000), (20_000, 30_000)])
    assert scan.run() is None
    short = [d for n, d in enumerate(scan.decisions, 1) if 8_000 <= n * 314.6 < 9_000]
    assert set(short) == {Decision.PREDICT}
    long = [d for n, d in enumerate(scan.decisions, 1) if 20_000 <= n * 314.6 < 30_000]
    assert long[0] is Decision.PREDICT
    assert long[-1] is Decision.HOLD
    assert Decision.PREDICT not in long[long.index(Decision.HOLD) :]
    assert abs(scan.errors[-1]) < 0.6  # and found again behind it


def test_before_anything_was_seen_a_blank_field_is_held():
    scan = Scan(tilted(3.0), blank=[(0, 3_000)])
    for number in range(1, 9):
        assert isinstance(scan.frame(number), Hold)
    assert scan.stage.moves == []


@pytest.mark.parametrize("start_um", [-8.0, -3.0, 0.3, 2.0, 12.0])
@pytest.mark.parametrize("slope", [0.0, 3.0])
@pytest.mark.parametrize("feed_forward", [True, False])
def test_a_wrong_sign_ends_in_a_shutdown_close_by(start_um, slope, feed_forward):
    scan = Scan(tilted(slope), sign=-1, feed_forward=feed_forward, noise_um=0.03)
    scan.stage._path = [(0, 200.0 - start_um, 200.0 - start_um)]
    ended = scan.run()
    assert isinstance(ended, Shutdown)
    assert "sign" in ended.reason
    assert max(map(abs, scan.errors)) <= 4 * abs(start_um) + 13.0
    assert scan.control.strikes == 2


def test_the_right_sign_is_never_taken_for_a_wrong_one():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        steps = np.cumsum(rng.choice((0.0, 2.0, -2.0), 40, p=(0.8, 0.1, 0.1)))

        def surface(x, steps=steps):
            return 200.0 + 2.0 * x / 1e3 + steps[min(int(max(x, 0) // 1000), 39)]

        scan = Scan(surface, noise_um=0.15, seed=seed)
        assert scan.run() is None, seed


def test_another_line_begins_anew_but_strikes_stay():
    scan = Scan(tilted(3.0))
    scan.run(20)
    scan.control.strikes = 1
    scan.control.new_field()
    assert not scan.control.surface.known
    assert scan.control.strikes == 1
    scan.control.restart()
    assert scan.control.strikes == 0


def test_near_enough_is_left_alone():
    scan = Scan(tilted(0.0), noise_um=0.0)
    assert isinstance(scan.frame(1), InFocus)
    assert scan.stage.moves == []


@pytest.mark.parametrize("interval_um", [1.6, math.nan, math.inf])
def test_an_uncertain_reading_moves_nothing_by_itself(interval_um):
    scan = Scan(tilted(0.0))
    mid = scan.clock()
    plan = scan.control.plan(estimate(3.0, interval_um, mid, mid), scan.stage)
    assert isinstance(plan, Hold)
    assert not scan.control.surface.known


def test_a_position_that_is_not_known_moves_nothing():
    scan = Scan(tilted(0.0))
    mid = scan.clock()
    scan.stage.uncertainty_um = 2.0
    plan = scan.control.plan(estimate(3.0, 0.2, mid, mid), scan.stage)
    assert plan == Hold("position-uncertain")
    scan.stage.fail_z = StageRefused("no-history", "x")
    assert scan.control.plan(estimate(3.0, 0.2, mid, mid), scan.stage) == Hold("no-history")


def seen(scan, number, d, interval=0.2):
    """Shown a defocus at rest, `number` periods after the start; the clock is right behind it."""
    mid = scan.start_ns + round(number * PERIOD_MS * MS)
    scan.clock.now_ns = mid + round(12.0 * MS)
    return scan.control.plan(estimate(d, interval, mid, mid), scan.stage)


@pytest.mark.parametrize(("judge_um", "strikes"), [(2.1, 0), (1.9, 1)])
def test_ways_shorter_than_judge_um_prove_nothing(judge_um, strikes):
    scan = Scan(tilted(0.0), judge_um=judge_um)
    seen(scan, 1, 4.0)
    scan.stage._path.append((scan.clock(), 200.0, 202.0))
    seen(scan, 2, 10.0)  # 2 um up, and 6 um farther from focus
    assert scan.control.strikes == strikes


def test_a_change_within_the_noise_is_no_strike():
    scan = Scan(tilted(0.0))
    seen(scan, 1, 1.0, interval=1.4)
    scan.stage._path.append((scan.clock(), 200.0, 201.0))
    seen(scan, 2, 3.5, interval=1.4)
    assert scan.control.strikes == 0


def test_a_blank_field_is_crossed_only_while_the_surface_is_known_so_well():
    def blank(predict_um):
        scan = Scan(tilted(3.0), predict_um=predict_um, noise_um=0.0)
        for number in range(1, 9):
            scan.frame(number)
        mid = scan.start_ns + round(9 * PERIOD_MS * MS)
        scan.clock.now_ns = mid + round(12.0 * MS)
        known_um = scan.control.surface.at(scan.control._next_x_um(mid)).interval_um
        return scan.control.plan(no_focus(Reason.BLANK, mid, mid), scan.stage), known_um

    _, known_um = blank(0.6)
    assert blank(known_um * 1.001)[0].decision is Decision.PREDICT
    assert blank(known_um * 0.999)[0] == Hold("blank, and the surface is not known")


def test_a_slope_that_is_not_known_yet_is_not_followed():
    scan = Scan(tilted(0.0), max_interval_um=0.3, deadband_um=0.0)
    seen(scan, 1, 1.0, interval=0.25)
    plan = seen(scan, 2, 2.0, interval=0.25)
    assert plan.target_um == pytest.approx(202.0)  # where focus was read, not where it may go
    bold = Scan(tilted(0.0), max_interval_um=1.5, deadband_um=0.0)
    seen(bold, 1, 1.0, interval=0.25)
    assert seen(bold, 2, 2.0, interval=0.25).target_um > 202.5


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


@pytest.mark.parametrize("gap", [1, 2, 3, 4, 6, 8, 12])
@pytest.mark.parametrize("slope", [-3.0, 0.0, 3.0])
@pytest.mark.parametrize("start_um", [-6.0, 6.0, 0.4])
def test_a_wrong_sign_is_found_out_however_few_frames_come(gap, slope, start_um):
    """What a pair of readings far apart leaves to the tilt, the next ones do not."""
    scan = begun_off(start_um, tilted(slope), sign=-1, noise_um=0.15)
    ended = with_gaps(scan, gap)
    assert isinstance(ended, Shutdown)
    assert "sign" in ended.reason
    assert len(scan.stage.moves) <= 6  # of 5 um; what the slide rises meanwhile is its own
    assert max(abs(z - scan.stage.moves[0]) for z in scan.stage.moves) <= 25.0


@pytest.mark.parametrize("seed", range(12))
def test_a_wrong_sign_is_found_out_while_frames_come_as_they_may(seed):
    draw = np.random.default_rng(seed)
    scan = begun_off(draw.uniform(-8, 8), tilted(draw.uniform(-3, 3)), sign=-1,
                     noise_um=0.15, latency_ms=draw.uniform(8, 25), seed=seed)  # fmt: skip
    number = 0
    while number < 200:
        number += int(draw.choice([1, 1, 2, 3, 5, 8]))
        plan = scan.frame(number)
        if isinstance(plan, Shutdown):
            break
    assert isinstance(plan, Shutdown)
    assert len(scan.stage.moves) <= 6


@pytest.mark.parametrize("seed", range(16))
def test_the_right_sign_is_not_taken_for_a_wrong_one_where_frames_are_missed(seed):
    draw = np.random.default_rng(seed)
    steps = np.cumsum(draw.choice((0.0, 1.0, -1.0, 2.0, -2.0), 90, p=(0.8, 0.05, 0.05, 0.05, 0.05)))
    slope, start = draw.uniform(-3, 3), draw.uniform(-8, 8)

    def surface(x):
        relief = 0.8 * math.sin(2 * math.pi * x / 8000.0)
        return 200.0 + slope * x / 1e3 + relief + steps[min(int(max(x, 0) // 1000), 89)]

    scan = begun_off(start, surface, noise_um=0.15, seed=seed)
    assert with_gaps(scan, int(draw.choice([1, 2, 3, 4])), jitter=1) is None
    assert scan.control.strikes <= 1


def test_a_motor_too_slow_to_judge_by_a_pair_of_frames_is_judged_by_many():
    """Each way is shorter than `judge_um`."""
    scan = begun_off(4.0, tilted(0.0), sign=-1, noise_um=0.1, max_step_um=0.4)
    ended = scan.run(200)
    assert isinstance(ended, Shutdown)
    assert max(map(abs, scan.errors)) < 13.0


@pytest.mark.parametrize("gap", [1, 3])
def test_a_glass_that_does_not_follow_is_shut_down(gap):
    scan = begun_off(-6.0, tilted(0.0), noise_um=0.1)
    scan.glass_um = lambda time_ns: 194.0
    ended = with_gaps(scan, gap)
    assert isinstance(ended, Shutdown)
    assert "the glass does not follow" in ended.reason
    assert max(abs(z - 194.0) for z in scan.stage.moves) < 25.0


def test_away_from_focus_twice_is_not_followed_by_a_third_before_it_was_seen_at_rest():
    scan = Scan(tilted(0.0), noise_um=0.0)
    moved = 0.0
    for number, (z_um, d) in enumerate([(200.0, 3.0), (202.0, 4.0), (204.0, 5.0)], 1):
        scan.stage._path.append((scan.clock(), z_um, z_um))
        plan = seen(scan, 8 * number, d, interval=1.0)
        moved += plan.decision is Decision.MOVE
    assert moved == 2
    assert plan.reason.startswith("unproven")
    # the same frame once more is no look at rest
    assert seen(scan, 24, 5.0, interval=1.0).decision is not Decision.MOVE
    assert seen(scan, 25, 5.0, interval=1.0).decision is Decision.MOVE


def test_what_is_seen_outside_the_range_is_not_crossed_by_the_surface():
    scan = Scan(tilted(3.0))
    scan.run(12)
    before = len(scan.stage.moves)
    mid = scan.start_ns + round(13 * PERIOD_MS * MS)
    scan.clock.now_ns = mid + round(12.0 * MS)
    far = no_focus(Reason.OUTSIDE_RANGE, mid, mid, d=28.0, interval=0.2)
    assert scan.control.plan(far, scan.stage) == Hold("outside-range")
    assert scan.control.plan(estimate(15.0, 2.0, mid, mid), scan.stage) == Hold("uncertain")
    assert scan.control.plan(estimate(0.5, 2.0, mid, mid), scan.stage).decision in (
        Decision.PREDICT, Decision.IN_FOCUS,
    )  # fmt: skip
    assert len(scan.stage.moves) == before


def test_the_surface_may_be_a_map_of_the_slide():
    """A line and a map are two answers to one question. Over a blank stretch with a hill in it the
    line goes straight on; the map knows the hill from the lines beside it."""

    def hill(x):
        return 200.0 + 3.0 * math.exp(-(((x - 6000.0) / 1500.0) ** 2))

    worst = []
    for mapped in (False, True):
        scan = Scan(hill, blank=((4500.0, 7500.0),))
        if mapped:
            focus_map = FocusMap()
            for x in range(-1000, 12_000, 400):
                for y in (-250, 250):
                    focus_map.add(Anchor(x, y, hill(x), 0.2, 0))
            surface = MapLine(focus_map, 0.0, scan.clock)
            scan.control = TrackingController(scan.control._settings, scan, scan.clock, surface)
        for number in range(25):
            scan.frame(number)
        worst.append(max(np.abs(scan.errors)))
        assert not scan.control.strikes
    assert worst[1] < 0.6 < 1.0 < worst[0]
