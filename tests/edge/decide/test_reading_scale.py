"""What a reading is worth: found from verified moves, and from nothing else."""

import math
import random

import pytest

from edge.decide.evidence import Change, Reading
from edge.decide.reading_scale import FAMILY, ReadingScale, Scale


def look(scale, share, travel=15.0, noise=0.6, lost=0.0):
    scale.learn(Change(travel, share * travel, noise), lost)


def test_two_moves_that_say_the_same_are_known():
    scale = ReadingScale()
    assert (scale.value, scale.known) == (1.0, False)
    assert scale.summary.interval == pytest.approx(1.96 * FAMILY)
    look(scale, 0.80)
    assert not scale.known
    assert scale.value == pytest.approx(0.80, abs=0.02)  # acted on, and not yet believed
    look(scale, 0.82)
    assert scale.known
    assert scale.value == pytest.approx(0.81, abs=0.02)
    assert 0.03 < scale.summary.interval < 0.09
    assert scale.summary.jumps == 0


def test_within_its_own_doubt_one_is_one():
    scale = ReadingScale()
    for share in (0.97, 1.05, 1.02, 0.96):
        look(scale, share)
        assert scale.value == 1.0
        assert scale.worth(Reading(1.0, 7.0, 0.5, 3)) == Reading(1.0, 7.0, 0.5, 3)


def test_a_turned_iris_is_told_and_widens_at_once():
    scale = ReadingScale()
    for _ in range(6):
        look(scale, 0.82)
    narrow = scale.summary
    look(scale, 1.2)
    wide = scale.summary
    assert wide.jumps == 1
    assert not wide.known
    assert wide.interval > 1.5 * narrow.interval
    look(scale, 1.2)
    assert scale.known
    assert scale.value == pytest.approx(1.2, abs=0.03)
    assert scale.summary.jumps == 1


@pytest.mark.parametrize("share", [0.39, 0.1, 1.61, 3.0])
def test_beyond_the_bounds_nothing_is_learned(share):
    scale = ReadingScale()
    for _ in range(5):
        look(scale, share)
    assert scale.value == 1.0
    assert not scale.known
    assert scale.summary.interval == pytest.approx(1.96 * FAMILY)


@pytest.mark.parametrize(("travel", "noise"), [(5.9, 0.1), (15.0, 3.2)])
def test_small_moves_and_noisy_readings_tell_nothing(travel, noise):
    scale = ReadingScale()
    for _ in range(5):
        look(scale, 0.8, travel, noise)
    assert scale.summary.interval == pytest.approx(1.96 * FAMILY)
    scale = ReadingScale(unit=2.0)  # nor do moves that are small on this instrument
    look(scale, 0.8, 7.9)
    assert scale.value == 1.0


def test_where_play_may_have_eaten_a_part_nothing_is_learned():
    scale = ReadingScale()
    for _ in range(5):
        look(scale, 0.8, lost=2.0)
    assert scale.summary.interval == pytest.approx(1.96 * FAMILY)
    look(scale, 0.8, lost=0.5)  # too little to matter
    assert scale.value == pytest.approx(0.8, abs=0.02)


def test_a_calibrated_scale_is_known_from_the_start():
    scale = ReadingScale(0.85, 0.04)
    assert scale.known
    assert scale.value == pytest.approx(0.85)
    assert scale.summary.interval == pytest.approx(0.04 / 0.85)
    look(scale, 1.3)
    assert scale.summary.jumps == 1
    scale.restart()
    assert scale.value == pytest.approx(0.85)


def test_what_is_not_said_is_this():
    assert Scale() == Scale(value=1.0, interval=0.49, known=False, jumps=0)
    assert ReadingScale().summary == Scale()
    assert ReadingScale(0.85, 0.001).summary.interval == pytest.approx(1.96e-3)  # at best
    calibrated = ReadingScale(0.8, 0.02)
    assert calibrated.worth(Reading(1.0, 7.2, 0.4, 3)) == Reading(1.0, 9.0, 0.5, 3)


@pytest.mark.parametrize("seed", range(3))
def test_the_filter_by_hand(seed):
    """On the logarithm: 0.25 at first, 0.04 a look at best and its own noise, 0.01 of drift."""
    dice = random.Random(seed)
    scale = ReadingScale()
    log, variance, looks, jumps = 0.0, 0.25**2, 0, 0
    for turn in range(30):
        share = (0.75, 1.3)[turn // 6 % 2] * dice.uniform(0.95, 1.05)
        travel, noise = dice.uniform(8.0, 20.0), dice.uniform(0.1, 1.0)
        scale.learn(Change(travel, share * travel, noise), 0.0)
        look, spread = math.log(share), (noise / 1.96 / (share * travel)) ** 2 + 0.04**2
        if looks and abs(look - log) > 3.0 * math.sqrt(variance + spread):
            jumps += looks >= 2 and math.sqrt(variance) <= 0.1
            log, variance, looks = 0.0, 0.25**2, 0
        weight = (variance + 0.01**2) / (variance + 0.01**2 + spread)
        log, variance = log + weight * (look - log), (variance + 0.01**2) * (1.0 - weight)
        looks += 1
        assert (scale._log, scale._variance) == pytest.approx((log, variance), rel=1e-9)
        assert (scale._looks, scale.summary.jumps) == (looks, jumps)
        assert scale.known is (looks >= 2)
        value = math.exp(log) if abs(log) > 2.0 * math.sqrt(variance) else 1.0
        expected = value if looks >= 2 or 0.6 <= value <= 1.35 else 1.0
        assert scale.summary == Scale(
            pytest.approx(expected), pytest.approx(1.96 * math.sqrt(variance)), looks >= 2, jumps
        )
    assert jumps == 4


def test_a_first_look_far_from_what_was_told_is_no_jump():
    """A value without its interval is where the filter begins, as doubtful as any."""
    scale = ReadingScale(0.6)
    look(scale, 1.6, 10.0, 0.0)
    weight = (0.25**2 + 0.01**2) / (0.25**2 + 0.01**2 + 0.04**2)
    assert scale._log == pytest.approx(math.log(0.6) + weight * math.log(1.6 / 0.6))


@pytest.mark.parametrize(
    ("travel", "share", "noise", "lost", "learned"),
    [
        (10.0, 0.4, 0.1, 0.0, True), (10.0, 1.6, 0.1, 0.0, True), (10.0, 0.3999, 0.1, 0.0, False),
        (10.0, 1.6001, 0.1, 0.0, False), (10.0, 0.79, 0.1, 0.0, True), (10.0, 0.81, 0.1, 0.0, True),
        (6.0, 1.0, 0.1, 0.0, True), (math.nextafter(6.0, 0.0), 1.0, 0.1, 0.0, False),
        (8.0, 1.0, 2.0, 0.0, True), (8.0, 1.0, math.nextafter(2.0, 3.0), 0.0, False),
        (8.0, 1.0, math.nan, 0.0, False), (10.0, 1.0, 0.1, 0.04 * 10.0, True),
        (10.0, 1.0, 0.1, math.nextafter(0.04 * 10.0, 1.0), False),
    ],
)  # fmt: skip
def test_what_a_move_must_be_to_tell_something(travel, share, noise, lost, learned):
    scale = ReadingScale()
    look(scale, share, travel, noise, lost)
    assert (scale.summary.interval < 0.49) is learned


def test_moves_are_as_long_as_the_instruments_micrometres():
    for unit, travel, learned in ((2.0, 12.0, True), (2.0, 11.9, False), (0.5, 3.0, True)):
        scale = ReadingScale(unit=unit)
        look(scale, 1.0, travel, 0.1)
        assert (scale.summary.interval < 0.49) is learned


@pytest.mark.parametrize(
    ("looks", "sd", "known"),
    [(2, 0.1, True), (2, 0.1001, False), (1, 0.01, False), (3, 0.06, True)],
)
def test_known_are_two_looks_within_a_tenth(looks, sd, known):
    scale = ReadingScale()
    scale._looks, scale._variance = looks, sd**2
    assert math.sqrt(0.1**2) == 0.1
    assert scale.known is known


@pytest.mark.parametrize(
    ("value", "acted_on"), [(0.6, True), (1.35, True), (0.5999, False), (1.3501, False)]
)
def test_of_one_look_not_everything_is_acted_on(value, acted_on):
    scale = ReadingScale()
    scale._beyond_doubt = lambda log, variance: value
    scale._looks = 1
    assert scale.value == (value if acted_on else 1.0)
    scale._looks, scale._variance = 2, 0.05**2
    assert scale.value == value


@pytest.mark.parametrize(("log", "one"), [(0.5, True), (-0.5, True), (0.51, False), (-0.51, False)])
def test_two_standard_deviations_from_one_are_one(log, one):
    assert ReadingScale._beyond_doubt(log, 0.25**2) == (1.0 if one else math.exp(log))


def test_exactly_three_standard_deviations_are_no_jump():
    spread = 0.04**2  # of a look without noise
    for thousandth in range(500, 900):
        look_log = math.log((thousandth / 1e3 * 10.0) / 10.0)
        variance = (look_log / 3.0) ** 2 - spread
        if 3.0 * math.sqrt(variance + spread) == abs(look_log):
            break
    else:
        pytest.fail("no such case")
    scale = ReadingScale()
    scale._looks, scale._variance = 2, variance
    scale.learn(Change(10.0, thousandth / 1e3 * 10.0, 0.0), 0.0)
    assert scale._looks == 3
    scale.restart()
    scale._looks, scale._variance = 2, math.nextafter(math.nextafter(variance, 0.0), 0.0) * 0.999999
    scale.learn(Change(10.0, thousandth / 1e3 * 10.0, 0.0), 0.0)
    assert scale._looks == 1


@pytest.mark.parametrize("share", [0.62, 0.7, 0.9, 1.1, 1.3, 1.6])
def test_nothing_told_the_interval_holds_for_every_iris_of_the_family(share):
    """Apertures 0.45 to 0.9 of the objective's read 0.64 to 1.29 um for each."""
    true_um = 20.0
    interval_um = Scale().interval_um(share * true_um, 0.3)
    assert abs(share * true_um - true_um) <= interval_um
    known = Scale(share, 0.02, known=True)
    assert known.interval_um(share * true_um, 0.0) == pytest.approx(true_um * math.expm1(0.02))
    assert known.interval_um(0.0, 0.3) == pytest.approx(0.3 / share)


@pytest.mark.parametrize("share", [0.64, 1.29])
def test_one_move_is_enough_for_every_iris_of_the_family(share):
    """0.64 um for each is an aperture of 0.45: it was not acted on before a second move."""
    scale = ReadingScale()
    look(scale, share)
    assert scale.value == pytest.approx(share, abs=0.02)
