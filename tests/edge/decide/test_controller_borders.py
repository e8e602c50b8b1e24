"""The controller to its borders in time and place: what exactly is too early, what a hand on the
knob ends, and what is forgotten when. `make mutation` changes it in every way; these notice."""

import math

import pytest

from edge.decide.controller import LOOKS, LOOKS_UNPROVEN
from edge.decide.decision import Decision, Hold, InFocus, LookAgain, Move
from edge.decide.evidence import Finding
from edge.decide.reading_scale import Scale
from firmware_bridge.stage import StageStatus, ZAt
from tests.support.controller_bench import Bench, blind, confirmed, hand
from tests.support.fake_microscope import MS, estimate, no_focus

UNSETTLED = Hold("unsettled")
T = 7_000_000_000


def report(bench, moving=False, settled_ns=T):
    """From now on the stage reports this, wherever it is."""
    bench.stage.status = lambda: StageStatus(0.0, moving, settled_ns, None, T)


def exposed(bench, start_ns, d=3.0):
    return bench.controller.plan(estimate(d, 0.2, start_ns, start_ns + 1), bench.stage)


def looks(bench):
    """How often a frame that shows nothing is looked at again, and what comes then."""
    count = 0
    while isinstance(plan := bench.show(no_focus), LookAgain):
        count += 1
    return count, plan


def test_exposed_5_ms_after_settling_to_the_nanosecond():
    bench = Bench()
    report(bench)
    assert exposed(bench, T + 5 * MS - 1) == UNSETTLED
    assert isinstance(exposed(bench, T + 5 * MS), Move)


@pytest.mark.parametrize(("moving", "settled_ns"), [(True, T), (False, None), (True, None)])
def test_what_moves_or_never_settled(moving, settled_ns):
    bench = Bench()
    report(bench, moving, settled_ns)
    assert exposed(bench, T + 100 * MS) == UNSETTLED


def test_half_a_second_for_a_stage_that_has_not_stirred_to_the_nanosecond():
    bench = Bench()
    report(bench)
    exposed(bench, T + 5 * MS)
    bench.controller.sent(T + 1)  # it settled before that, says its last report
    assert exposed(bench, T + 500 * MS) == UNSETTLED
    assert exposed(bench, T + 500 * MS + 1) != UNSETTLED


def test_a_stage_that_settled_in_the_moment_of_sending_has_stirred():
    bench = Bench()
    report(bench)
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
