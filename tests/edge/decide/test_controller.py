"""What is proposed for which estimate; the closed loop with a wrong sign: test_flipped_sign."""

import math

import pytest

from edge.decide.decision import Decision, Hold, InFocus, Move
from edge.decide.evidence import Finding
from edge.measure.aggregate import Reason
from firmware_bridge.errors import LinkLost, StageRefused
from tests.support.controller_bench import Bench
from tests.support.fake_microscope import MS, no_focus


def test_target_is_z_at_exposure_not_z_now():
    bench = Bench()
    bench.stage.drift_um_per_ms = 0.05
    plan = bench.see(3.0)
    assert isinstance(plan, Move)
    mid = bench.clock() - MS
    assert plan.target_um == pytest.approx(bench.stage.z_at(mid).z_um + 3.0, abs=1e-9)
    assert plan.target_um != pytest.approx(bench.stage.status().z_um + 3.0, abs=0.01)
    assert plan.assumed_um == bench.stage.status().z_um


@pytest.mark.parametrize(("direction", "target"), [(1, 3.0), (-1, -3.0)])
def test_focus_direction(direction, target):
    assert Bench(focus_direction=direction).see(3.0).target_um == target


@pytest.mark.parametrize("d", [0.0, 0.5, -0.5])
def test_deadband(d):
    assert isinstance(Bench().see(d), InFocus)


@pytest.mark.parametrize("d", [0.51, -0.51])
def test_just_outside_the_deadband(d):
    plan = Bench().see(d)
    assert (plan.decision, plan.target_um, plan.reason) == (Decision.MOVE, d, "defocus")


@pytest.mark.parametrize(
    ("d", "interval", "reason"), [(0.6, 0.2, "defocus"), (0.61, 0.7, "uncertain")]
)
def test_sharp_but_which_way_unknown_is_in_focus(d, interval, reason):
    """Inside the depth of field a defocus smaller than its interval is left alone."""
    bench = Bench(sharp_um=0.6)
    assert bench.see(-0.6, 0.7) == InFocus("within-depth-of-field")
    assert bench.see(d, interval).reason == reason


@pytest.mark.parametrize("d", [5.1, -24.0])
def test_large_moves_are_to_be_verified(d):
    assert Bench().see(d).decision is Decision.VERIFY


@pytest.mark.parametrize(
    ("d", "interval"),
    [
        (0.8, 0.9),
        (7.9, 4.1),
        (20.0, 10.1),
        (0.1, 4.1),
        (3.0, math.nan),
        (3.0, math.inf),
        (math.nan, 0.2),
    ],
)
def test_uncertain_is_held(d, interval):
    assert Bench().see(d, interval) == Hold("uncertain")


def test_uncertain_position_widens_the_interval():
    bench = Bench()
    bench.stage.uncertainty_um = 1.0
    assert bench.see(0.9) == Hold("uncertain")
    assert isinstance(bench.see(3.0), Move)
    bench.stage.uncertainty_um = math.nan
    assert bench.see(3.0) == Hold("position-uncertain")


@pytest.mark.parametrize("reason", list(Reason))
def test_no_focus_is_held(reason):
    bench = Bench()
    plan = bench.show(no_focus, reason, d=3.0, interval=0.1)
    assert plan == Hold(reason.value)


def test_unsettled_frames_never_move():
    bench = Bench()
    bench.send(bench.see(3.0))
    plans = [bench.see(3.0, wait_ms=2) for _ in range(18)]  # 30 ms of travel and settling, 5 more
    assert set(plans[:-1]) == {Hold("unsettled")}
    assert plans[-1] == Hold("unsettled")
    assert bench.see(0.0, wait_ms=2) == InFocus()


def test_report_from_before_the_move_is_not_taken_for_settled():
    bench = Bench()
    bench.send(bench.see(3.0))
    bench.stage._path.pop()  # the stage goes on reporting that it rests where it was
    assert bench.see(3.0, wait_ms=5) == Hold("unsettled")
    assert bench.see(3.0, wait_ms=450) == Hold("unsettled")  # it may still be about to
    plan = bench.see(3.0, wait_ms=150)  # by now it must have stirred
    assert bench.controller.last_finding is Finding.NOTHING
    assert isinstance(plan, Move)


def test_no_history_is_held_and_a_lost_link_passes_through():
    bench = Bench()
    bench.stage.fail_z = StageRefused("no-history")
    assert bench.see(3.0) == Hold("no-history")
    bench.stage.fail_z = LinkLost("gone")
    with pytest.raises(LinkLost):
        bench.see(3.0)


def test_max_shots_until_in_focus():
    bench = Bench(max_shots=2)
    z = 0.0
    for d in (4.0, 2.0):
        bench.send(bench.see(d))
        z += d
    assert bench.see(1.0) == Hold("max-shots")
    assert isinstance(bench.see(0.1), InFocus)
    assert isinstance(bench.see(1.0), Move)


def test_new_field_forgets_the_estimate():
    bench = Bench()
    bench.send(bench.see(12.0))
    bench.controller.new_field()
    assert bench.see(-20.0).decision is Decision.VERIFY
    assert bench.controller.strikes == 0


def test_a_stage_that_never_stirs_is_waited_for_half_a_second():
    bench = Bench()
    bench.send(bench.see(3.0))
    bench.stage._path.pop()  # the stage goes on reporting that it rests where it was
    assert bench.see(3.0, wait_ms=501) == Hold("unsettled")  # exposed 499 ms after
    assert bench.see(3.0, wait_ms=2).decision is Decision.MOVE
