"""The slide moves only inside its window, with Z known, and up where it must be."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from edge.errors import MoveRefused, MoveUncertain
from edge.wsi.xy_guard import XYLimits
from firmware_bridge.errors import LinkLost, StageRefused, StageSilent, StageUncertain
from firmware_bridge.stage import StageStatus
from firmware_bridge.xy_stage import Trigger
from tests.support.xy_bench import FOCUS_UM, UP_UM, WINDOW, Bench


def test_near_ways_on_the_specimen_leave_z_in_focus() -> None:
    bench = Bench()
    bench.send(1749.0, 1627.0)
    assert bench.xy.targets == [(1749.0, 1627.0)]
    assert bench.z.moves == []
    assert bench.guard.moves == 1


@pytest.mark.parametrize(
    ("x", "y"), [(2501.0, 1000.0), (1000.0, 9000.0), (9000.0, 9000.0), (-1.0, 1000.0)]
)
def test_z_goes_up_before_long_ways_and_before_leaving_the_specimen(x: float, y: float) -> None:
    bench = Bench()
    bench.send(x, y)
    assert bench.z.moves == [UP_UM]
    assert bench.xy.targets == [(x, y)]
    bench.send(1000.0, 1000.0)  # and stays there for the way back
    assert bench.z.moves == [UP_UM]


def test_from_beside_the_specimen_nothing_is_entered_with_the_objective_down() -> None:
    bench = Bench()
    bench.send(-100.0, 1000.0)
    bench.z.move_to(FOCUS_UM, UP_UM)
    bench.z.wait(1.0)
    bench.send(500.0, 1000.0)
    assert bench.z.moves == [UP_UM, FOCUS_UM, UP_UM]


def test_up_is_down_where_a_rising_z_lowers_the_objective() -> None:
    bench = Bench(up=-1)
    bench.send(9000.0, 9000.0)
    assert bench.z.moves == [-UP_UM]
    assert Bench(up=-1, z_um=-UP_UM - 5).guard.send(9000.0, 9000.0) == 1


@pytest.mark.parametrize("up", [None, 0, 2])
def test_nothing_goes_far_while_up_is_not_known(up: int | None) -> None:
    bench = Bench(up=up)
    assert bench.refused(lambda: bench.guard.send(9000.0, 9000.0)) == "sign-unknown"


@pytest.mark.parametrize(
    "error", [StageUncertain("?"), LinkLost("gone"), StageSilent("..."), OSError("gone"),
              StageRefused("NO")], ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_the_slide_stays_while_z_is_uncertain(error: Exception) -> None:
    bench = Bench()
    bench.z.fail_status = error
    assert bench.refused(lambda: bench.guard.send(1100.0, 1000.0)) == "z-uncertain"
    trigger = Trigger(1500.0, 500.0, 2)
    assert bench.refused(lambda: bench.guard.sweep(2500.0, 1000.0, trigger)) == "z-uncertain"


def test_the_slide_stays_while_z_is_latched_moves_or_is_nowhere() -> None:
    bench = Bench()
    bench.z.latched = "SAFE_STOP"
    assert bench.refused(lambda: bench.guard.send(1100.0, 1000.0)) == "z-latched"
    bench.z.clear()
    bench.z.move_to(30.0, FOCUS_UM)
    assert bench.refused(lambda: bench.guard.send(1100.0, 1000.0)) == "z-moving"
    nowhere = Bench(z_um=math.nan)
    assert nowhere.refused(lambda: nowhere.guard.send(1100.0, 1000.0)) == "z-uncertain"


def test_the_slide_stays_when_z_does_not_come_up() -> None:
    bench = Bench()
    bench.z_guard._stage.move_to = lambda target, assumed: 1  # type: ignore[method-assign]
    assert bench.refused(lambda: bench.guard.send(9000.0, 9000.0)) == "z-not-up"
    silent = Bench()
    silent.z.fail = LinkLost("gone")
    with pytest.raises(MoveUncertain):
        silent.guard.send(9000.0, 9000.0)
    assert silent.xy.moves == 0
    low = Bench(up=1)
    low.guard.limits = XYLimits(WINDOW, 1e9, 1, 1500.0, 0.2)  # outside the window of Z
    assert low.refused(lambda: low.guard.send(9000.0, 9000.0)) == "outside-window"


def test_z_that_falls_silent_on_its_way_up_is_uncertain() -> None:
    bench = Bench()

    def falls_silent(timeout_s: float) -> StageStatus:
        raise StageUncertain(f"still not done after {timeout_s:g} s")

    bench.z.wait = falls_silent  # type: ignore[method-assign]
    with pytest.raises(MoveUncertain, match="did not come up"):
        bench.guard.send(9000.0, 9000.0)
    assert bench.xy.moves == 0


def test_the_state_of_the_runtime_and_of_the_stage_count() -> None:
    bench = Bench()
    bench.guard.send(1100.0, 1000.0)
    assert bench.refused(lambda: bench.guard.send(1200.0, 1000.0)) == "moving"
    bench.xy.wait(10.0)
    bench.xy.latched = "SAFE_STOP"
    assert bench.refused(lambda: bench.guard.send(1200.0, 1000.0)) == "latched"
    bench.xy.clear()
    bench.state.shutdown("test")
    assert bench.refused(lambda: bench.guard.send(1200.0, 1000.0)) == "state"


def test_a_shutdown_while_the_slide_is_being_sent_stops_it() -> None:
    bench = Bench()
    move = bench.xy.move_to

    def and_shut_down(*place: float, **assumed: tuple[float, float]) -> int:
        number = move(*place, **assumed)
        bench.state.shutdown("from another thread")
        return number

    bench.xy.move_to = and_shut_down  # type: ignore[method-assign,assignment]
    with pytest.raises(MoveUncertain, match="shut down"):
        bench.guard.send(2000.0, 1000.0)
    assert not bench.xy.wait(10.0).moving
    assert bench.xy.status().x_um == pytest.approx(1000.0)


@pytest.mark.parametrize(
    ("error", "raised"),
    [(StageRefused("BUSY"), MoveRefused), (StageSilent("..."), MoveRefused),
     (StageUncertain("?"), MoveUncertain), (OSError("gone"), MoveUncertain)],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)  # fmt: skip
def test_what_the_stage_says_is_told_apart(error: Exception, raised: type[Exception]) -> None:
    bench = Bench()

    def fails(*_: object, **__: object) -> int:
        raise error

    bench.xy.move_to = fails  # type: ignore[method-assign,assignment]
    with pytest.raises(raised):
        bench.guard.send(1100.0, 1000.0)


ODD = (math.nan, math.inf, -math.inf, -500.0, 12_000.0, 12_000.01, -500.01, 1e308)


def test_no_input_moves_the_slide_outside_its_window_or_far_with_the_objective_down() -> None:
    rng = np.random.default_rng(5)
    bench = Bench()
    for _ in range(400):
        here = bench.xy.status()
        x, y = (
            float(rng.choice(ODD)) if rng.random() < 0.3 else float(rng.uniform(-2000, 14_000))
            for _ in range(2)
        )
        if not WINDOW.holds(x, y):
            assert bench.refused(lambda x=x, y=y: bench.send(x, y)) == "outside-window"  # type: ignore[misc]
            continue
        bench.send(x, y)
        if max(abs(x - here.x_um), abs(y - here.y_um)) > 1500.0:
            assert bench.z.status().z_um >= UP_UM - 0.5
        elif rng.random() < 0.5:  # focus is found again
            bench.z.move_to(FOCUS_UM, bench.z.status().z_um)
            bench.z.wait(1.0)
    assert all(WINDOW.holds(*target) for target in bench.xy.targets)
    assert len(bench.xy.targets) > 100


def test_a_line_lies_on_the_specimen() -> None:
    bench = Bench()
    bench.guard.sweep(9500.0, 5000.0, Trigger(1500.0, 749.0, 10))
    bench.xy.wait(100.0)
    assert len(bench.xy.triggered()) == 10
    assert bench.z.moves == []  # Z follows focus
    for end_um, trigger, reason in (
        (math.nan, None, "outside-window"),
        (12_001.0, None, "outside-window"),
        (11_000.0, Trigger(9700.0, 500.0, 2), "off-specimen"),
        (1000.0, Trigger(9000.0, -500.0, 3), "run-up"),
    ):
        assert bench.refused(lambda e=end_um, t=trigger: bench.guard.sweep(e, 5000.0, t)) == reason  # type: ignore[misc]
    hole = Bench()
    hole.guard._specimen = lambda x, y: not 4000 < x < 6000
    assert hole.refused(lambda: hole.guard.sweep(9000.0, 5000.0, None)) == "off-specimen"


def test_z_that_is_latched_on_its_way_up_keeps_the_slide() -> None:
    bench = Bench()
    wait = bench.z.wait
    bench.z.wait = lambda timeout_s: replace(wait(timeout_s), latched="LIMIT")  # type: ignore[method-assign]
    assert bench.refused(lambda: bench.guard.send(9000.0, 9000.0)) == "z-latched"
