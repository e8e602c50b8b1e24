"""How a field's moves end: in focus where readings contradict each other, else held."""

import pytest

from edge.decide.conduct import NEAR_UM, Judged
from edge.decide.debts import PATIENCE
from edge.decide.decision import Hold, InFocus
from edge.decide.evidence import Finding
from edge.decide.hunt import DISPUTES, Hunt

DISAGREE, MAX_SHOTS = InFocus("readings-disagree"), Hold("max-shots")
AGREES = Judged(Finding.AGREES)
DISPUTED = Judged(Finding.SHORT, disputed=True)


def hunted(readings, judged=AGREES, max_shots=4):
    hunt = Hunt(max_shots, 0.6)
    for d in readings:
        assert hunt.end(d) is None
        hunt.travel_um(d)
        hunt.sent()
        hunt.heard(judged)
    return hunt


def test_moves_are_as_long_as_the_last_two_readings_showed():
    hunt = hunted([2.0], Judged(Finding.OVERSHOT, gain=2.0))
    assert hunt.travel_um(-2.0) == -1.0
    hunt.heard(AGREES)
    assert hunt.travel_um(-2.0) == -2.0
    hunt.heard(Judged(Finding.OVERSHOT, gain=2.0))
    hunt.begin_anew()
    assert hunt.travel_um(-2.0) == -2.0


def test_enough_moves_on_one_side_are_held_for_a_while():
    hunt = hunted([2.0, 1.5, 1.2, 1.1])
    assert [hunt.end(1.0) for _ in range(PATIENCE)] == [MAX_SHOTS] * PATIENCE
    assert hunt.end(1.0) is None
    for _ in range(4):  # all moves are allowed again, and no more than those
        assert hunt.end(1.0) is None
        hunt.sent()
    held = hunt.end(1.0)
    assert held == MAX_SHOTS
    assert held.enough  # the frame could be read


def test_enough_moves_end_in_focus_within_the_depth_of_field():
    assert hunted([2.0, 1.5, 1.2, 1.1]).end(0.6) == InFocus("within-depth-of-field")
    assert hunted([2.0, 1.5, 1.2]).end(0.6) is None


def test_enough_moves_end_in_focus_where_the_interval_holds_zero():
    assert hunted([2.0, 1.5, 1.2, 1.1]).end(0.9, guess=True) == InFocus("within-interval")
    assert hunted([2.0, 1.5, 1.2]).end(0.9, guess=True) is None


def test_enough_moves_on_both_sides_end_in_focus():
    hunt = hunted([2.0, -1.5, 1.2, 1.1])
    assert hunt.end(1.0) == DISAGREE
    assert hunt.end(-0.9) == DISAGREE
    assert hunt.end(1.1) is None  # farther off than they disagree: something has changed
    assert hunt.end(1.0) is None


def test_far_from_focus_both_sides_are_no_hunt():
    out = NEAR_UM + 0.1
    assert hunted([out, -out, out, -out]).end(1.0) == MAX_SHOTS
    assert hunted([1.0, -1.0, 1.0, -1.0]).end(out) == MAX_SHOTS
    assert hunted([1.0, -1.0, 1.0, -1.0]).end(NEAR_UM) == DISAGREE


def test_a_reading_that_does_not_answer_ends_it_early():
    assert DISPUTES == 2
    assert hunted([1.0], DISPUTED).end(1.0) is None
    assert hunted([1.0, 1.0], DISPUTED).end(1.0) == DISAGREE
    assert hunted([1.0, 1.0], DISPUTED).end(NEAR_UM + 0.1) is None
    hunt = hunted([1.0], DISPUTED)
    hunt.heard(AGREES)
    hunt.heard(DISPUTED)
    assert hunt.end(1.0) is None  # in a row


def test_readings_that_agree_by_and_by_are_believed_again():
    hunt = hunted([1.0, 1.0], DISPUTED)
    assert hunt.end(-1.0) == DISAGREE
    ends = [hunt.end(-0.8) for _ in range(PATIENCE)]
    assert ends == [DISAGREE] * PATIENCE
    assert hunt.end(-0.8) is None
    noisy = hunted([1.0, 1.0], DISPUTED)
    noisy.end(1.0)
    for n in range(5 * PATIENCE):
        assert noisy.end(0.8 if n % 2 else -0.8) == DISAGREE


def test_within_the_depth_of_field_they_may_always_disagree():
    hunt = hunted([1.0, 1.0], DISPUTED)
    assert hunt.end(0.1) == DISAGREE
    assert hunt.end(0.6) == DISAGREE
    assert hunt.end(0.61) is None


def test_motion_lost_in_the_play_is_no_shot():
    lost = Judged(Finding.SHORT, lost=True)
    hunt = hunted([1.0] * 20, lost)
    hunt.heard(Judged(Finding.SHORT, lost=True, moves=3))
    for _ in range(4):
        assert hunt.end(1.0) is None
        hunt.sent()
    assert hunt.end(1.0) == MAX_SHOTS
    hunt.heard(Judged(Finding.SHORT, lost=True, moves=2))
    hunt.sent()
    assert hunt.end(1.0) is None


def unsure(at_um):
    """Two disputed moves: the readings disagree by `at_um`, or by the depth of field."""
    hunt = hunted([2.0, 1.5], DISPUTED)
    assert hunt.end(at_um) == DISAGREE
    return hunt


@pytest.mark.parametrize("side", [1, -1])
def test_readings_that_agree_twenty_times_are_believed(side):
    hunt = unsure(side * 1.0)
    assert [hunt.end(side * 0.9) for _ in range(20)] == [DISAGREE] * 20
    assert hunt.end(side * 0.9) is None
    again = unsure(side * 1.0)
    for _ in range(3):  # each change of side begins the count anew
        assert [again.end(side * 0.9) for _ in range(19)] == [DISAGREE] * 19
        assert again.end(-side * 0.9) == DISAGREE
    assert [again.end(-side * 0.9) for _ in range(19)] == [DISAGREE] * 19
    assert again.end(-side * 0.9) is None


def test_a_reading_of_zero_is_below_focus():
    hunt = unsure(-1.0)
    assert [hunt.end(d) for d in (0.0, -0.5) * 10] == [DISAGREE] * 20
    assert hunt.end(0.0) is None
    hunt = hunted([0.0, -1.0, -0.5, -0.4])  # one side, not both
    assert hunt.end(-1.0) == MAX_SHOTS


def test_within_the_depth_of_field_readings_may_always_disagree():
    hunt = unsure(0.1)
    assert hunt.end(0.6) == DISAGREE
    assert hunt.end(0.61) is None


@pytest.mark.parametrize("side", [1, -1])
def test_small_is_3_um_and_no_more(side):
    assert hunted([3.0, -3.0, 2.0, -2.0]).end(side * 3.0) == DISAGREE
    assert hunted([side * 9.0, side * 8.0, -side * 3.1, side * 7.0]).end(1.0) == MAX_SHOTS
    assert hunted([side * 9.0, side * 8.0, -side * 3.0, side * 3.0]).end(1.0) == DISAGREE
    assert hunted([side * 2.0, -side * 9.0, side * 1.5, side * 1.2]).end(1.0) == MAX_SHOTS
    assert hunted([2.0, 1.5], DISPUTED).end(side * 3.01) is None
