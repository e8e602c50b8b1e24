"""Where motion may be lost: nowhere the nut is known to be pushed, and never more than any play."""

import math

import pytest

from edge.decide.play import MOST_PLAY_UM, Play


def test_before_anything_followed_any_move_may_be_lost_but_no_more_than_the_play():
    play = Play()
    assert play.may_lose_um(3.0, 5.0) == 2.0
    assert play.may_lose_um(5.0, 3.0) == 2.0
    assert play.may_lose_um(0.0, 50.0) == MOST_PLAY_UM
    assert play.lost_um == 0.0


@pytest.mark.parametrize("way", [1, -1])
def test_where_the_glass_followed_it_must_follow_on_and_may_lose_back(way):
    play = Play()
    play.followed(way * 2.0, way * 10.0)
    assert play.may_lose_um(way * 10.0, way * 14.0) == 0.0
    assert play.may_lose_um(way * 10.0, way * 7.0) == 3.0
    assert play.may_lose_um(way * 10.0, way * -50.0) == MOST_PLAY_UM
    assert play.may_lose_um(way * 7.0, way * 12.0) == 3.0  # as far as it was pushed, no farther


def test_what_was_lost_adds_up_and_leaves_less():
    play = Play()
    play.followed(0.0, 10.0)
    play.lost(10.0, 6.0)
    assert play.lost_um == 4.0
    play.lost(6.0, 1.0)
    assert play.lost_um == 9.0
    assert play.may_lose_um(1.0, -9.0) == pytest.approx(MOST_PLAY_UM - 9.0)
    play.followed(1.0, -4.0)
    assert play.lost_um == 0.0
    assert play.may_lose_um(-4.0, -9.0) == 0.0


def test_back_and_forth_loses_the_way_only_once():
    play = Play()
    for _ in range(3):
        play.lost(0.0, 5.0)
        play.lost(5.0, 0.0)
    assert play.lost_um == 5.0
    assert play.may_lose_um(0.0, 50.0) == MOST_PLAY_UM
    assert play.may_lose_um(5.0, 50.0) == MOST_PLAY_UM - 5.0
    assert play.may_lose_um(0.0, -50.0) == MOST_PLAY_UM - 5.0


def test_it_forgets():
    play = Play()
    play.followed(0.0, 10.0)
    play.lost(10.0, 5.0)
    play.forget()
    assert play.lost_um == 0.0
    assert play.may_lose_um(10.0, 14.0) == 4.0
    assert not math.isnan(play.may_lose_um(0.0, 0.0))


def test_no_more_than_12_um_whatever_happened():
    play = Play()
    assert play.may_lose_um(0.0, 100.0) == 12.0
    play.followed(0.0, 100.0)
    assert play.may_lose_um(100.0, 0.0) == 12.0
