"""The axis agrees with its model at every tick, on ways that a host can ask for and on ways that
it cannot: turned in mid-move, braked, halted, at the ends of 32 bits.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

import random
from dataclasses import replace

from tests.support.motion_core import BRAKING, MOVING, Limits, MotionCore
from tests.support.motion_model import MotionModel, nearest

USUAL = Limits()
TOP, BOTTOM = 2**31 - 1, -(2**31)
ODD_STEP = Limits(-1_000_000, 1_000_000, 37, 300_000, 1_000_000)
HIGH = Limits(TOP - 4_000_000, TOP - 100, 50, 2_000_000, 20_000_000)
LOW = Limits(BOTTOM + 100, BOTTOM + 4_000_000, 64, 2_000_000, 20_000_000)
WIDE = Limits(BOTTOM, TOP, 50, 2_000_000, 20_000_000)
FAST = Limits(-2_000_000_000, 2_000_000_000, 1_000, 2_000_000_000, 2_000_000_000)
SLOW = Limits(-1_000, 1_000, 1, 40, 3_000)  # an acceleration that is rounded up to the smallest
AXES = (USUAL, ODD_STEP, HIGH, LOW, FAST, SLOW)


class Twins:
    """Core and model side by side; every answer of both is compared."""

    def __init__(self, limits: Limits, start_nm: int, **settings: int) -> None:
        self.limits = limits
        self.core, self.model = MotionCore(limits, start_nm), MotionModel(limits, start_nm)
        self.same_settings()
        self.configure(z_min_nm=limits.hard_min_nm, z_max_nm=limits.hard_max_nm,
                       speed_nm_s=limits.speed_nm_s, **settings)  # fmt: skip

    def configure(self, **changes: int) -> bool:
        wanted = replace(self.model.settings, **changes)
        taken = self.core.configure(wanted)
        assert taken == self.model.configure(wanted), wanted
        self.same_settings()
        return taken

    def same_settings(self) -> None:
        core, model = self.core, self.model
        assert core.settings == model.settings
        assert core.state.speed_q8 == model.settings.speed_nm_s * 256 // 1000
        assert core.state.accel_q8 == model.accel
        self.same()

    def same(self) -> None:
        state, model = self.core.state, self.model
        assert (
            state.position_q8, state.velocity_q8, state.approach_q8, state.phase, state.goal_nm,
            state.target_nm, state.settle_ticks, self.core.position_nm, self.core.moves(),
        ) == (
            model.place, model.velocity, model.approach, model.phase, model.goal_nm,
            model.target_nm, model.settle, model.position_nm, model.moves(),
        )  # fmt: skip

    def asked(self, target_nm: int) -> bool:
        """The questions about a target; True when it may be moved to."""
        core, model = self.core, self.model
        assert core.allows(target_nm) == model.allows(target_nm), target_nm
        assert core.descends(target_nm) == model.descends(target_nm), target_nm
        assert core.ascends(target_nm) == model.ascends(target_nm), target_nm
        return model.allows(target_nm)

    def start(self, target_nm: int) -> bool:
        rounded = nearest(target_nm, self.limits.nm_per_step)
        assert self.core.round_nm(target_nm) == rounded
        if not (self.asked(target_nm) and self.asked(rounded)):
            return False
        self.core.start(rounded)
        self.model.start(rounded)
        self.same()
        return True

    def ticks(self, count: int) -> None:
        for _ in range(count):
            event = self.core.tick()
            assert event == self.model.tick()
            self.same()
            if self.model.moves():
                for since_us in (0, 333, 1000):
                    there = self.core.between_nm(since_us)
                    assert there == self.model.between_nm(since_us)

    def rest(self, most: int = 200_000) -> None:
        """To the end, and a little longer."""
        while self.model.phase and most:
            self.ticks(1)
            most -= 1
        assert most, "it never comes to rest"
        self.ticks(3)

    def brake(self) -> None:
        self.core.brake()
        self.model.brake()
        self.same()

    def halt(self) -> None:
        self.core.halt()
        self.model.halt()
        self.same()


def test_a_move_its_dip_and_its_rest() -> None:
    for backlash in (0, 2_000, -2_000, 30_000, 40, -24, 75):
        twins = Twins(USUAL, 5_000_000, backlash_nm=backlash, settle_ms=7)
        for target in (5_010_000, 5_010_050, 4_900_000, 4_899_950, 5_400_000, 5_000_024):
            assert twins.start(target)
            twins.rest()
            assert twins.core.position_nm == nearest(target, 50)


def test_every_axis_at_boot_and_a_short_way() -> None:
    for limits in AXES:
        middle = (limits.hard_min_nm + limits.hard_max_nm) // 2
        twins = Twins(limits, middle, backlash_nm=3 * limits.nm_per_step, settle_ms=2)
        for target in (middle + 7 * limits.nm_per_step, middle):
            twins.start(target)
            twins.rest()


def test_fast_and_far_beyond_32_bits_of_arithmetic() -> None:
    """20 mm in 20 ticks: ways, goals and places times 256 need more."""
    twins = Twins(FAST, 0)
    for target in (20_000_000, -20_000_000):
        assert twins.start(target)
        twins.rest()


def test_a_backlash_of_nearly_the_whole_axis() -> None:
    for backlash, place in ((9_000_000, 9_600_000), (-9_000_000, 400_000)):
        twins = Twins(USUAL, place, backlash_nm=backlash)
        for off in (-50, 0, 50):
            assert twins.asked(place + off)


def test_a_turn_beyond_32_bits_is_outside_every_window() -> None:
    for backlash, target in ((-1_000, TOP - 10), (1_000, BOTTOM + 10)):
        twins = Twins(WIDE, 0, backlash_nm=backlash)
        assert not twins.asked(target)


def test_what_needs_no_turn_may_end_where_one_would_leave_the_window() -> None:
    twins = Twins(USUAL, 5_000_000, backlash_nm=2_000)
    assert twins.start(5_003_000)
    twins.rest()
    assert twins.configure(z_min_nm=5_002_000, z_max_nm=5_004_000)
    assert twins.asked(5_003_050)
    assert not twins.asked(5_002_950)  # that has to come from below
    assert twins.configure(z_min_nm=5_000_000)
    assert twins.asked(5_002_950)
    assert not twins.asked(5_004_050)


def test_a_target_outside_the_window_is_none_where_its_turn_lies_inside() -> None:
    for backlash, target in ((2_000, 5_001_050), (-2_000, 4_998_950)):
        twins = Twins(USUAL, 5_000_000, backlash_nm=backlash)
        assert twins.configure(z_min_nm=4_999_000, z_max_nm=5_001_000)
        assert not twins.asked(target)


def test_who_stands_is_not_braked() -> None:
    twins = Twins(USUAL, 5_000_000, settle_ms=3)
    twins.brake()
    twins.halt()
    assert twins.start(5_000_050)
    twins.rest()
    twins.brake()
    twins.halt()
    twins.ticks(2)


def test_every_axis_from_end_to_end() -> None:
    for limits in AXES:
        middle = (limits.hard_min_nm + limits.hard_max_nm) // 2
        quarter = (limits.hard_max_nm - limits.hard_min_nm) // 4
        for way in (1, quarter // 1000, quarter // 20):
            twins = Twins(limits, middle, backlash_nm=3 * limits.nm_per_step, settle_ms=1)
            for target in (middle + way, middle - way, middle):
                twins.start(target)
                twins.rest()


def test_the_ends_of_the_window_to_the_nanometre() -> None:
    for backlash in (0, 2_000, -2_000):
        twins = Twins(USUAL, 5_000_000, backlash_nm=backlash)
        assert twins.configure(z_min_nm=4_999_975, z_max_nm=5_010_025)
        for end in (4_999_975, 5_010_025):
            for inside in (0, 2_000, -2_000):
                for off in (-51, -50, -1, 0, 1, 50, 51):
                    twins.asked(end + inside + off)
                    twins.start(end + inside + off)
                    twins.rest()
        for far in (TOP, BOTTOM, 2**40, -(2**40)):
            assert not twins.asked(far)


def test_settings_at_their_limits() -> None:
    twins = Twins(USUAL, 5_000_000)
    for changes in (
        {"z_min_nm": -1}, {"z_max_nm": 10_000_001}, {"z_min_nm": 10_000_000}, {"settle_ms": -1},
        {"z_min_nm": 10_000_001}, {"speed_nm_s": 0}, {"speed_nm_s": 2_000_001},
        {"speed_nm_s": -1},
    ):  # fmt: skip
        assert not twins.configure(**changes), changes
    for changes in ({"z_min_nm": 9_999_999}, {"z_min_nm": 0}, {"speed_nm_s": 1},
                    {"speed_nm_s": 2_000_000}, {"settle_ms": 0}):  # fmt: skip
        assert twins.configure(**changes), changes
    assert twins.start(5_400_000)
    twins.ticks(40)
    assert not twins.configure(settle_ms=1)
    twins.brake()
    assert not twins.configure(settle_ms=1)
    twins.rest()
    assert twins.configure(settle_ms=1)


def test_what_was_come_is_kept_within_a_new_backlash() -> None:
    twins = Twins(USUAL, 5_000_000, backlash_nm=2_000)
    assert twins.start(5_100_000)
    twins.rest()
    for backlash in (500, 3_000, -3_000, 2_000, -500, 0, 2_000):
        assert twins.configure(backlash_nm=backlash)
        for off in (50, -50, 450, 500, 1_950, 2_000, 3_000, -2_000):
            twins.asked(5_100_000 + off)


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
