"""Roll-backs, moves that nobody saw, and what readings are worth: what counts and what proves
nothing."""

import pytest

from edge.decide.conduct import SIGN, Conduct, Judged
from edge.decide.evidence import Finding
from edge.decide.reading_scale import ReadingScale, Scale
from tests.support.known_moves import at, confirmed


def test_a_return_proves_a_wrong_sign_only_where_none_was_confirmed():
    origin, away, back = at(0, 12), at(12, 24), at(0, 12)
    conduct = Conduct(1)
    conduct.judge(origin, away)
    assert conduct.returned(origin, away, back).shutdown.startswith(SIGN)
    known = confirmed()
    known.judge(origin, away)
    judged = known.returned(origin, away, back)
    assert (judged.struck, known.strikes) == (False, 1)


def test_a_return_that_was_not_made_is_a_strike_even_then():
    conduct = confirmed()
    conduct.judge(at(10, 12), at(22, 24))
    back = conduct.returned(at(10, 12), at(22, 24), at(10, 24))
    assert back.struck
    assert back.shutdown


def test_a_return_that_agrees_confirms_the_sign_and_leaves_the_strike():
    conduct = Conduct(1)
    conduct.strike(Finding.OVERSHOT)
    assert not conduct.returned(at(0, 12), at(12, -12), at(0, 0)).struck
    assert (conduct.sign_confirmed, conduct.strikes) == (True, 1)


def test_a_return_within_wide_intervals_is_judged_by_both_looks_at_the_origin():
    conduct = Conduct(1)
    half = 3.9
    conduct.judge(at(0, 4, half), at(4, 8, half))
    conduct.strike(Finding.NOTHING)
    judged = conduct.returned(at(0, 4, half), at(4, 8, half), at(0, 4, half))
    assert judged.shutdown.endswith("predicted (too little change)")


def test_after_a_roll_back_nothing_is_compared_with_what_was_before():
    conduct = confirmed()
    assert conduct.judge(at(10, 20), at(14, 26)).struck
    conduct.returned(None, at(14, 26), at(10, 26))
    assert conduct.judge(at(10, 26), at(14, 22)).finding is Finding.AGREES


def test_a_roll_back_to_where_nothing_was_read_is_judged_by_its_end():
    conduct = Conduct(1)
    assert conduct.returned(None, at(12, 3), at(0, 15)).finding is Finding.AGREES
    assert conduct.sign_confirmed


def test_a_roll_back_of_a_sure_sign_is_judged_by_its_own_reading():
    conduct = confirmed()
    assert conduct.returned(at(10, 20), at(14, 22), at(10, 26)) == Judged(Finding.AGREES)
    # the nut is pushed downwards now: up from here 3 um may be lost
    assert conduct.judge(at(10, 26), at(13, 26)) == Judged(Finding.SHORT, lost=True)


def test_what_a_roll_back_proves_nothing_of():
    conduct = confirmed()
    assert conduct.returned(None, at(10, 20), at(6, 20)) == Judged(Finding.SHORT)  # lost in play
    assert conduct.sign_confirmed
    unproven = Conduct(1).returned(None, at(4, 20), at(0, 20))
    assert unproven == Judged(Finding.SHORT, struck=True)
    wide = Conduct(1).returned(None, at(4, 8, 3.9), at(0, 12, 3.9))
    assert wide == Judged(Finding.NOTHING)


def unseen(conduct, fields):
    """So many fields are left before a frame was seen after their move."""
    for _ in range(fields):
        conduct.new_field(unjudged=True)


def waits(conduct, most=30):
    """How many frames another move must wait."""
    return next((n for n in range(most) if not conduct.unproven()), most)


def test_an_unproven_stage_waits_for_20_frames_after_two_moves_that_nobody_saw():
    conduct = Conduct(1)
    unseen(conduct, 1)
    assert waits(conduct) == 0
    unseen(conduct, 1)
    assert waits(conduct) == 20
    assert waits(conduct) == 0  # the guard refused it: it may be tried
    unseen(conduct, 1)
    assert waits(conduct) == 20  # once more, and once only
    conduct.restart()
    assert waits(conduct) == 0


def test_fields_without_a_move_leave_nothing_unseen():
    conduct = Conduct(1)
    for _ in range(3):
        conduct.new_field()
    unseen(conduct, 1)
    assert waits(conduct) == 0


def test_a_move_that_was_seen_ends_the_row_of_those_that_were_not():
    conduct = Conduct(1)
    unseen(conduct, 2)
    assert conduct.unproven()
    assert conduct.judge(at(0, 4, 3.9), at(4, 8, 3.9)).finding is Finding.NOTHING
    unseen(conduct, 1)
    assert waits(conduct) == 0
    unseen(conduct, 1)
    assert waits(conduct) == 20


def test_a_restart_counts_the_frames_anew():
    conduct = Conduct(1)
    unseen(conduct, 2)
    assert conduct.unproven()
    conduct.restart()
    unseen(conduct, 2)
    assert waits(conduct) == 20


def test_a_confirmed_stage_does_not_wait():
    conduct = confirmed()
    unseen(conduct, 5)
    assert waits(conduct) == 0


EIGHT_OF_TEN = (at(0, 20), at(10, 12))


def test_what_a_move_tells_of_the_scale_where_no_play_can_have_eaten_of_it():
    play, without = Conduct(1), Conduct(1, no_play=True)
    assert play.judge(*EIGHT_OF_TEN, ended=True).finding is Finding.AGREES
    assert play.scale.summary == Scale()
    without.judge(*EIGHT_OF_TEN)  # it is not said to have ended where it should
    assert without.scale.summary == Scale()
    without.judge(*EIGHT_OF_TEN, ended=True)
    assert without.scale.summary.value < 1.0
    without.restart()
    assert without.scale.summary == Scale()
    follows = confirmed()
    follows.judge(at(10, 20), at(20, 12), ended=True)  # nothing is lost going on
    assert follows.scale.summary.interval < Scale().interval


@pytest.mark.parametrize(("near_um", "why"), [(3.0, "struck"), (60.0, "disputed")])
def test_a_move_that_speaks_against_anybody_tells_nothing_of_the_scale(near_um, why):
    conduct = Conduct(1, near_um=near_um)
    conduct.judge(at(0, 90), at(10, 80))
    judged = conduct.judge(at(10, 50), at(210, -35), ended=True)  # too far for any play
    assert (judged.finding, getattr(judged, why)) == (Finding.SHORT, True)
    assert conduct.scale.summary == Scale()


def test_readings_are_judged_by_what_they_are_worth():
    scale = ReadingScale(0.5, 0.02)
    conduct = Conduct(1, scale)
    assert conduct.scale is scale
    assert conduct.judge(at(0, 10), at(20, 1)).finding is Finding.AGREES
    assert Conduct(1).judge(at(0, 10), at(20, 1)).finding is Finding.SHORT


@pytest.mark.parametrize(("after", "near"), [(1.4, True), (1.6, False)])
def test_near_is_near_by_what_readings_are_worth(after, near):
    conduct = Conduct(1, ReadingScale(0.5, 0.02))
    conduct.judge(at(0, 15), at(10, 10))
    assert conduct.sign_confirmed
    judged = conduct.judge(at(20, 0.8), at(20.8, after, 0.05))
    assert (judged.disputed, judged.struck) == (near, not near)
    wide = Conduct(1, near_um=6.0)
    wide.judge(at(0, 30), at(10, 20))
    assert wide.judge(at(20, 5.0), at(21, 5.9)).disputed
