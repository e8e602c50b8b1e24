"""When an axis came to rest, from readings alone, and which step is nearest; both are pure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.rest_detector import START_NS, Reading, RestDetector
from firmware_bridge.stages.step_rounding import nearest_step

MS = 1_000_000


def resting(z_um: float = 100.0) -> RestDetector:
    rest = RestDetector(still_um=0.1, arrival_um=0.5)
    rest.note(Reading(z_um, moving=False), 10 * MS)
    return rest


def test_at_rest_since_before_we_looked() -> None:
    rest = resting()
    assert (rest.z_um, rest.since_ns) == (100.0, 0)
    rest.note(Reading(100.09, moving=False), 20 * MS)  # noise of the servo
    assert rest.since_ns == 0


def test_a_hand_on_the_knob() -> None:
    rest = resting()
    assert rest.contradicts(Reading(100.2, moving=False))
    rest.note(Reading(100.2, moving=False), 20 * MS)
    assert (rest.z_um, rest.since_ns) == (100.2, 20 * MS)


def test_found_in_mid_move() -> None:
    rest = RestDetector(still_um=0.1, arrival_um=0.5)
    rest.note(Reading(50.0, moving=True), 10 * MS)
    assert rest.since_ns is None
    rest.note(Reading(60.0, moving=False), 20 * MS)
    assert rest.since_ns == 20 * MS  # not 0: it was seen moving


def test_a_move_that_begins_late_is_not_over_before_it_began() -> None:
    """0.3 um is within `arrival_um`: being near the target proves nothing yet."""
    rest = resting()
    rest.begin(100.3, 20 * MS)
    rest.note(Reading(100.0, moving=False), 25 * MS)
    assert rest.target_um == 100.3
    rest.note(Reading(100.1, moving=True), 60 * MS)
    rest.note(Reading(100.31, moving=False), 70 * MS)
    assert (rest.target_um, rest.since_ns, rest.ended_short) == (None, 70 * MS, "")


def test_a_move_that_was_over_before_anybody_looked() -> None:
    rest = resting()
    rest.begin(105.0, 20 * MS)
    rest.note(Reading(105.02, moving=False), 25 * MS)
    assert (rest.target_um, rest.since_ns, rest.ended_short) == (None, 25 * MS, "")


def test_a_move_that_never_came() -> None:
    rest = resting()
    rest.begin(105.0, 20 * MS)
    rest.note(Reading(100.0, moving=False), 30 * MS)
    rest.note(Reading(100.0, moving=False), 30 * MS + START_NS - 1)
    assert rest.target_um == 105.0
    rest.note(Reading(100.0, moving=False), 30 * MS + START_NS)
    assert rest.target_um is None
    assert "ended at 100.000 um, not at 105.000" in rest.ended_short


def test_a_stop_may_end_anywhere() -> None:
    rest = resting()
    rest.begin(105.0, 20 * MS)
    rest.note(Reading(101.0, moving=True), 25 * MS)
    rest.stop()
    rest.note(Reading(101.5, moving=False), 30 * MS)
    assert (rest.target_um, rest.since_ns, rest.ended_short) == (None, 30 * MS, "")


def test_a_refused_move_leaves_the_rest_as_it_was() -> None:
    rest = resting()
    rest.begin(105.0, 20 * MS)
    rest.withdraw(0)
    rest.note(Reading(100.0, moving=False), 30 * MS)
    assert (rest.target_um, rest.since_ns) == (None, 0)


@given(
    st.lists(
        st.tuples(st.floats(90, 110), st.booleans(), st.integers(1, 100)), min_size=1, max_size=30
    )
)
def test_rest_is_never_claimed_too_early(script: list[tuple[float, bool, int]]) -> None:
    """Whatever is read: at rest means that the last reading did not move, since a reading that
    was taken, and after every reading that moved."""
    rest = resting()
    rest.begin(105.0, 10 * MS)
    now, last_moving = 10 * MS, 10 * MS
    for z_um, moving, step_ms in script:
        now += step_ms * MS
        rest.note(Reading(z_um, moving), now)
        last_moving = now if moving else last_moving
        if rest.since_ns is not None:
            assert not moving
            assert last_moving < rest.since_ns <= now
            assert rest.z_um == pytest.approx(z_um, abs=0.1)
        if rest.target_um is None and not rest.ended_short:
            break


@given(
    low=st.floats(-1e5, 1e5),
    width=st.floats(0.001, 1e4),
    part=st.floats(0, 1),
    step=st.floats(0.001, 50),
)
def test_no_step_lies_outside_the_window(
    low: float, width: float, part: float, step: float
) -> None:
    high = low + width
    target = min(low + part * width, high)
    try:
        steps = nearest_step(target, step, low, high)
    except StageRefused:
        assert width < step
        return
    assert low - 1e-5 <= steps * step <= high + 1e-5
    assert abs(steps * step - target) <= step * 1.5
