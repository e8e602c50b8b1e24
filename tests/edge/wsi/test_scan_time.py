"""The time of a scan is arithmetic, and the arithmetic is this."""

from __future__ import annotations

import math
from functools import cache

import pytest

from edge.wsi.grid import Grid
from edge.wsi.path import ScanPlan, plan_at, plan_scan
from edge.wsi.regions import Box, Polygon
from edge.wsi.scan_time import AxisMotion, Continuous, StopAndGo, fastest_um_s, remaining_s

WINDOW = Box(-30_000, -30_000, 30_000, 30_000)
AXIS = AxisMotion(20_000.0, 200_000.0)


@cache
def slide(rows: int = 24, columns: int = 20) -> ScanPlan:
    grid = Grid(832.32, 696.32, 0.1)
    x, y = (columns - 1) * grid.pitch_x_um, (rows - 1) * grid.pitch_y_um
    return plan_scan([Polygon(((0, 0), (x, 0), (x, y), (0, y)))], grid, WINDOW)


def test_a_way_with_and_without_full_speed() -> None:
    axis = AxisMotion(1000.0, 10_000.0)  # 0.1 s and 50 um to full speed
    assert axis.seconds(0) == 0
    assert axis.seconds(100) == pytest.approx(0.2)  # just reached
    assert axis.seconds(-100) == axis.seconds(100)
    assert axis.seconds(1100) == pytest.approx(1.2)
    assert axis.seconds(25) == pytest.approx(0.1)  # v = 500 at half way


def test_stop_and_go_is_the_sum_of_its_parts() -> None:
    plan = slide()
    pace = StopAndGo(AXIS, AXIS, settle_s=0.03, focus_s=0.05, exposure_s=0.01)
    steps = pace.steps_s(plan)
    x_s, y_s = AXIS.seconds(plan.grid.pitch_x_um), AXIS.seconds(plan.grid.pitch_y_um)
    assert len(steps) == 480
    assert sum(steps) == pytest.approx(480 * 0.09 + 456 * x_s + 23 * y_s)
    assert 72 <= sum(steps) <= 120  # 0.15 to 0.25 s a field


def test_the_slower_axis_of_a_slanting_way_counts() -> None:
    pace = StopAndGo(AXIS, AxisMotion(100.0, 1e6), 0, 0, 0)
    plan = plan_at([(0, 0), (1000, 500)], Grid(10, 10), WINDOW)
    assert pace.steps_s(plan) == pytest.approx((0, 5.0), abs=1e-3)


def test_a_slide_in_continuous_motion_takes_40_s_at_11_mm_s() -> None:
    """24 lines of 15 mm at 11 mm/s and turns of 0.3 s."""
    pace = Continuous(AxisMotion(11_000.0, 110_000.0), AXIS, 11_000.0, settle_s=0.1)
    plan = slide()
    lines = plan.lines()
    assert pace.turn_s(lines[0], lines[1]) == pytest.approx(0.3)
    line_s = 20 * plan.grid.pitch_x_um / 11_000
    assert sum(pace.steps_s(plan)) == pytest.approx(24 * line_s + 23 * 0.3 + 0.1)
    assert sum(pace.steps_s(plan)) == pytest.approx(40, abs=1.0)


def test_a_line_that_begins_elsewhere_costs_its_way() -> None:
    pace = Continuous(AXIS, AXIS, 11_000.0, 0.1)
    grid = Grid(832.32, 696.32, 0.1)
    far = plan_at([(0, 0), (15_000, 0)], grid, WINDOW).lines()
    assert pace.turn_s(far[0], far[1]) == pytest.approx(0.11 + AXIS.seconds(15_000) + 0.1)


def test_speed_is_bounded_by_frames_and_by_smear() -> None:
    assert fastest_um_s(749, 35, 0.34, 1e-6, 1.0) == pytest.approx(26_215)
    assert fastest_um_s(749, 35, 0.34, 15e-6, 0.5) == pytest.approx(11_333, rel=1e-3)
    assert fastest_um_s(749, 35, 0.34, 1e-3, 0.5) == pytest.approx(170)  # no flash: stop and go
    with pytest.raises(ValueError, match="speed"):
        Continuous(AXIS, AXIS, 20_001.0, 0.1)


def test_the_rest_is_scaled_by_what_was_measured() -> None:
    steps = (0.2,) * 100
    assert remaining_s(steps, 0, 0.0) == pytest.approx(20.0)
    assert remaining_s(steps, 50, 10.0) == pytest.approx(10.0)
    assert 18.5 < remaining_s(steps, 50, 20.0) < 20.0  # twice as slow: nearly twice the rest
    assert remaining_s(steps, 1, 2.0) < 50  # one slow field promises no hours
    assert remaining_s(steps, 100, 55.0) == 0
    assert remaining_s((), 0, 0.0) == 0


@pytest.mark.parametrize(("done", "elapsed"), [(-1, 1.0), (3, 1.0), (1, math.nan), (1, -1.0)])
def test_what_cannot_have_happened(done: int, elapsed: float) -> None:
    with pytest.raises(ValueError, match="fields in"):
        remaining_s((0.1, 0.1), done, elapsed)


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (math.nan, 1), (1, math.inf)])
def test_an_axis_moves(numbers: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="does not move"):
        AxisMotion(*numbers)
