"""The controller to its borders in what it reads: what exactly is too wide, too large, too strange,
what a reading is worth, and which move is taken back. `make mutation` asks these."""

import dataclasses
import math

import pytest

from edge.decide.decision import Decision, Hold, InFocus, LookAgain, Move
from edge.decide.evidence import Finding
from edge.decide.reading_scale import Scale
from tests.support.controller_bench import Bench, beyond, blind, confirmed, hand
from tests.support.fake_microscope import estimate, no_focus


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
