"""What is held against the stage, for how long, and what wipes it out."""

import pytest

from edge.decide.conduct import NEAR_UM, SIGN, STRIKES, UNPROVEN_UM, Conduct, Judged
from edge.decide.evidence import Finding, Reading
from edge.decide.play import MOST_PLAY_UM
from edge.decide.reading_scale import ReadingScale, Scale


def at(z, d, half=0.2):
    return Reading(z, d, half)


def confirmed():
    """A stage that followed upwards to z = 10, where focus is 20 um away."""
    conduct = Conduct(1)
    conduct.judge(at(0, 30), at(10, 20))
    assert (conduct.sign_confirmed, conduct.strikes) == (True, 0)
    return conduct


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


def test_lost_after_a_reversal_is_no_strike():
    conduct = confirmed()
    judged = conduct.judge(at(10, -4), at(6, -4))
    assert (judged.lost, judged.struck, conduct.strikes) == (True, False, 0)
    half = conduct.judge(at(6, -4), at(2, -3))
    assert (half.finding, half.lost, half.struck) == (Finding.SHORT, False, False)


def test_lost_where_it_has_to_follow_is_a_strike():
    conduct = confirmed()
    judged = conduct.judge(at(10, 4), at(14, 4))
    assert (judged.lost, judged.struck, conduct.strikes) == (False, True, 1)
    assert conduct.judge(at(14, 4), at(18, 4)).shutdown.endswith("predicted (too little change)")


def test_after_a_hand_the_play_is_not_known():
    conduct = confirmed()
    conduct.moved_by_another()
    assert conduct.judge(at(30, 4), at(34, 4)).lost


def test_a_stage_never_seen_to_follow_may_lose_one_move_or_small_ones():
    for travel in (UNPROVEN_UM, 3.0):
        conduct = Conduct(1)
        judged = conduct.judge(at(0, travel), at(travel, travel))
        assert (judged.lost, conduct.strikes) == (True, 1)
        assert conduct.judge(at(travel, travel), at(2 * travel, 0)).finding is Finding.AGREES
        assert conduct.strikes == 0
    conduct = Conduct(1)
    assert not conduct.judge(at(0, 10), at(10, 10)).lost  # too far for play


def test_a_stage_never_seen_to_follow_is_given_up():
    conduct, z = Conduct(1), 0.0
    messages = []
    while not (messages and messages[-1]):
        messages.append(conduct.judge(at(z, 3), at(z + 3, 3)).shutdown)
        z += 3
    assert z == 9.0
    assert messages[-1].endswith("predicted (too little change)")


def test_more_than_any_play_is_stuck_that_way_until_it_follows_or_another_field():
    conduct, z = confirmed(), 10.0
    while not conduct.stuck_um(upwards=False):
        judged = conduct.judge(at(z, -4), at(z - 4, -4))
        assert judged.lost
        assert not judged.struck
        z -= 4
    assert MOST_PLAY_UM < conduct.stuck_um(upwards=False) <= MOST_PLAY_UM + 4
    assert conduct.stuck_um(upwards=True) == 0.0
    conduct.judge(at(z, 4), at(z + 4, 0))
    assert conduct.stuck_um(upwards=False) == 0.0


def test_near_focus_a_confirmed_stage_is_not_to_blame():
    conduct = confirmed()
    inside, outside = NEAR_UM - 0.1, NEAR_UM + 0.1
    judged = conduct.judge(at(20, 1), at(21, inside))
    assert (judged.finding, judged.disputed, judged.struck) == (Finding.OPPOSITE, True, False)
    judged = conduct.judge(at(30, 1.2), at(31.2, outside))
    assert (judged.disputed, judged.struck, conduct.strikes) == (False, True, 1)
    unproven = Conduct(1)
    assert unproven.judge(at(20, 1), at(21, inside)).struck


def test_a_change_no_move_can_have_made_is_not_its_doing():
    conduct = confirmed()
    assert conduct.judge(at(20, 1), at(21, 9)).disputed
    assert conduct.strikes == 0


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


def test_a_glass_that_follows_in_neither_direction_ends_it():
    conduct = confirmed()
    down = [conduct.judge(at(z, 20), at(z - 7, 20)) for z in (10, 3)]
    assert [one.shutdown for one in down] == ["", ""]
    assert conduct.stuck_um(upwards=False) == 14.0
    up = [conduct.judge(at(z, 20), at(z + 7, 20)) for z in (-4, 3)]
    assert up[0].shutdown == ""
    assert up[1].shutdown == "the glass follows in neither direction: 14.0 um were lost"


def closed_downwards():
    """14 um of motion were lost on the way back."""
    conduct = confirmed()
    for z in (10, 3):
        conduct.judge(at(z, 20), at(z - 7, 20))
    assert (conduct.stuck_um(upwards=False), conduct.stuck_um(upwards=True)) == (14.0, 0.0)
    return conduct


def test_a_hand_on_the_knob_opens_a_closed_way():
    conduct = closed_downwards()
    conduct.moved_by_another()
    assert conduct.stuck_um(upwards=False) == 0.0
    for z in (0, 7):
        judged = conduct.judge(at(z, 20), at(z + 7, 20))
    assert judged.shutdown == ""  # what was dead before is not known any more


def test_another_field_opens_a_closed_way():
    conduct = closed_downwards()
    conduct.new_field()
    assert conduct.stuck_um(upwards=False) == 0.0


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


@pytest.mark.parametrize(
    ("to", "reading"),
    [
        (-4, 0.0),  # 14 um at once: more than any play
        (6, 0.35),  # a little was seen, hardly beyond the noise: it is not motionless
        (6, -0.3),
        (-4, 0.9),  # of 2 um that the play leaves, less than half
    ],
)
def test_what_play_does_not_excuse(to, reading):
    judged = confirmed().judge(at(10, 20), at(to, 20 + reading))
    assert (judged.finding, judged.struck, judged.lost) == (Finding.SHORT, True, False)


@pytest.mark.parametrize(("to", "reading", "lost"), [(-1, 0.0, True), (-4, 1.0, False)])
def test_what_play_excuses_once_the_sign_is_sure(to, reading, lost):
    judged = confirmed().judge(at(10, 20), at(to, 20 + reading))
    assert judged == Judged(Finding.SHORT, lost=lost)


def test_play_is_excused_by_its_half_or_by_the_noise():
    assert confirmed().judge(at(10, 20), at(-4, 21.2)) == Judged(Finding.SHORT)
    assert confirmed().judge(at(10, 20, 2), at(-6, 20, 2)) == Judged(Finding.SHORT, lost=True)


def test_before_the_sign_is_sure_lost_motion_is_a_strike_and_more_than_8_um_the_last():
    conduct = Conduct(1)
    first = conduct.judge(at(0, 20), at(5, 20))
    assert first == Judged(Finding.SHORT, struck=True, lost=True)
    assert conduct.judge(at(5, 20), at(10, 20)) == Judged(
        Finding.SHORT, struck=True,
        shutdown="2 moves in a row did not do what was predicted (too little change)",
    )  # fmt: skip
    other = Conduct(1)
    other.judge(at(0, 20), at(5, 20))
    beyond = other.judge(at(5, 20), at(14, 20))
    assert (beyond.lost, beyond.struck, beyond.shutdown != "") == (False, True, True)


@pytest.mark.parametrize(
    ("first", "second", "reading"),
    [
        (3, -4, 0.35),  # something was seen
        (9, 14, 0.0),  # 5 um are no play's end
        (3, 15, 0.0),  # nor are 12
    ],
)
def test_which_way_is_not_closed(first, second, reading):
    conduct = confirmed()
    assert conduct.judge(at(10, 20), at(first, 20)).lost
    side = 1 if second < first else -1
    judged = conduct.judge(at(first, 20), at(second, 20 + side * reading))
    assert (judged.struck, judged.lost) == (True, False)
    assert conduct.stuck_um(True) == conduct.stuck_um(False) == 0.0


def test_a_way_that_follows_again_is_not_dead_any_more():
    conduct = closed_downwards()
    assert conduct.judge(at(-4, 20), at(-14, 30)).finding is Finding.AGREES
    assert conduct.judge(at(-14, 30), at(-7, 30)).lost
    judged = conduct.judge(at(-7, 30), at(0, 30))
    assert (judged.lost, judged.shutdown) == (True, "")
    assert conduct.stuck_um(upwards=True) == 14.0


def test_after_a_closed_way_the_other_begins_anew():
    judged = closed_downwards().judge(at(-4, 20), at(10, 20))
    assert (judged.struck, judged.lost, judged.shutdown) == (True, False, "")


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
    assert play.scale.told == Scale()
    without.judge(*EIGHT_OF_TEN)  # it is not said to have ended where it should
    assert without.scale.told == Scale()
    without.judge(*EIGHT_OF_TEN, ended=True)
    assert without.scale.told.value < 1.0
    without.restart()
    assert without.scale.told == Scale()
    follows = confirmed()
    follows.judge(at(10, 20), at(20, 12), ended=True)  # nothing is lost going on
    assert follows.scale.told.interval < Scale().interval


@pytest.mark.parametrize(("near_um", "why"), [(3.0, "struck"), (60.0, "disputed")])
def test_a_move_that_speaks_against_anybody_tells_nothing_of_the_scale(near_um, why):
    conduct = Conduct(1, near_um=near_um)
    conduct.judge(at(0, 90), at(10, 80))
    judged = conduct.judge(at(10, 50), at(210, -35), ended=True)  # too far for any play
    assert (judged.finding, getattr(judged, why)) == (Finding.SHORT, True)
    assert conduct.scale.told == Scale()


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
