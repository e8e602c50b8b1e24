"""Whether a controller still counts from where it did, from readings alone, on virtual time."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.stages.origin import HAND_UM, HAND_UM_S, Origin
from firmware_bridge.stages.rest_detector import Reading

MS = 1_000_000
POLL = 50 * MS


def origin(z_um: float = 80.0) -> Origin:
    made = Origin(still_um=0.1, step_um=0.025)
    assert made.lost(Reading(z_um, moving=False), 0, None) == ""  # nothing is known before
    made.note(Reading(z_um, moving=False), 0, None)
    return made


def at_rest(z_um: float) -> Reading:
    return Reading(z_um, moving=False)


@pytest.mark.parametrize("z_um", [80.0, 3.0, 0.3, -0.2])
def test_exactly_0_at_rest_is_a_restart(z_um: float) -> None:
    assert "exactly 0" in origin(z_um).lost(at_rest(0.0), POLL, None)


def test_a_hand_that_was_seen_turning_may_pass_0() -> None:
    made = origin(3.0)
    for number, z_um in enumerate((2.0, 1.0, 0.0, -1.0), 1):
        assert made.lost(at_rest(z_um), number * POLL, None) == ""
        made.note(at_rest(z_um), number * POLL, None)
    made.note(at_rest(5.0), 5 * POLL, None)  # it turned away
    assert made.lost(at_rest(0.0), 6 * POLL, None)


def test_a_hand_long_ago_explains_nothing() -> None:
    made = origin(3.0)
    made.note(at_rest(2.0), POLL, None)
    assert made.lost(at_rest(0.0), 30 * POLL, None)


@given(way=st.floats(0.2, 1000), ms=st.integers(1, 400), up=st.booleans())
def test_what_a_hand_can_do_and_no_more(way: float, ms: int, up: bool) -> None:
    made = origin(5000.0)
    most_um = HAND_UM + HAND_UM_S * min(ms / 1e3, 0.1)  # however long nobody looked
    reading = at_rest(5000.0 + (way if up else -way))
    assert bool(made.lost(reading, ms * MS, None)) == (way > most_um) or math.isclose(way, most_um)


def test_a_move_may_end_at_0_and_a_restart_in_one_may_not() -> None:
    made = origin(80.0)
    made.begin()
    made.note(Reading(40.0, moving=True), POLL, -20.0)
    assert made.lost(at_rest(0.0), 2 * POLL, -20.0)  # inside the way, and yet no place to rest
    assert made.lost(Reading(0.0, moving=True), 2 * POLL, -20.0) == ""  # passing
    assert made.lost(at_rest(0.0), 2 * POLL, 0.0) == ""  # that is where it was sent
    assert made.lost(at_rest(39.0), 2 * POLL, -20.0) == ""


def test_off_its_way_it_has_strayed() -> None:
    made = origin(80.0)
    assert made.strayed(at_rest(500.0), None) == ""
    assert made.strayed(at_rest(100.0), 90.0) == ""  # a dip or an overshoot
    assert "is at 200.000 um" in made.strayed(at_rest(200.0), 90.0)
    assert made.strayed(at_rest(-10.0), 90.0)


def test_what_moves_by_a_joystick_is_no_jump() -> None:
    made = origin(80.0)
    made.note(Reading(90.0, moving=True), POLL, None)
    assert made.lost(at_rest(400.0), 2 * POLL, None) == ""
