"""The last micrometres: the best guess, two readings that count together, corrections that are
damped."""

import pytest

from edge.decide.decision import Decision, Hold, InFocus, Move
from tests.support.controller_bench import Bench, confirmed


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


def test_small_corrections_are_damped_by_what_the_last_two_readings_showed():
    bench = Bench()
    bench.send(bench.see(2.0))
    plan = bench.see(-2.0)
    assert plan.target_um == pytest.approx(2.0 - 1.0)
    bench.send(plan)
    assert isinstance(bench.see(0.1), InFocus)
    assert bench.controller.strikes == 0
