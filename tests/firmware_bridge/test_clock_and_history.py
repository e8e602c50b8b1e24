"""Firmware time to host time, and the position in between two STATUS."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware_bridge.clock import WINDOW, ClockSync
from firmware_bridge.history import KEEP, StatusHistory
from firmware_bridge.messages import Flag, Status
from firmware_bridge.round_trip import FLOOR_S, RoundTrip

SECOND = 1_000_000_000


def synced(drift: float, seed: int, seconds: float = 6.4) -> tuple[ClockSync, float]:
    """A clock `drift` fast, SYNC every 50 ms with delays of 0.1 ms and now and then 8 ms more."""
    dice = random.Random(seed)
    clock = ClockSync()
    moment = 0.0
    for count in range(int(seconds / 0.05)):
        moment = 7 * SECOND + count * 0.05 * SECOND
        there = 50_000 + dice.expovariate(1 / 20_000) + (8e6 if dice.random() < 0.2 else 0)
        back = 50_000 + dice.expovariate(1 / 20_000)
        firmware_us = (moment + there) / 1e3 * (1 + drift) + 123_456
        clock.add(round(moment), round(moment + there + back), round(firmware_us))
    return clock, moment


@given(st.floats(-500e-6, 500e-6), st.integers(0, 1000), st.floats(-1.0, 0.1))
def test_host_time_lies_within_its_half_width(drift: float, seed: int, when_s: float) -> None:
    clock, newest = synced(drift, seed)
    truth = newest + when_s * SECOND
    firmware_us = truth / 1e3 * (1 + drift) + 123_456
    host_ns, half_width_ns = clock.host_ns(firmware_us)
    assert abs(host_ns - truth) <= half_width_ns < 300_000
    back_us, _ = clock.firmware_us(host_ns)
    assert back_us == pytest.approx(firmware_us, abs=1)
    assert clock.drift_ppm == pytest.approx(-drift * 1e6, abs=40)


@given(st.floats(-150e-6, 150e-6), st.integers(0, 1000))
def test_a_short_window_promises_less(drift: float, seed: int) -> None:
    clock, newest = synced(drift, seed, 0.4)
    firmware_us = newest / 1e3 * (1 + drift) + 123_456
    host_ns, half_width_ns = clock.host_ns(firmware_us)
    assert abs(host_ns - newest) <= half_width_ns


def test_old_samples_leave_the_window() -> None:
    clock = ClockSync()
    clock.add(0, 10, 999_999_999)  # the best round trip ever, of a clock long gone
    for count in range(WINDOW):
        clock.add(count * 1000, count * 1000 + 200, count)
    assert clock.host_ns(50)[0] == pytest.approx(50_100, abs=300)


def status(time_us: int, position_nm: int, flags: int = 0, encoder_nm: int = 0) -> Status:
    return Status(time_us, 0, position_nm, encoder_nm, 1, 1, 1, 0, 0, flags, 0, 0)


def test_line_between_neighbours() -> None:
    history = StatusHistory()
    for count in range(5):
        history.append(status(count * 20_000, count * 40_000))
    assert history.at(50_000, 0) == (100_000, 0)
    assert history.at(50_000, 100) == (100_000, 200)  # 0.1 ms at 2 mm/s
    assert history.covers(80_000)
    assert not history.covers(80_001)
    assert not history.covers(-1)


@given(st.floats(0, 1), st.integers(1, 20))
def test_constant_acceleration_lies_within_the_half_width(where: float, accel: int) -> None:
    """z = a t^2 / 2 from rest, STATUS every 20 ms; nm and ms."""
    history = StatusHistory()
    for count in range(-1, 5):
        t_ms = max(0, 20 * count)
        history.append(status((count + 1) * 20_000, accel * t_ms**2 // 2))
    for count in range(1, 5):
        t_ms = 20 * (count - 1) + 20 * where
        z_nm, half_width_nm = history.at((t_ms + 20) * 1000, 0)
        assert abs(z_nm - accel * t_ms**2 / 2) <= half_width_nm + 1


def status_of(time_us: int, nm: int, moving: bool, move_id: int) -> Status:
    """A STATUS as the firmware sends it around a move."""
    flags = Flag.MOVING if moving else 0
    return Status(time_us, 0, nm, nm, 1, 1, move_id, 0, 0, flags, 0, 0)


def test_at_rest_until_a_move_begins_there_is_no_bend() -> None:
    history = StatusHistory()
    for entry in (
        status_of(0, 0, True, 1), status_of(10_000, 900, False, 1),  # a move and its end
        status_of(22_000, 900, False, 1), status_of(29_000, 900, True, 2),
        status_of(40_000, 2000, False, 2),
    ):  # fmt: skip
        history.append(entry)
    assert history.at(15_000, 0) == (900, 0)
    assert history.at(25_000, 0) == (900, 0)  # the second move began at 29 ms, not before
    assert history.at(35_000, 0)[1] > 0
    assert history.at(5_000, 0)[1] > 0


def test_a_lost_report_of_a_beginning_leaves_the_bend() -> None:
    lost = StatusHistory()
    for entry in (
        status_of(0, 900, False, 1),
        status_of(30_000, 900, True, 2),
        status_of(50_000, 900, False, 2),
    ):
        lost.append(entry)
    lost.append(status_of(60_000, 2000, False, 3))
    assert lost.at(15_000, 0)[0] == 900
    assert not lost._rests(0, 1)  # a period is 20 ms: something was not heard
    assert not lost._rests(1, 2)  # it moved, wherever it came back to
    assert not lost._rests(2, 3)
    other = StatusHistory()
    other.append(status_of(0, 900, False, 1))
    other.append(status_of(10_000, 900, False, 3))  # two moves that nobody saw
    assert not other._rests(0, 1)


def test_encoder_goes_before_command() -> None:
    history = StatusHistory()
    history.append(status(0, 5, Flag.ENCODER, 100))
    history.append(status(1000, 5, Flag.ENCODER, 200))
    assert history.at(500, 0)[0] == 150


def test_history_is_bounded_and_in_order() -> None:
    history = StatusHistory()
    for count in range(10 * KEEP):
        history.append(status(count, count))
    assert not history.covers(10 * KEEP - 2 * KEEP - 2)
    assert history.covers(10 * KEEP - KEEP)
    history.append(status(3, 0))
    newest = history.newest
    assert newest is not None
    assert newest.time_us == 10 * KEEP - 1


def test_two_status_of_one_tick() -> None:
    history = StatusHistory()
    history.append(status(10, 1))
    history.append(status(10, 1, Flag.MOVING))
    newest = history.newest
    assert newest is not None
    assert newest.flags == Flag.MOVING


def test_time_out_follows_the_round_trip() -> None:
    round_trip = RoundTrip()
    assert round_trip.timeout_s == 0.1
    for _ in range(50):
        round_trip.add(300_000)
    assert round_trip.timeout_s == FLOOR_S
    for _ in range(50):
        round_trip.add(40_000_000)
    assert 0.04 <= round_trip.timeout_s < 0.1
    round_trip.add(3 * SECOND)
    assert round_trip.timeout_s <= 1.0
