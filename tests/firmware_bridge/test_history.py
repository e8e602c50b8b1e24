"""Where the axis was between two STATUS: every number of it, by hand."""

from __future__ import annotations

import pytest

from firmware_bridge.history import KEEP, StatusHistory, position_nm
from firmware_bridge.messages import Flag, Status

MOVING = int(Flag.MOVING)


def status_of(time_us: int, nm: int, flags: int = MOVING, move: int = 1) -> Status:
    return Status(time_us, 0, nm, nm + 7, 1, 1, move, 0, 0, flags, 0, 0)


def history(*entries: Status) -> StatusHistory:
    kept = StatusHistory()
    for entry in entries:
        kept.append(entry)
    return kept


def test_nothing_is_known_at_first() -> None:
    assert StatusHistory().newest is None
    assert StatusHistory().covers(0) is False


def test_one_status_covers_its_own_moment() -> None:
    one = history(status_of(1_000, 50))
    assert one.covers(1_000) is True
    assert one.covers(999) is one.covers(1_001) is False
    assert one.at(1_000, 9.0) == (50, 0.0)
    rests = history(status_of(1_000, 50, 0))
    assert rests.at(1_000, 9.0) == (50, 0.0)


def test_the_moment_of_the_first_status_is_known_though_clocks_are_off() -> None:
    """The host's time of a STATUS, taken back to the firmware's, is off by the clocks' width."""
    one = history(status_of(1_000, 50), status_of(2_000, 50))
    assert one.no_earlier(995.0, 5.0) == 1_000
    assert one.no_earlier(994.9, 5.0) == 994.9  # that is really before it
    assert one.no_earlier(1_500.0, 5.0) == 1_500.0
    assert StatusHistory().no_earlier(7.0, 5.0) == 7.0


def test_measured_goes_before_commanded() -> None:
    assert position_nm(status_of(0, 50, 0)) == 50
    assert position_nm(status_of(0, 50, int(Flag.ENCODER))) == 57


def test_the_bend_is_a_quarter_of_the_change_of_speed_times_the_time() -> None:
    """Speeds 1, 3, 2 nm/us over 10, 20, 10 ms: in the middle stretch 2 x 20 ms / 4."""
    kept = history(
        status_of(0, 0),
        status_of(10_000, 10_000),
        status_of(30_000, 70_000),
        status_of(40_000, 90_000),
    )
    position, half = kept.at(15_000, 0.0)
    assert (position, half) == (25_000, 2 * 20_000 / 4)
    # the clock's half-width at the fastest of the neighbouring speeds
    assert kept.at(15_000, 100.0)[1] == 10_000 + 300
    assert kept.at(35_000, 100.0) == (80_000, 10_000 / 4 + 300)
    # before the first stretch it may have been at rest
    assert kept.at(5_000, 100.0) == (5_000, 2 * 10_000 / 4 + 300)


def test_the_neighbour_after_it_bends_it_as_well() -> None:
    kept = history(
        status_of(0, 0),
        status_of(10_000, 10_000),
        status_of(20_000, 20_000),
        status_of(30_000, 70_000),
    )
    assert kept.at(15_000, 0.0)[1] == 4 * 10_000 / 4
    assert kept.at(15_000, 50.0)[1] == 10_000 + 5 * 50
    assert kept.at(5_000, 0.0)[1] == 10_000 / 4
    backwards = history(status_of(0, 0), status_of(10_000, -10_000), status_of(20_000, -20_000))
    assert backwards.at(5_000, 100.0) == (-5_000, 10_000 / 4 + 100)


def test_a_moment_that_was_told_lies_in_the_stretch_after_it() -> None:
    kept = history(
        status_of(0, 0),
        status_of(10_000, 10_000),
        status_of(20_000, 40_000),
        status_of(30_000, 40_000),
    )
    assert kept.at(10_000, 1.0) == (10_000, 3 * 10_000 / 4 + 3)
    assert kept.at(30_000, 0.0)[0] == 40_000  # but for the newest


def test_between_two_reports_of_rest_only_the_clock_is_uncertain() -> None:
    kept = history(status_of(0, 0), status_of(10_000, 9_000, 0), status_of(30_000, 9_000, 0))
    assert kept.at(20_000, 500.0) == (9_000, 0.0)
    # an encoder may creep while the command rests
    creeps = StatusHistory()
    for time_us, encoder in ((0, 100), (20_000, 140), (40_000, 100)):
        creeps.append(Status(time_us, 0, 5, encoder, 1, 1, 1, 0, 0, int(Flag.ENCODER), 0, 0))
    assert creeps.at(10_000, 1_000.0) == creeps.at(30_000, 1_000.0) == (120, 2.0)


@pytest.mark.parametrize(
    ("first", "second", "rests"),
    [
        (status_of(0, 900, 0), status_of(20_000, 900, 0), True),
        (status_of(0, 900, 0), status_of(90_000, 900, 0), True),
        (status_of(0, 900), status_of(20_000, 900, 0), False),  # it moved
        (status_of(0, 900, 0), status_of(20_000, 901, 0), False),
        (status_of(0, 900, 0), status_of(20_000, 900, 0, 2), False),  # a move that nobody saw
        (status_of(0, 900, 0), status_of(20_000, 900, MOVING, 2), True),  # about to begin the next
        (status_of(0, 900, 0), status_of(21_000, 900, MOVING, 2), True),
        (status_of(0, 900, 0), status_of(21_001, 900, MOVING, 2), False),  # one was not heard
        (status_of(50_000, 900, 0), status_of(70_000, 900, MOVING, 2), True),
        (status_of(0, 900, 0), status_of(20_000, 900, MOVING, 1), False),
        (status_of(0, 900, 0), status_of(20_000, 900, MOVING, 3), False),
    ],
)
def test_when_it_stood_still_from_one_report_to_the_next(
    first: Status, second: Status, rests: bool
) -> None:
    # the stretch before it was travelled at 1 nm/us: what is not rest, bends
    before = status_of(first.time_us - 10_000, first.commanded_nm - 10_000)
    half = history(before, first, second).at(first.time_us + 1, 0.0)[1]
    assert (half == 0.0) is rests


def test_of_one_moment_the_second_is_kept_and_of_an_older_one_neither() -> None:
    kept = history(
        status_of(10, 1),
        status_of(15, 9),
        status_of(20, 2),
        status_of(20, 3),
        status_of(19, 4),
        status_of(15, 5),
    )
    newest = kept.newest
    assert newest is not None
    assert (newest.time_us, newest.commanded_nm) == (20, 3)
    assert [kept.at(at_us, 0.0)[0] for at_us in (10, 15, 20)] == [1, 9, 3]
    kept.append(status_of(30, 5))
    assert kept.at(20, 0.0)[0] == 3


def test_it_is_dropped_in_bulk() -> None:
    kept = StatusHistory()
    for count in range(2 * KEEP):
        kept.append(status_of(count, count))
    assert kept.covers(0)
    kept.append(status_of(2 * KEEP, 2 * KEEP))
    assert not kept.covers(KEEP - 1)
    assert kept.covers(KEEP)
    assert kept.at(KEEP, 0.0)[0] == KEEP
    assert KEEP == 512  # 10 s
