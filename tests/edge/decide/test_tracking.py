"""Focus is followed while the slide moves: feed-forward, blank stretches, a map of the slide."""

import math

import numpy as np
import pytest

from edge.decide.decision import Decision, Hold, InFocus
from edge.decide.tracking import TrackingController
from edge.measure.aggregate import Reason
from edge.wsi.focus_map import Anchor, FocusMap
from edge.wsi.map_line import MapLine
from firmware_bridge.errors import StageRefused
from tests.support.fake_microscope import MS, estimate, no_focus
from tests.support.scan_line import PERIOD_MS, Scan, read_at_rest, tilted


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
    read_at_rest(scan, 1, 1.0, interval=0.25)
    plan = read_at_rest(scan, 2, 2.0, interval=0.25)
    assert plan.target_um == pytest.approx(202.0)  # where focus was read, not where it may go
    bold = Scan(tilted(0.0), max_interval_um=1.5, deadband_um=0.0)
    read_at_rest(bold, 1, 1.0, interval=0.25)
    assert read_at_rest(bold, 2, 2.0, interval=0.25).target_um > 202.5


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
