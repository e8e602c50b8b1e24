"""What two readings say about the move between them: every border of it."""

import math

import pytest

from edge.decide.evidence import (
    CERTAIN,
    DRIFT_UM_PER_S,
    LEAST_SHARE,
    MOST_GAIN,
    Change,
    Finding,
    Reading,
    averaged,
    compare,
    improved,
    same,
)

HALF = 0.3 / math.sqrt(2)  # of each reading, so that the noise of both is 0.3
S = 1_000_000_000


def change(travel, right, half=HALF, age_s=0.0):
    """A move of `travel` um up, seen as `right` um in the predicted direction."""
    before = Reading(5.0, 1.0, half, 7 * S)
    return Change.between(
        before, Reading(5.0 + travel, 1.0 - right, half, 7 * S + int(age_s * S)), 1
    )


@pytest.mark.parametrize(
    ("d1", "d2", "moved", "finding"),
    [
        (10, 0, 10, Finding.AGREES),
        (10, 1, 10, Finding.AGREES),
        (10, 20, 10, Finding.OPPOSITE),
        (-10, -20, -10, Finding.OPPOSITE),
        (10, 10, 10, Finding.SHORT),
        (10, 6, 10, Finding.SHORT),
        (10, -8, 10, Finding.OVERSHOT),
        (0.3, 0.2, 0.2, Finding.NOTHING),
        (1, 1, 0, Finding.NOTHING),
        (1, 3, 0, Finding.SHORT),
        (3, 1, 0, Finding.SHORT),
    ],
)
def test_compare(d1, d2, moved, finding):
    before, after = Reading(5.0, d1, 0.3), Reading(5.0 + moved, d2, 0.3)
    assert compare(before, after, 1) is finding
    mirrored = Reading(5.0 - moved, d2, 0.3)
    assert compare(before, mirrored, -1) is finding


@pytest.mark.parametrize(
    ("travel", "right", "finding"),
    [
        # opposite: on the wrong side beyond the noise (0.3), and by a good part of the way
        (0.4, -0.29, Finding.SHORT),
        (0.4, -0.31, Finding.OPPOSITE),
        (0.1, -0.29, Finding.NOTHING),
        (0.1, -0.31, Finding.OPPOSITE),
        (4.0, -(4.0 * LEAST_SHARE) + 0.01, Finding.SHORT),
        (4.0, -(4.0 * LEAST_SHARE) - 0.01, Finding.OPPOSITE),
        # short and too much: off by more than 1.5 x the noise, and by more than half the way
        (0.44, 0.0, Finding.NOTHING),
        (0.46, 0.0, Finding.SHORT),
        (4.0, 2.01, Finding.AGREES),
        (4.0, 1.99, Finding.SHORT),
        (4.0, 5.99, Finding.AGREES),
        (4.0, 6.01, Finding.OVERSHOT),
        (0.5, 0.94, Finding.AGREES),
        (0.5, 0.96, Finding.OVERSHOT),
        # agrees: on the right side beyond the noise
        (0.4, 0.29, Finding.NOTHING),
        (0.4, 0.31, Finding.AGREES),
    ],
)
def test_the_borders(travel, right, finding):
    assert change(travel, right).finding is finding


def test_a_move_that_was_not_made_is_not_opposite_whatever_the_noise():
    """Play: 0.35 um of motor, nothing of glass, readings of 0.2 um that scatter by 0.07 um."""
    for off in (-0.2, -0.1, 0.0, 0.1, 0.2):
        assert compare(Reading(0, 0.35, 0.2), Reading(0.35, 0.35 + off, 0.2), 1) in (
            Finding.NOTHING,
            Finding.SHORT,
        )


def test_wide_intervals_say_nothing():
    assert compare(Reading(0, 1, 9.0), Reading(1, 2, 9.0), 1) is Finding.NOTHING
    assert compare(Reading(0, 1, 0.2), Reading(1, 2, 9.0), 1) is Finding.NOTHING
    assert compare(Reading(0, 1, 9.0), Reading(1, 2, 0.2), 1) is Finding.NOTHING


def test_a_reading_says_less_the_older_it_is():
    assert change(2.0, -2.0).finding is Finding.OPPOSITE
    assert change(2.0, -2.0, age_s=30).finding is Finding.OPPOSITE
    assert change(2.0, -2.0, age_s=600).finding is Finding.NOTHING
    assert change(2.0, -2.0, age_s=-600).finding is Finding.NOTHING  # whichever came first
    assert change(2.0, 0.0, age_s=10).noise_um == pytest.approx(0.3 + 10 * DRIFT_UM_PER_S)


def test_nan_agrees_with_nothing():
    assert compare(Reading(0, 1, 0.2), Reading(1, math.nan, 0.2), 1) is Finding.SHORT


@pytest.mark.parametrize(
    ("travel", "right", "engaged", "followed", "motionless"),
    [
        (4.0, 4.0, True, True, False),
        (4.0, 4.0 * LEAST_SHARE + 0.01, True, True, False),
        (4.0, 4.0 * LEAST_SHARE - 0.01, True, False, False),
        (4.0, 0.3 * CERTAIN + 0.01, True, False, False),
        (4.0, 0.3 * CERTAIN - 0.01, False, False, False),
        (4.0, 0.31, False, False, False),
        (4.0, 0.29, False, False, True),
        (4.0, -0.29, False, False, True),
        (4.0, -0.31, False, False, False),
        (0.4, -0.19, False, False, True),
        (0.4, -0.21, False, False, False),
    ],
)
def test_what_the_glass_did(travel, right, engaged, followed, motionless):
    verdict = change(travel, right)
    assert (verdict.engaged, verdict.followed, verdict.motionless) == (
        engaged,
        followed,
        motionless,
    )


def test_a_change_too_large_for_the_move():
    for side in (1, -1):
        assert not change(0.5, side * (0.5 * MOST_GAIN + 0.29)).unlike_a_move
        assert change(0.5, side * (0.5 * MOST_GAIN + 0.31)).unlike_a_move


def test_gain_is_what_was_seen_over_what_was_moved_within_bounds():
    assert change(1.0, 2.0).gain(near=True) == pytest.approx(2.0)
    assert change(1.0, 0.7).gain(near=True) == 1.0
    assert change(1.0, 1.4).gain(near=True) == pytest.approx(1.4)
    assert change(1.0, 1.4).gain(near=False) == 1.0
    assert change(1.0, 9.0).gain(near=True) == MOST_GAIN
    assert change(8.0, 11.0).gain(near=False) == 1.0
    assert change(8.0, 16.0).gain(near=False) == pytest.approx(2.0)  # too much by any measure


def test_two_readings_of_one_place():
    assert same(Reading(1, 4.0, 0.3), Reading(9, 4.6, 0.3))
    assert not same(Reading(1, 4.0, 0.3), Reading(9, 4.7, 0.3))
    assert not same(Reading(1, 4.0, 0.3), Reading(9, 3.3, 0.3))
    mean = averaged(Reading(1.0, 4.0, 0.3, 5), Reading(1.2, 5.0, 0.4, 8))
    assert mean == Reading(1.1, 4.5, pytest.approx(0.25), 8)


def test_improved():
    assert improved(Reading(0, 10, 0.3), Reading(10, 4, 0.3))
    assert not improved(Reading(0, 10, 0.3), Reading(10, 9.8, 0.3))
    assert not improved(Reading(0, 10, 0.3), Reading(10, -10, 0.3))
    assert improved(Reading(0, -10, 0.3), Reading(10, 9.57, 0.3))  # by more than the noise
    assert not improved(Reading(0, -10, 0.3), Reading(10, 9.58, 0.3))
    assert improved(Reading(0, 6, 3.9), Reading(10, 2.9, 3.9))  # or halfway
    assert not improved(Reading(0, 6, 3.9), Reading(10, 3.1, 3.9))


@pytest.mark.parametrize(
    ("travel", "right", "finding"),
    [
        (4.0, -5.0, Finding.SHORT),  # as much as the noise, in the wrong direction
        (4.0, -3.5, Finding.NOTHING),  # off by 1.5 times the noise
        (4.0, 11.5, Finding.AGREES),
        (4.0, 5.0, Finding.NOTHING),  # as much as the noise, in the right direction
        (20.0, 10.0, Finding.AGREES),  # half the travel
        (20.0, 30.0, Finding.AGREES),
        (20.0, -7.0, Finding.SHORT),  # the least share of the travel
    ],
)
def test_on_a_border_the_milder_word_counts(travel, right, finding):
    assert Change(travel, right, 5.0).finding is finding


def test_on_a_border_nothing_is_certain():
    assert not Change(4.0, 7.5, 5.0).engaged
    assert Change(100.0, 35.0, 5.0).engaged
    assert not Change(100.0, 35.0, 5.0).followed
    assert not Change(10.0, 5.0, 5.0).followed  # half the travel, and no more than the noise
    assert Change(4.0, 5.0, 5.0).motionless
    assert not Change(4.0, -2.0, 5.0).motionless
    assert not Change(40.0, -5.0, 5.0).motionless
    assert not Change(4.0, 17.0, 5.0).unlike_a_move
    assert not improved(Reading(0, 20, 3.0), Reading(9, 15, 4.0))


def test_the_numbers_themselves():
    """A reading of no known age is as old as the clock; 100 s of drift are 5 um."""
    before = Reading(0.0, 1.0, 3.0)
    assert before.time_ns == 0
    assert Change.between(before, Reading(2.0, 1.0, 4.0, 100 * S), 1) == Change(2.0, -0.0, 10.0)
    assert (LEAST_SHARE, CERTAIN, MOST_GAIN) == (0.35, 1.5, 3.0)


def test_findings_by_the_words_that_people_read():
    assert [finding.value for finding in Finding] == [
        "nothing", "agrees", "too little change", "opposite", "too much change",
    ]  # fmt: skip
