"""The axis agrees with its model at every tick, on ways that a host can ask for and on ways that
it cannot: turned in mid-move, braked, halted, at the ends of 32 bits.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

from tests.support.axis_twins import AXES, BOTTOM, FAST, TOP, USUAL, WIDE, Twins
from tests.support.motion_model import nearest


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
