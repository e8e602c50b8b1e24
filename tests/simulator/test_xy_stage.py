"""The twin of an XY stage keeps the contract and moves as an axis with inertia does."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.wsi.scan_time import AxisMotion
from firmware_bridge.errors import StageRefused, StageUncertain
from firmware_bridge.xy_stage import Trigger
from simulator.ramp import moving, resting, stopping
from simulator.xy_stage import SimulatedXYStage

WINDOW = (-1000.0, -2000.0, 16_000.0, 17_000.0)


class World:
    """A clock, and a stage that sleeps in its time."""

    def __init__(self, **options: float) -> None:
        self.now_ns = 5_000_000_000
        self.xy = SimulatedXYStage(WINDOW, clock=lambda: self.now_ns, sleep=self.sleep, **options)  # type: ignore[arg-type]

    def sleep(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def here(self) -> tuple[float, float]:
        status = self.xy.status()
        return status.x_um, status.y_um

    def go(self, x_um: float, y_um: float) -> float:
        """Seconds until it is settled there."""
        before_ns = self.now_ns
        self.xy.move_to(x_um, y_um, self.here())
        self.xy.wait(100.0)
        return (self.now_ns - before_ns) / 1e9


@given(st.floats(-9e3, 9e3), st.floats(-9e3, 9e3), st.floats(1, 5e4), st.floats(1e3, 1e6))
def test_a_ramp_is_smooth_and_as_long_as_the_arithmetic_says(
    start: float, end: float, speed: float, acceleration: float
) -> None:
    ramp = moving(start, end, 1.0, speed, acceleration)
    assert ramp.at(0.5) == (start, 0.0) or start == end
    assert ramp.at(ramp.end_s + 1) == (pytest.approx(end, abs=1e-6), 0.0)
    expected = AxisMotion(speed, acceleration).seconds(end - start)
    assert ramp.end_s - 1.0 == pytest.approx(expected, rel=1e-6, abs=1e-9)
    for before, piece in pairwise(ramp.pieces):
        t = piece.begin_s - before.begin_s
        reached = before.at_um + before.speed_um_s * t + before.acceleration_um_s2 * t * t / 2
        assert reached == pytest.approx(piece.at_um, abs=1e-5)
        fast = before.speed_um_s + before.acceleration_um_s2 * t
        assert fast == pytest.approx(piece.speed_um_s, abs=1e-5)


def test_it_brakes_from_whatever_it_does() -> None:
    ramp = moving(0.0, 10_000.0, 0.0, 1000.0, 10_000.0)
    braked = stopping(ramp, 1.0, 10_000.0)
    assert braked.target_um == pytest.approx(ramp.at(1.0)[0] + 50.0)
    assert braked.end_s == pytest.approx(1.1)
    assert stopping(resting(5.0), 3.0, 1.0).target_um == 5.0


def test_both_axes_move_at_once_and_settle() -> None:
    world = World(settle_ms=30.0)
    assert world.xy.status().settled_ns == 0  # at rest since before we came
    seconds = world.go(5000.0, 1000.0)
    assert seconds == pytest.approx(
        AxisMotion(20_000.0, 200_000.0).seconds(5000.0) + 0.03, abs=1e-4
    )
    status = world.xy.status()
    assert (status.x_um, status.y_um, status.moving) == (5000.0, 1000.0, False)
    assert status.settled_ns == pytest.approx(world.now_ns, abs=2e3)


def test_where_it_was_at_a_moment() -> None:
    world = World()
    start_ns = world.now_ns
    world.go(4000.0, 0.0)
    middle = world.xy.xy_at(start_ns + 150_000_000)
    assert (middle.x_um, middle.y_um) == (pytest.approx(2000.0), 0.0)
    assert world.xy.xy_at(start_ns).x_um == 0.0
    for when_ns in (start_ns - 1, world.now_ns + 1):
        with pytest.raises(StageRefused, match="no-history"):
            world.xy.xy_at(when_ns)


@pytest.mark.parametrize(
    ("x", "y", "assumed", "reason"),
    [
        (16_001.0, 0.0, (0.0, 0.0), "WINDOW"),
        (0.0, -2001.0, (0.0, 0.0), "WINDOW"),
        (math.nan, 0.0, (0.0, 0.0), "NOT_FINITE"),
        (0.0, 0.0, (0.0, math.inf), "NOT_FINITE"),
        (10.0, 0.0, (0.0, 5.0), "ASSUMED_DIFFERS"),
    ],
)
def test_what_it_refuses_moves_nothing(
    x: float, y: float, assumed: tuple[float, float], reason: str
) -> None:
    world = World()
    with pytest.raises(StageRefused) as refused:
        world.xy.move_to(x, y, assumed)
    assert refused.value.reason == reason
    assert (world.xy.moves, world.here()) == (0, (0.0, 0.0))


def test_a_latched_or_a_moving_stage_refuses() -> None:
    world = World()
    world.xy.latched = "SAFE_STOP"
    with pytest.raises(StageRefused, match="LATCHED"):
        world.go(10.0, 0.0)
    world.xy.clear()
    world.xy.move_to(5000.0, 0.0, world.here())
    world.sleep(0.1)
    with pytest.raises(StageRefused, match="BUSY"):
        world.xy.move_to(0.0, 0.0, world.here())
    world.xy.stop()
    assert not world.xy.wait(1.0).moving
    assert 0 < world.here()[0] < 5000


@pytest.mark.parametrize("axis", ["x", "y"])
def test_a_jammed_axis_is_uncertain(axis: str) -> None:
    world = World()
    world.xy.jammed = axis
    with pytest.raises(StageUncertain, match="the move ended at"):
        world.go(700.0, 600.0)


def test_what_takes_longer_than_the_caller_waits_is_uncertain() -> None:
    world = World()
    world.xy.move_to(15_000.0, 0.0, world.here())
    with pytest.raises(StageUncertain, match=r"still not done after 0\.1 s"):
        world.xy.wait(0.1)


def sweep(world: World, **changes: float) -> None:
    trigger = Trigger(**{"start_um": 1000.0, "pitch_um": 749.0, "count": 10, **changes})  # type: ignore[arg-type]
    world.xy.sweep(9000.0, 11_000.0, world.here(), trigger)


def test_a_sweep_triggers_by_position() -> None:
    world = World()
    sweep(world)
    start_ns = world.now_ns
    assert world.xy.triggered() == []
    world.xy.wait(10.0)
    pulses = world.xy.triggered()
    assert [pulse.count for pulse in pulses] == list(range(10))
    for pulse in pulses:
        assert world.xy.xy_at(pulse.time_ns).x_um == pytest.approx(pulse.x_um, abs=0.01)
    gaps = [b.time_ns - a.time_ns for a, b in pairwise(pulses)]
    assert gaps == pytest.approx([749 / 11_000 * 1e9] * 9, abs=2)
    assert pulses[0].time_ns > start_ns


def test_a_sweep_stopped_on_its_way_triggers_no_more() -> None:
    world = World()
    sweep(world)
    world.sleep(0.3)
    world.xy.stop()
    count = len(world.xy.triggered())
    world.sleep(10.0)
    assert 0 < len(world.xy.triggered()) == count < 10


def test_a_lost_pulse_is_a_gap() -> None:
    world = World()
    world.xy.lost_pulses = frozenset({4})
    sweep(world)
    world.xy.wait(10.0)
    assert [pulse.count for pulse in world.xy.triggered()] == [0, 1, 2, 3, 5, 6, 7, 8, 9]


@pytest.mark.parametrize(
    "changes", [{"start_um": 100.0}, {"count": 12}, {"pitch_um": -749.0, "start_um": 8000.0}]
)
def test_a_pulse_where_the_speed_is_not_reached_is_refused(changes: dict[str, float]) -> None:
    world = World()
    with pytest.raises(StageRefused, match="RUN_UP"):
        sweep(world, **changes)
    assert world.xy.moves == 0


@pytest.mark.parametrize(
    "numbers", [(0.0, 0.0, 1), (math.nan, 1.0, 1), (0.0, 1.0, 0), (0.0, 1.0, 1, 0.0)]
)
def test_what_triggers_nothing(numbers: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="trigger"):
        Trigger(*numbers)  # type: ignore[arg-type]
