"""The axis agrees with its model where it is turned in mid-move, braked or halted, and on random
histories."""

from __future__ import annotations

import random

from tests.support.axis_twins import HIGH, LOW, ODD_STEP, USUAL, Twins
from tests.support.motion_core import BRAKING, MOVING
from tests.support.motion_model import nearest


def test_turned_in_mid_move() -> None:
    for backlash in (0, 2_000, -2_000, 60_000):
        for after in (1, 99, 101, 180, 260):
            for target in (5_000_000, 4_600_000, 5_120_000, 5_500_000):
                twins = Twins(USUAL, 5_000_000, backlash_nm=backlash)
                assert twins.start(5_450_000)
                twins.ticks(after)
                for near in (-60_000, -2_000, -50, 0, 50, 1_950, 2_000, 60_000):
                    rest_nm = nearest(twins.model.place // 256 + near, 50)
                    twins.asked(rest_nm)
                assert twins.start(target)
                twins.ticks(60)
                assert twins.start(target + 3_000)
                twins.rest()


def test_where_it_would_rest_is_known_to_the_nanometre() -> None:
    """What lies behind that place is turned for, and what lies ahead is not."""
    for backlash in (2_000, -2_000):
        for target in (5_030_050, 4_969_950):  # no whole number of ramps: speeds below one tick's
            twins = Twins(USUAL, 5_000_000, backlash_nm=backlash)
            assert twins.start(target)
            while twins.model.moves():
                twins.ticks(1)
                rest_nm = twins.model.rest() // 256
                for near in (-2_000, -1, 0, 1, 2_000):
                    twins.asked(rest_nm + near)


def test_braked_and_halted() -> None:
    for stop in (Twins.brake, Twins.halt):
        for after in (0, 1, 2, 57, 150, 320):
            for target in (5_450_000, 4_550_000):
                twins = Twins(USUAL, 5_000_000, backlash_nm=2_000, settle_ms=3)
                stop(twins)  # at rest it does nothing
                assert twins.start(target)
                twins.ticks(after)
                stop(twins)
                assert twins.model.phase == BRAKING
                stop(twins)
                twins.rest()
                assert twins.start(5_000_000)
                assert twins.model.phase == MOVING
                twins.rest()


def test_a_lower_speed_in_force_and_a_start_while_braking() -> None:
    twins = Twins(USUAL, 5_000_000, backlash_nm=2_000)
    assert twins.configure(speed_nm_s=150_000)
    assert twins.start(5_020_000)
    twins.rest()
    assert twins.configure(speed_nm_s=2_000_000)
    assert twins.start(5_400_000)
    twins.ticks(90)
    twins.brake()
    twins.ticks(20)
    assert twins.start(5_300_000)  # the core is asked again before it rests
    twins.rest()


def histories(seed: int, count: int) -> None:
    dice = random.Random(seed)
    for _ in range(count):
        limits = dice.choice((USUAL, USUAL, ODD_STEP, HIGH, LOW))
        middle = (limits.hard_min_nm + limits.hard_max_nm) // 2
        backlash = dice.choice((0, 40 * limits.nm_per_step, -40 * limits.nm_per_step, 20_000))
        twins = Twins(limits, middle, backlash_nm=backlash, settle_ms=dice.choice((0, 4)))
        for _ in range(6):
            act = dice.random()
            if act < 0.75:
                twins.start(middle + dice.randrange(-150_000, 150_000))
            elif act < 0.9:
                twins.brake()
            else:
                twins.halt()
            twins.ticks(dice.choice((0, 1, 17, 60, 140)))
        twins.rest()


def test_a_few_random_histories() -> None:
    """What most mistakes are seen by at once."""
    histories(1, 3)


def test_random_histories() -> None:
    histories(5, 40)
