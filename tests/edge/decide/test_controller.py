"""What is proposed for which estimate; the closed loop with a wrong sign: test_flipped_sign."""

import dataclasses
import math

import pytest

from edge.decide.controller import LOOKS, LOOKS_UNPROVEN
from edge.decide.decision import Decision, Hold, InFocus, LookAgain, Move, Shutdown
from edge.decide.evidence import Finding
from edge.measure.aggregate import Reason
from firmware_bridge.errors import LinkLost, StageRefused
from tests.support.controller_bench import Bench, blind, confirmed
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


def test_near_focus_the_best_guess_is_made_once():
    """Held 1 um off, nobody is served: that the other way were right is the less likely."""
    bench = confirmed()
    plan = bench.see(1.0, 1.4)
    assert (plan.decision, plan.reason) == (Decision.MOVE, "likely-defocus")
    assert plan.target_um == pytest.approx(bench.stage.status().z_um + 1.0)
    bench.send(plan)
    for d in (1.3, -1.3, 1.9):  # half of it: what led here said 0 +- 1.4
        assert bench.see(d, 1.4) == InFocus("within-interval")
    assert bench.see(0.9, 1.4) == InFocus()
    assert bench.see(1.3, 1.4) == InFocus("within-interval")  # focus that was found is kept
    assert bench.see(2.0, 1.4).reason == "defocus"  # the specimen has moved


@pytest.mark.parametrize(
    ("d", "interval", "end"),
    [
        (0.7, 0.6, InFocus("within-interval")),  # 0.45 +- 0.48 together with 0.0 +- 0.8
        (0.9, 0.3, Hold("max-shots")),  # 0.79 +- 0.28: the last reading had no say
        (3.1, 3.05, Hold("max-shots")),  # too far out to be left there
    ],
)
def test_the_last_moves_end_where_both_readings_put_focus(d, interval, end):
    bench = Bench(deadband_um=0.3, sharp_um=0.3, max_shots=2)
    bench.send(bench.see(4.0))
    bench.send(bench.see(1.5, 0.8))
    plan = bench.see(d, interval)
    assert (type(plan), plan.reason) == (type(end), end.reason)


@pytest.mark.parametrize(
    ("d", "interval", "travel"),
    [
        (0.8, 0.4, 0.4),  # as sure as what led here, which said 0
        (0.6, 0.2, 0.48),  # the surer one counts more
        (-0.8, 0.4, -0.4),
        (0.848, 0.4, 0.424),
        (0.852, 0.4, 0.852),  # they contradict each other: the glass may not be where it led
    ],
)
def test_near_focus_two_readings_count_together(d, interval, travel):
    """Of 91 such readings on independent slides: 0.40 um off alone, 0.32 together."""
    bench = Bench(deadband_um=0.3, sharp_um=0.6)
    bench.send(bench.see(4.0, 0.4))
    plan = bench.see(d, interval)
    assert plan.target_um - plan.assumed_um == pytest.approx(travel)


def test_far_out_a_reading_counts_alone():
    bench = Bench(deadband_um=0.3, sharp_um=0.6)
    bench.send(bench.see(20.0, 3.9))
    for d, travel in ((3.1, 3.1), (3.0, 3.0 * 3.9**2 / (3.9**2 + 2.0**2))):
        plan = bench.see(d, 2.0)
        assert plan.target_um - plan.assumed_um == pytest.approx(travel)


def test_a_first_correction_by_both_is_worth_a_move_sooner():
    bench = Bench(deadband_um=0.3, sharp_um=0.6)
    assert bench.see(0.29, 0.1) == InFocus()  # one reading alone
    bench.send(bench.see(4.0, 0.4))
    assert bench.see(0.29, 0.4) == InFocus()  # 0.145
    plan = bench.see(0.31, 0.4)  # 0.155 +- 0.28
    assert (type(plan), plan.reason) == (Move, "likely-defocus")
    bench.send(plan)
    assert bench.see(0.59, 0.4) == InFocus()  # 0.20 of them all: no third
    assert bench.see(-0.29, 0.1) == InFocus()


def test_with_an_unproven_sign_no_finer_correction_is_guessed():
    bench = Bench(deadband_um=0.3, sharp_um=0.6)
    bench.send(bench.see(0.5, 0.4))
    assert not bench.controller.sign_confirmed
    assert bench.see(0.5, 0.4) == InFocus("within-depth-of-field")


def test_a_move_that_was_cut_to_a_step_leads_nowhere_yet():
    bench = Bench(sharp_um=0.6, max_shots=2, max_step_um=2.0)
    bench.send(bench.see(4.8, 0.8))
    bench.send(bench.see(2.8, 0.8))
    assert bench.see(0.8, 0.6).reason == "max-shots"


def strange(bench, d, interval=0.4, reason=Reason.OUTSIDE_TRAINING):
    return bench.show(no_focus, reason, d=d, interval=interval)


def test_a_strange_frame_that_shows_the_predicted_focus_lets_the_move_stand():
    """A shred in focus was taken for sharp dirt, and a good move of 8 um was taken back."""
    bench = confirmed()
    bench.send(bench.see(8.3, 0.6))
    assert strange(bench, -0.2) == InFocus("as-predicted")
    assert strange(bench, -0.2) == Hold("outside-training")  # by itself it tells nothing
    assert bench.controller.strikes == 0


@pytest.mark.parametrize("reason", list(Reason))
def test_patches_that_disagree_about_the_predicted_focus_let_the_move_stand(reason):
    """Debris beside a shred that lay in focus, and the field was given up."""
    bench = confirmed()
    bench.send(bench.see(8.3, 0.6))
    stands = reason in (Reason.OUTSIDE_TRAINING, Reason.PATCHES_DISAGREE)
    assert (strange(bench, -0.2, 0.4, reason) == InFocus("as-predicted")) is stands


@pytest.mark.parametrize("d", [-0.8, 5.0, math.nan])
def test_a_strange_frame_that_shows_something_else_is_blind(d):
    bench = confirmed()
    bench.send(bench.see(8.3, 0.6))
    plans = [strange(bench, d) for _ in range(LOOKS)]
    assert {type(plan) for plan in plans[:-1]} == {LookAgain}
    assert plans[-1].reason == "roll-back: unreadable"


def test_a_strange_frame_confirms_no_sign():
    bench = Bench(sharp_um=0.6)
    bench.send(bench.see(8.3, 0.6))
    assert type(strange(bench, -0.2)) is LookAgain
    assert not bench.controller.sign_confirmed


def test_no_guess_is_made_far_out_of_wide_readings_or_with_an_unproven_sign():
    bench = confirmed()
    assert bench.see(2.9, 3.1) == Hold("uncertain")
    assert bench.see(2.9, 3.0).reason == "likely-defocus"
    assert Bench(sharp_um=0.6).see(1.0, 1.4) == Hold("uncertain")


def test_another_field_has_a_guess_of_its_own():
    bench = confirmed()
    bench.send(bench.see(1.0, 1.4))
    assert bench.see(1.3, 1.4) == InFocus("within-interval")
    bench.controller.new_field()
    assert bench.see(1.0, 1.4).reason == "likely-defocus"


def test_far_out_no_wider_interval_is_let_through():
    """A bubble's rim on an empty field was read as 24.7 +- 5.6 um."""
    assert Bench().see(24.7, 5.6) == Hold("uncertain")
    assert Bench().see(24.7, 3.9).decision is Decision.VERIFY


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


def test_moves_are_judged_by_z_at_exposure_too():
    bench = Bench()
    bench.send(bench.see(12.0))
    status = bench.stage.status
    bench.stage.status = lambda: dataclasses.replace(status(), z_um=status().z_um + 30)
    assert isinstance(bench.see(0.1), InFocus)
    assert bench.controller.last_finding is Finding.AGREES


def test_verified_move_that_helped_stands():
    bench = Bench()
    bench.send(bench.see(12.0))
    assert isinstance(bench.see(0.3), InFocus)
    assert bench.controller.strikes == 0
    assert bench.controller.sign_confirmed


@pytest.mark.parametrize("after", [12.5, -12.0, 24.0])
def test_verified_move_that_did_not_help_is_rolled_back(after):
    bench = Bench()
    bench.send(bench.see(12.0))
    plan = bench.see(after)
    assert isinstance(plan, Move)
    assert plan.target_um == 0.0
    assert plan.reason.startswith("roll-back")
    assert bench.controller.strikes == 1


@pytest.mark.parametrize("reason", list(Reason))
def test_what_a_large_move_leads_to_is_looked_at_again_and_then_rolled_back(reason):
    bench = Bench()
    bench.controller.sign_confirmed = True
    bench.send(bench.see(12.0))
    first = bench.show(no_focus, reason)
    assert first == LookAgain(f"look-again: {reason.value}")
    looks, plan = blind(bench, reason)
    assert (looks + 1, plan.target_um, plan.reason) == (LOOKS, 0.0, "roll-back: unreadable")
    bench.send(plan)
    assert bench.see(12.0) == Hold("rolled-back")  # not again in this field
    assert bench.see(2.0).decision is Decision.MOVE
    bench.controller.new_field()
    assert bench.see(12.0).decision is Decision.VERIFY
    assert bench.controller.strikes == 0  # nothing was seen: nothing speaks against the stage


def test_unsure_reading_does_not_verify():
    bench = Bench()
    bench.controller.sign_confirmed = True
    bench.send(bench.see(12.0))
    plans = [bench.see(0.5, interval=9.0) for _ in range(LOOKS)]
    assert {p.reason for p in plans[:-1]} == {"look-again: uncertain"}
    assert plans[-1].reason == "roll-back: unreadable"


def test_a_frame_that_can_be_read_ends_the_looking():
    bench = Bench()
    bench.send(bench.see(12.0))
    for _ in range(LOOKS_UNPROVEN - 1):
        assert isinstance(bench.show(no_focus), LookAgain)
    assert isinstance(bench.see(0.1), InFocus)
    assert bench.controller.sign_confirmed


def test_refused_roll_back_is_proposed_again_and_judged_once():
    bench = Bench()
    bench.send(bench.see(12.0))
    first = bench.see(24.0)
    second = bench.see(24.0)  # the guard refused the first
    assert first.target_um == second.target_um == 0.0
    assert bench.controller.strikes == 1
    bench.send(second)
    assert isinstance(bench.see(12.0), Shutdown)  # 24 there, 12 here: the sign is inverted


def test_refused_move_is_not_judged():
    bench = Bench()
    bench.see(12.0)  # never sent
    assert bench.see(12.0).decision is Decision.VERIFY
    assert bench.controller.strikes == 0


def test_move_that_was_not_made():
    """H7: reported as made, but the glass stayed: stopped at the second move."""
    bench = Bench()
    bench.send(bench.see(4.0))
    bench.send(bench.see(4.0))
    assert bench.controller.last_finding is Finding.SHORT
    plan = bench.see(4.0)
    assert isinstance(plan, Shutdown)
    assert "did not do what was predicted (too little change)" in plan.reason


def test_one_wrong_reading_is_one_strike_and_forgiven():
    """It stands in two comparisons; the readings on both sides of it agree."""
    bench = Bench()
    bench.send(bench.see(4.0))
    bench.send(bench.see(4.9))  # wrong: focus was reached
    assert bench.controller.strikes == 1
    assert isinstance(bench.see(-4.9), Move)
    assert bench.controller.strikes == 0


def test_wrong_reading_after_a_large_move_costs_one_strike():
    bench = Bench()
    bench.send(bench.see(15.0))
    bench.send(bench.see(-14.9))  # wrong: focus was reached; rolled back
    assert bench.see(15.0) == Hold("rolled-back")
    assert bench.controller.strikes == 1


def test_stage_that_goes_three_times_as_far():
    bench = Bench()
    for field in range(2):
        bench.send(bench.see(7.0))
        plan = bench.see(-14.0)
        if field == 0:
            bench.send(plan)
            assert bench.see(7.0) == Hold("rolled-back")
            bench.controller.new_field()
    assert plan == Shutdown("2 moves in a row did not do what was predicted (too much change)")


def test_bad_move_between_good_ones_is_forgiven():
    bench = Bench()
    for _ in range(4):
        bench.send(bench.see(4.0))
        bench.send(bench.see(4.2))  # a strike
        assert bench.controller.strikes == 1
        assert isinstance(bench.see(0.1), InFocus)
        assert bench.controller.strikes == 0
        bench.controller.new_field()


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


@pytest.mark.parametrize("reason", list(Reason))
def test_only_a_distance_beyond_the_range_is_evidence(reason):
    """Any other frame without an estimate says nothing, whatever number was rejected."""
    bench = Bench()
    bench.send(bench.see(12.0))
    plan = bench.show(no_focus, reason, d=26.0, interval=0.2)
    if reason is Reason.OUTSIDE_RANGE:
        assert (plan.target_um, bench.controller.strikes) == (0.0, 1)
    else:
        assert (plan, bench.controller.strikes) == (LookAgain(f"look-again: {reason.value}"), 0)


def test_a_stage_that_never_stirs_is_waited_for_half_a_second():
    bench = Bench()
    bench.send(bench.see(3.0))
    bench.stage._path.pop()  # the stage goes on reporting that it rests where it was
    assert bench.see(3.0, wait_ms=501) == Hold("unsettled")  # exposed 499 ms after
    assert bench.see(3.0, wait_ms=2).decision is Decision.MOVE


def test_a_return_that_agrees_leaves_the_strike():
    bench = Bench()
    bench.send(bench.see(12.0))  # wrong: it is in focus
    bench.send(bench.see(-12.0))
    assert isinstance(bench.see(0.1), InFocus)
    assert bench.controller.strikes == 1


def test_after_a_restart_the_sign_must_be_confirmed_again():
    bench = Bench()
    bench.send(bench.see(4.0))
    bench.see(0.1)
    assert bench.controller.sign_confirmed
    bench.controller.restart()
    assert not bench.controller.sign_confirmed
    bench.send(bench.see(12.0))
    looks, plan = blind(bench)
    assert looks == LOOKS_UNPROVEN
    bench.send(plan)
    plan = bench.see(12.0)
    assert isinstance(plan, Shutdown)
    assert "sign" in plan.reason


def test_a_roll_back_is_void_when_somebody_moved_the_stage():
    bench = Bench()
    bench.send(bench.see(12.0))
    assert bench.see(24.0).reason.startswith("roll-back")  # and the guard refused it
    bench.stage._path.append((bench.clock(), 12.0, 40.0))
    assert "roll-back" not in bench.see(3.0).reason


def test_a_blind_roll_back_that_was_refused_is_void_when_there_is_light():
    bench = Bench()
    bench.send(bench.see(12.0))
    _, plan = blind(bench)
    assert plan.reason == "roll-back: unreadable"
    assert bench.show(no_focus).reason == "roll-back"
    assert isinstance(bench.see(0.1), InFocus)
    assert (bench.controller.strikes, bench.controller.sign_confirmed) == (0, True)


def test_small_corrections_are_damped_by_what_the_last_two_readings_showed():
    bench = Bench()
    bench.send(bench.see(2.0))
    plan = bench.see(-2.0)
    assert plan.target_um == pytest.approx(2.0 - 1.0)
    bench.send(plan)
    assert isinstance(bench.see(0.1), InFocus)
    assert bench.controller.strikes == 0


def test_a_hand_on_the_knob_takes_a_move_out_of_judgement_once_the_sign_is_sure():
    bench = confirmed()
    bench.send(bench.see(1.0))
    bench.stage._path.append((bench.clock(), 5.0, 40.0))
    assert bench.see(8.0).decision is Decision.VERIFY
    assert (bench.controller.last_finding, bench.controller.strikes) == (None, 0)


def test_a_way_on_which_more_than_any_play_was_lost_is_closed():
    bench = confirmed()
    for _ in range(6):
        plan = bench.see(-3.5)
        if isinstance(plan, Hold):
            break
        bench.send(plan)
    assert plan.reason == "play: 14.0 um of motion after a reversal moved nothing"
    assert bench.see(3.5).decision is Decision.MOVE


def test_blind_where_it_came_from_as_well_is_no_witness_against_the_sign():
    bench = Bench()
    bench.send(bench.see(12.0))
    bench.send(blind(bench)[1])
    assert isinstance(bench.show(no_focus), LookAgain)
    plan = bench.see(12.0)
    assert plan.decision is Decision.VERIFY
    assert bench.controller.strikes == 0


def test_a_small_move_is_not_taken_back_for_blindness():
    bench = Bench()
    bench.send(bench.see(3.0))
    for _ in range(LOOKS - 1):
        assert bench.show(no_focus) == LookAgain("look-again: blank")
    assert bench.show(no_focus) == Hold("blank")
    assert bench.see(3.0, 5.0) == Hold("uncertain")
