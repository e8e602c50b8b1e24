"""Each move is judged by what the next frames show: it stands, is taken back, or is a strike."""

import dataclasses
import math

import pytest

from edge.decide.controller import LOOKS, LOOKS_UNPROVEN
from edge.decide.decision import Decision, Hold, InFocus, LookAgain, Move, Shutdown
from edge.decide.evidence import Finding
from edge.measure.aggregate import Reason
from tests.support.controller_bench import Bench, blind, confirmed
from tests.support.fake_microscope import no_focus


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
