"""The controller to its borders: what exactly is too early, too far, too wide, and what is
forgotten when. `make mutation` changes controller.py in every way it knows; these notice."""

import dataclasses
import math

import pytest

from edge.decide.controller import LOOKS, LOOKS_UNPROVEN
from edge.decide.decision import Decision, Hold, InFocus, LookAgain, Move
from edge.decide.evidence import Finding
from edge.decide.reading_scale import Scale
from edge.measure.aggregate import Reason
from firmware_bridge.stage import StageStatus, ZAt
from tests.support.controller_bench import Bench, blind, confirmed
from tests.support.fake_microscope import MS, estimate, no_focus

UNSETTLED = Hold("unsettled")
T = 7_000_000_000


def told(bench, moving=False, settled_ns=T):
    """From now on the stage reports this, wherever it is."""
    bench.stage.status = lambda: StageStatus(0.0, moving, settled_ns, None, T)


def exposed(bench, start_ns, d=3.0):
    return bench.controller.plan(estimate(d, 0.2, start_ns, start_ns + 1), bench.stage)


def hand(bench, to_um):
    """Somebody turns the knob."""
    here_um = bench.stage.status().z_um
    bench.stage._path.append((bench.clock(), here_um, to_um))


def looks(bench):
    """How often a frame that shows nothing is looked at again, and what comes then."""
    count = 0
    while isinstance(plan := bench.show(no_focus), LookAgain):
        count += 1
    return count, plan


def beyond(bench, d, interval=0.2):
    return bench.show(no_focus, Reason.OUTSIDE_RANGE, d=d, interval=interval)


def test_exposed_5_ms_after_settling_to_the_nanosecond():
    bench = Bench()
    told(bench)
    assert exposed(bench, T + 5 * MS - 1) == UNSETTLED
    assert isinstance(exposed(bench, T + 5 * MS), Move)


@pytest.mark.parametrize(("moving", "settled_ns"), [(True, T), (False, None), (True, None)])
def test_what_moves_or_never_settled(moving, settled_ns):
    bench = Bench()
    told(bench, moving, settled_ns)
    assert exposed(bench, T + 100 * MS) == UNSETTLED


def test_half_a_second_for_a_stage_that_has_not_stirred_to_the_nanosecond():
    bench = Bench()
    told(bench)
    exposed(bench, T + 5 * MS)
    bench.controller.sent(T + 1)  # it settled before that, says its last report
    assert exposed(bench, T + 500 * MS) == UNSETTLED
    assert exposed(bench, T + 500 * MS + 1) != UNSETTLED


def test_a_stage_that_settled_in_the_moment_of_sending_has_stirred():
    bench = Bench()
    told(bench)
    exposed(bench, T + 5 * MS)
    bench.controller.sent(T)
    assert exposed(bench, T + 5 * MS) != UNSETTLED


@pytest.mark.parametrize("z_um", [math.nan, math.inf, -math.inf])
def test_a_position_that_is_no_number(z_um):
    bench = Bench()
    bench.stage.z_at = lambda time_ns: ZAt(z_um, 0.01)
    assert bench.see(0.3) == Hold("position-uncertain")


def test_how_uncertain_a_position_may_be():
    bench = Bench()
    bench.stage.uncertainty_um = 4.1
    assert bench.see(0.3, 0.0) == Hold("position-uncertain")
    bench.stage.uncertainty_um = 4.0
    assert bench.see(0.3, 0.0) == InFocus()


def guessed():
    """A bench whose last guess led to z = 5, and is not made again there."""
    bench = confirmed()
    bench.send(bench.see(1.0, 1.4))
    assert bench.see(1.3, 1.4) == InFocus("within-interval")
    return bench


@pytest.mark.parametrize("side", [1, -1])
def test_a_stage_that_creeps_is_where_it_was_left_and_one_that_jumps_is_not(side):
    bench = guessed()
    for step in (1, 2):  # by 1 um, which is not too far
        hand(bench, 5.0 + side * step)
        assert bench.see(1.3, 1.4) == InFocus("within-interval")
    hand(bench, 5.0 + side * 3.01)
    assert bench.see(1.3, 1.4).reason == "likely-defocus"


def test_with_an_unproven_sign_a_move_is_judged_by_what_is_reported_after_a_hand_too():
    bench = Bench()
    bench.send(bench.see(12.0))
    hand(bench, 17.0)
    assert isinstance(bench.see(-5.0), Move)
    assert bench.controller.last_finding is Finding.AGREES
    assert bench.controller.sign_confirmed


@pytest.mark.parametrize("direction", [1, -1])
def test_a_closed_way_is_closed_for_small_moves_too_until_a_hand_turns_the_knob(direction):
    bench = Bench(sharp_um=0.6)
    bench.send(bench.see(4.0 * direction))
    assert bench.see(1.0 * direction).reason == "defocus"
    while not isinstance(plan := bench.see(-3.5 * direction), Hold):
        bench.send(plan)
    closed = Hold("play: 14.0 um of motion after a reversal moved nothing")
    assert (plan, plan.enough) == (closed, True)
    assert bench.see(-0.8 * direction) == closed
    assert isinstance(bench.see(0.8 * direction), Move)
    hand(bench, bench.stage.status().z_um + 5.0)
    assert isinstance(bench.see(-0.8 * direction), Move)


@pytest.mark.parametrize("side", [1, -1])
def test_after_a_hand_looking_begins_anew_and_nothing_is_taken_back(side):
    bench = Bench()
    bench.send(bench.see(12.0))
    for _ in range(10):
        assert isinstance(bench.show(no_focus), LookAgain)
    hand(bench, 12.0 + side * 5.0)
    assert looks(bench) == (23, Hold("blank"))


@pytest.mark.parametrize("side", [1, -1])
def test_a_large_move_is_taken_back_where_it_ended_to_1_um(side):
    bench = Bench()
    bench.send(bench.see(12.0))
    hand(bench, 12.0 + side * 1.0)
    count, plan = looks(bench)
    assert (count, plan.reason, plan.target_um) == (23, "roll-back: unreadable", 0.0)
    assert plan.decision is Decision.MOVE  # nothing is to be verified there


def test_a_hand_ends_what_was_to_be_taken_back_blindly():
    bench = Bench()
    bench.send(bench.see(12.0))
    assert blind(bench)[1].reason == "roll-back: unreadable"  # and the guard refused it
    hand(bench, 17.0)
    assert isinstance(bench.see(-5.0), Move)
    assert bench.controller.last_finding is None


def test_so_often_a_dark_frame_is_looked_at():
    assert (LOOKS, LOOKS_UNPROVEN) == (5, 24)
    bench = Bench()
    bench.controller.sign_confirmed = True
    bench.send(bench.see(12.0))
    assert blind(bench)[0] == 5


def test_as_new():
    bench = Bench()
    assert (bench.controller.last_finding, bench.controller.scale) == (None, Scale())
    bench.send(bench.see(4.0))
    bench.see(0.1)
    assert bench.controller.last_finding is Finding.AGREES
    bench.controller.restart()
    assert bench.controller.last_finding is None


def test_what_a_frame_found_is_not_told_of_the_next():
    bench = Bench()
    bench.send(bench.see(4.0))
    bench.see(0.1)
    bench.see(0.1)
    assert bench.controller.last_finding is None


@pytest.mark.parametrize(
    "then",
    [
        lambda bench: bench.controller.new_field(),
        lambda bench: bench.see(3.0, 5.0),
        lambda bench: bench.send(bench.see(3.0)),
    ],
)
def test_only_the_last_proposal_can_have_been_sent_and_only_once(then):
    bench = Bench()
    bench.see(3.0)
    then(bench)
    with pytest.raises(AssertionError):
        bench.controller.sent(bench.clock())


def test_two_fields_left_before_a_frame_was_seen_are_enough_of_an_unproven_stage():
    bench = Bench()
    for _ in range(2):
        assert isinstance(bench.send(bench.see(4.0)), Move)
        bench.controller.new_field()
    plan = bench.see(4.0)
    assert plan == Hold("unproven: no frame was seen after the last moves")
    assert plan.enough


def test_a_roll_back_is_no_move_that_was_left_unseen():
    bench = Bench()
    for _ in range(3):
        bench.send(bench.see(12.0))
        bench.send(blind(bench)[1])
        bench.controller.new_field()
    assert isinstance(bench.see(4.0), Move)


def test_a_field_without_a_move_leaves_nothing_unseen():
    bench = Bench()
    for _ in range(3):
        bench.see(4.0)
        bench.controller.new_field()
    assert isinstance(bench.see(4.0), Move)


def strange(d, interval, start_ns, mid_ns):
    return dataclasses.replace(estimate(d, interval, start_ns, mid_ns), outside="blur")


def test_a_first_frame_outside_the_training_is_held_where_that_is_asked_for():
    assert Bench(hold_outside=True).show(strange, 3.0, 0.2) == Hold("outside-training: blur")
    assert isinstance(Bench().show(strange, 3.0, 0.2), Move)
    assert isinstance(Bench(hold_outside=True).see(3.0), Move)
    known = Bench(hold_outside=True, reading_scale=0.8, reading_scale_95=0.05)
    assert isinstance(known.show(strange, 3.0, 0.2), Move)
    led_here = Bench(hold_outside=True)
    led_here.send(led_here.see(3.0))
    assert isinstance(led_here.show(strange, 1.0, 0.2), Move)


def half(**more):
    """Of a microscope on which the networks read half of what the glass must move."""
    return Bench(reading_scale=0.5, reading_scale_95=0.02, **more)


def test_readings_are_taken_for_what_they_are_worth():
    assert half().see(2.0).target_um == pytest.approx(4.0)
    assert half(offset_um=0.3).see(2.3).target_um == pytest.approx(4.3)
    assert half().see(0.3, 0.2).reason == "defocus"
    assert half().see(0.3, 0.4) == Hold("uncertain")  # 0.6 +- 0.8
    assert half().see(2.4).decision is Decision.MOVE
    assert half().see(2.6).decision is Decision.VERIFY


def test_a_reading_that_is_worth_itself_is_not_calculated_with():
    assert (2.9 - 0.7) / 1.0 + 0.7 != 2.9
    assert Bench(offset_um=0.7).see(2.9).target_um == 2.9


def read_on(place_um, d, **settings):
    """What is known of the scale after a move of 10 um, which reading `d` showed at a place."""
    bench = Bench(**{"no_play": True, **settings})
    bench.send(bench.see(10.0))
    if place_um != 10.0:
        hand(bench, place_um)
    bench.see(d)
    return bench.controller.scale


@pytest.mark.parametrize(
    ("place_um", "d"), [(10.0, 2.0), (11.0, 1.2), (9.0, 2.8)]
)  # 8 read for each 10 um
def test_a_move_that_ended_where_it_should_tells_what_readings_are_worth(place_um, d):
    assert read_on(place_um, d).interval < Scale().interval


@pytest.mark.parametrize(("place_um", "d"), [(11.01, 1.2), (8.99, 2.8)])
def test_a_move_that_ended_elsewhere_tells_nothing_of_it(place_um, d):
    assert read_on(place_um, d) == Scale()


def test_a_first_move_may_be_lost_in_play_unless_the_drive_has_none():
    assert read_on(10.0, 2.0, no_play=False) == Scale()


def test_a_reading_from_beyond_the_range_tells_nothing_of_it():
    bench = Bench(no_play=True)
    bench.send(bench.see(20.0))
    assert beyond(bench, 2.0) == Hold("outside-range")
    assert bench.controller.last_finding is Finding.AGREES
    assert bench.controller.scale == Scale()


def test_a_large_move_that_settles_a_wrong_reading_stands():
    """4 um were right; then 6 were read where focus was, and gone."""
    bench = Bench()
    bench.send(bench.see(4.0))
    bench.send(bench.see(6.0))
    plan = bench.see(-6.0)
    assert (plan.reason, plan.target_um) == ("large-defocus", 4.0)
    assert bench.controller.strikes == 0


def test_a_large_move_that_was_lost_in_the_play_is_not_taken_back():
    bench = confirmed()
    bench.send(bench.see(-8.0))
    plan = bench.see(-8.0)
    assert (plan.reason, plan.target_um) == ("large-defocus", -12.0)
    assert bench.controller.strikes == 0


def test_a_roll_back_is_not_taken_back():
    bench = confirmed()
    bench.send(bench.see(12.0))
    bench.send(bench.see(12.2))
    assert beyond(bench, 12.1) == Hold("outside-range")


def test_a_small_move_that_left_the_range_is_taken_back():
    bench = confirmed()
    bench.send(bench.see(3.0))
    plan = beyond(bench, 26.0)
    assert (plan.target_um, plan.reason[:9]) == (4.0, "roll-back")
    assert plan.decision is Decision.MOVE


def test_where_the_same_is_read_again_after_a_roll_back_the_readings_were_at_fault():
    bench = confirmed()
    bench.send(bench.see(12.0))
    bench.send(bench.see(24.0))
    plan = bench.see(12.0)
    assert (plan, plan.enough) == (Hold("rolled-back"), True)
    assert (bench.controller.last_finding, bench.controller.strikes) == (Finding.NOTHING, 1)


def test_focus_that_is_found_forgets_what_was_only_not_seen():
    bench = Bench()
    bench.controller.sign_confirmed = True
    bench.send(bench.see(12.0))
    bench.send(blind(bench)[1])
    assert bench.see(0.1) == InFocus()
    assert bench.see(12.0).decision is Decision.VERIFY


def test_a_dark_frame_elsewhere_does_not_forget_what_was_taken_back():
    bench = Bench()
    bench.controller.sign_confirmed = True
    bench.send(bench.see(12.0))
    bench.send(blind(bench)[1])
    bench.send(bench.see(2.0))
    assert isinstance(bench.show(no_focus), LookAgain)
    assert bench.see(12.0) == Hold("rolled-back")


@pytest.mark.parametrize(
    "begin_anew",
    [
        lambda bench: bench.see(0.3),
        lambda bench: bench.see(0.6, 0.7),
        lambda bench: bench.controller.new_field(),
    ],
)
def test_all_moves_are_allowed_again(begin_anew):
    bench = Bench(max_shots=2, sharp_um=0.6, max_step_um=1.0)
    for d in (4.0, 3.0):
        bench.send(bench.see(d))
    assert bench.see(2.0) == Hold("max-shots")
    begin_anew(bench)
    assert isinstance(bench.see(2.0), Move)


def test_a_fine_correction_is_made_once():
    bench = Bench(deadband_um=0.3, sharp_um=0.6)
    bench.send(bench.see(4.0, 0.4))
    plan = bench.send(bench.see(0.3, 0.2))  # 0.24 +- 0.18: sooner than outside the deadband
    assert (plan.reason, plan.target_um) == ("defocus", pytest.approx(4.24))
    assert bench.see(0.25, 0.1) == InFocus()  # 0.19


def test_within_the_depth_of_field_nothing_is_guessed_by_one_reading():
    assert confirmed().see(0.6, 0.7) == InFocus("within-depth-of-field")


def test_the_last_moves_end_where_zero_is_within_the_interval():
    """Both led only part of the way, so that their readings say nothing of this place."""
    bench = Bench(max_shots=2, max_step_um=2.0, sharp_um=0.6)
    for d in (8.0, 6.0):
        bench.send(bench.see(d))
    assert bench.see(1.9, 2.1) == InFocus("within-interval")


def test_a_step_down_is_cut_as_one_up():
    assert Bench(max_step_um=2.0).see(-4.8).target_um == -2.0


def test_what_is_as_large_as_its_interval_and_what_is_just_large():
    assert Bench().see(0.8, 0.8).reason == "defocus"
    assert Bench().see(5.0).decision is Decision.MOVE
    assert Bench().see(8.1, 4.0).decision is Decision.VERIFY


def test_a_reading_as_wide_as_allowed_judges_a_move():
    bench = Bench()
    bench.send(bench.see(3.0))
    assert bench.see(0.4, 4.0) == InFocus()
    assert bench.controller.last_finding is Finding.NOTHING


@pytest.mark.parametrize("d", [math.nan, math.inf, -math.inf])
def test_no_number_moves_or_judges_a_stage_that_is_trusted(d):
    assert confirmed().see(d) == Hold("uncertain")
    bench = confirmed()
    bench.send(bench.see(1.0))
    assert bench.see(d) == LookAgain("look-again: uncertain")
