"""Motion that moved nothing: what play excuses, when a way is closed, and what opens it."""

import pytest

from edge.decide.conduct import NEAR_UM, UNPROVEN_UM, Conduct, Judged
from edge.decide.evidence import Finding
from edge.decide.play import MOST_PLAY_UM
from tests.support.known_moves import at, confirmed


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
