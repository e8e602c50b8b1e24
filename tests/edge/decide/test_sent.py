"""What the reading before a move predicts of the place where it leads, to the borders, by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from edge.decide.evidence import Reading
from edge.decide.sent import Sent, as_predicted, together
from edge.measure.aggregate import Reason
from tests.support.fake_microscope import SETTINGS, estimate, no_focus


def test_a_move_is_none_of_what_is_not_said_of_it():
    assert Sent(None, 1.0, 2.0, verify=True) == Sent(
        None,
        1.0,
        2.0,
        verify=True,
        rollback=False,
        origin=None,
        guess=False,
        fine=False,
        led_by_um=None,
    )


def both(read_um, interval_um=4.0, near_um=10.0, **led):
    """With 3 and 4 um the last reading weighs 9/25 of this one, and both are sure to 12/5 um."""
    led_here = Sent(None, 0.0, 1.0, verify=False, **{"led_by_um": 3.0, **led})
    return together(led_here, read_um, interval_um, dataclasses.replace(SETTINGS, near_um=near_um))


@pytest.mark.parametrize("side", [1, -1])
def test_two_readings_count_together_where_they_do_not_contradict_each_other(side):
    assert both(side * 6.0) == (pytest.approx(side * 2.16), pytest.approx(2.4), True)
    assert both(side * 7.5) == (pytest.approx(side * 2.7), pytest.approx(2.4), True)
    assert both(side * 7.6) == (side * 7.6, 4.0, False)
    assert both(side * 0.5) == (pytest.approx(side * 0.18), pytest.approx(2.4), True)
    assert both(0.0) == (0.0, 4.0, False)


def test_two_exact_readings_of_focus_are_not_divided_by_their_doubt():
    assert both(0.0, interval_um=0.0, led_by_um=0.0) == (0.0, 0.0, False)


@pytest.mark.parametrize("side", [1, -1])
def test_far_from_focus_a_reading_counts_alone(side):
    assert both(side * 3.0, near_um=3.0) == (pytest.approx(side * 1.08), pytest.approx(2.4), True)
    assert both(side * 3.1, near_um=3.0) == (side * 3.1, 4.0, False)
    assert both(math.nan)[1:] == (4.0, False)


def test_only_the_first_correction_by_both_is_a_fine_one():
    for led in ({"fine": True}, {"guess": True}, {"fine": True, "guess": True}):
        assert both(6.0, **led) == (pytest.approx(2.16), pytest.approx(2.4), False)


def test_where_no_reading_led_all_the_way_this_one_counts_alone():
    assert both(0.1, led_by_um=None) == (0.1, 4.0, False)
    assert together(None, 0.1, 4.0, SETTINGS) == (0.1, 4.0, False)


def predicted(z_um=7.0, rejected_um=6.0, **changes):
    """A reading of 8 at z = 10, where the glass moves half of what is read and downwards: 4 um up
    are left there, and z - 6 below. Both readings together are uncertain by 5 um."""
    move = Sent(Reading(10.0, 8.0, 3.0), 10.0, 6.0, verify=True)
    move = dataclasses.replace(move, **changes.pop("move", {}))
    frame = no_focus(Reason.OUTSIDE_TRAINING, d=rejected_um, interval=4.0)
    frame = changes.pop("frame", frame)
    settings = dataclasses.replace(SETTINGS, focus_direction=-1)
    return as_predicted(move, frame, z_um, settings, lambda read_um: read_um / 2)


@pytest.mark.parametrize(
    ("z_um", "rejected_um", "wanted"),
    [
        (7.0, 6.0, True),  # 3 um off: still near focus
        (7.0, 6.1, False),
        (7.0, -6.1, False),
        (11.0, 2.0, True),  # the move left 5 um to go, and 1 is seen of them
        (11.1, 2.0, False),
        (1.0, -2.0, True),
        (0.9, -2.0, False),
        (9.0, -4.0, True),  # 3 um were predicted, and 2 are seen on the other side
        (9.0, -4.1, False),
        (3.0, 4.0, True),
        (3.0, 4.1, False),
        (7.0, math.nan, False),
    ],
)
def test_a_strange_frame_shows_what_was_predicted(z_um, rejected_um, wanted):
    assert predicted(z_um, rejected_um) is wanted
    frame = no_focus(Reason.PATCHES_DISAGREE, d=rejected_um, interval=4.0)
    assert predicted(z_um, frame=frame) is wanted


def test_what_predicts_nothing_and_what_shows_nothing():
    assert predicted(move={"before": None}) is False
    assert predicted(move={"rollback": True}) is False
    assert predicted(frame=estimate(6.0, 4.0)) is False
    for reason in set(Reason) - {Reason.OUTSIDE_TRAINING, Reason.PATCHES_DISAGREE}:
        assert predicted(frame=no_focus(reason, d=6.0, interval=4.0)) is False
