"""What is held against the stage, for how long, and what wipes it out."""

import pytest

from edge.decide.conduct import NEAR_UM, SIGN, STRIKES, UNPROVEN_UM, Conduct, Judged
from edge.decide.evidence import Finding
from tests.support.known_moves import at, confirmed


def test_as_new():
    conduct = Conduct(1)
    assert (conduct.strikes, conduct.sign_confirmed) == (0, False)
    assert conduct.stuck_um(True) == conduct.stuck_um(False) == 0.0


@pytest.mark.parametrize("direction", [1, -1])
def test_two_moves_the_wrong_way_are_a_wrong_sign(direction):
    conduct = Conduct(direction)
    first = conduct.judge(at(0, 4), at(direction * 4, 8))
    assert (first.finding, first.struck, first.shutdown) == (Finding.OPPOSITE, True, "")
    second = conduct.judge(at(direction * 4, 8), at(direction * 12, 16))
    assert second.shutdown == f"{SIGN}: {STRIKES} moves in a row went the wrong way"
    assert not conduct.sign_confirmed


def test_an_answer_as_predicted_wipes_the_strikes_out():
    conduct = confirmed()
    conduct.judge(at(10, 20), at(16, 26))
    assert conduct.strikes == 1
    conduct.judge(at(40, 9), at(44, 5))
    assert conduct.strikes == 0


def test_too_much_neither_strikes_nor_wipes_out():
    conduct = confirmed()
    conduct.judge(at(10, 20), at(16, 26))
    far = conduct.judge(at(40, 9), at(44, -9))
    assert (far.finding, far.struck, conduct.strikes) == (Finding.OVERSHOT, False, 1)
    assert far.gain == 3.0


def test_two_undecided_moves_are_judged_together():
    """Each within the noise of its readings, both together beyond it."""
    conduct = Conduct(1)
    assert conduct.judge(at(0, 4, 3.9), at(4, 8, 3.9)).finding is Finding.NOTHING
    assert conduct.strikes == 0
    second = conduct.judge(at(4, 8, 3.9), at(9, 12, 3.9))
    assert second.finding is Finding.OPPOSITE
    assert second.shutdown.startswith(SIGN)


def test_what_lies_between_is_not_judged_together_when_something_else_moved():
    conduct = Conduct(1)
    conduct.judge(at(0, 4, 3.9), at(4, 8, 3.9))
    after_a_slip = conduct.judge(at(4, 20, 3.9), at(9, 23, 3.9))
    assert after_a_slip.finding is Finding.NOTHING
    assert conduct.strikes == 0


@pytest.mark.parametrize("forget", [Conduct.new_field, Conduct.moved_by_another])
def test_undecided_moves_belong_to_a_place(forget):
    conduct = Conduct(1)
    conduct.judge(at(0, 4, 3.9), at(4, 8, 3.9))
    forget(conduct)
    assert conduct.judge(at(4, 8, 3.9), at(8, 12, 3.9)).finding is Finding.NOTHING


def test_a_wrong_reading_between_two_moves_is_forgiven():
    conduct = Conduct(1)
    assert conduct.judge(at(0, 4), at(4, 4.9)).struck
    judged = conduct.judge(at(4, 4.9), at(8.9, -4.9))
    assert (judged.settled, judged.gain) == (True, 1.0)
    assert (conduct.strikes, conduct.sign_confirmed) == (0, True)


def test_strikes_and_sign_outlast_a_field_and_not_a_restart():
    conduct = confirmed()
    conduct.judge(at(10, 20), at(16, 26))
    conduct.new_field()
    assert (conduct.strikes, conduct.sign_confirmed) == (1, True)
    conduct.restart()
    assert (conduct.strikes, conduct.sign_confirmed) == (0, False)


def test_a_change_no_move_can_have_made_is_not_its_doing():
    conduct = confirmed()
    assert conduct.judge(at(20, 1), at(21, 9)).disputed
    assert conduct.strikes == 0


@pytest.mark.parametrize(("half", "moves"), [(0.9, 2), (0.96, 3)])
def test_as_many_undecided_moves_as_it_takes_are_judged_together(half, moves):
    """Of moves of 1 um nothing is seen: short beyond 1.5 times the noise of the two ends."""
    conduct = confirmed()
    for z in range(10, 9 + moves):
        assert conduct.judge(at(z, 20, half), at(z + 1, 20, half)) == Judged(Finding.NOTHING)
    last = conduct.judge(at(9 + moves, 20, half), at(10 + moves, 20, half))
    assert (last.finding, last.moves) == (Finding.SHORT, moves)


def test_too_much_over_two_moves_says_nothing():
    """Sharp ends, and a middle that nobody could read well."""
    conduct = confirmed()
    assert conduct.judge(at(10, 20, 0.1), at(11, 17, 5.0)).finding is Finding.NOTHING
    assert conduct.judge(at(11, 17, 5.0), at(12, 14, 0.1)).finding is Finding.NOTHING


@pytest.mark.parametrize(("before", "after"), [((0, -20), (-18, 2)), ((0, 2), (18, -20))])
def test_far_on_either_side_no_gain_is_believed(before, after):
    assert Conduct(1).judge(at(*before), at(*after)) == Judged(Finding.AGREES)


def test_near_is_3_um_and_no_farther():
    assert Conduct(1).judge(at(0, 3.0), at(2, 0.2)).gain == pytest.approx(1.4)
    assert Conduct(1).judge(at(0, 3.01), at(2, 0.2)).gain == 1.0
    assert (NEAR_UM, STRIKES, UNPROVEN_UM) == (3.0, 2, 8.0)
    assert SIGN == "focus sign contradicts the calibration"


def test_what_confirms_the_sign():
    for before, after, finding in (
        (at(0, 20), at(10, 16), Finding.SHORT),  # it followed, if only a part of the way
        (at(0, 5), at(0.3, 4.65), Finding.AGREES),  # as predicted, though hardly beyond the noise
    ):
        conduct = Conduct(1)
        assert conduct.judge(before, after).finding is finding
        assert conduct.sign_confirmed
    conduct = Conduct(1)
    assert conduct.judge(at(0, 20), at(10, 17)).finding is Finding.SHORT
    assert not conduct.sign_confirmed


def test_two_moves_judged_together_are_one_strike_once_the_sign_is_sure():
    conduct = confirmed()
    assert conduct.judge(at(14, 20, 3.9), at(18, 24, 3.9)) == Judged(Finding.NOTHING)
    judged = conduct.judge(at(18, 24, 3.9), at(23, 28, 3.9))
    assert judged == Judged(Finding.OPPOSITE, struck=True, moves=2)
    assert conduct.strikes == 1


def test_every_judgement_counts_its_moves():
    conduct = confirmed()
    assert conduct.judge(at(10, 20), at(14, 7)) == Judged(Finding.OVERSHOT, gain=3.0)
    assert conduct.judge(at(14, 2), at(13, 3)) == Judged(Finding.AGREES)
    near = conduct.judge(at(13, 1.0), at(14, 2.0))
    assert near == Judged(Finding.OPPOSITE, disputed=True)
    # the play that a reversal left to be taken up excuses it
    assert conduct.judge(at(14, 20), at(24, 16)) == Judged(Finding.SHORT)
    assert conduct.judge(at(40, 20), at(44, 26)) == Judged(Finding.OPPOSITE, struck=True)
    assert Judged(Finding.NOTHING).moves == 1
