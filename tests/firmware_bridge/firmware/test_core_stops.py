"""What ends a move early, to the tick: STOP, silence, a switch.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

from dataclasses import replace

from firmware_bridge import messages as m
from tests.support.core_host import HELLO, SESSION, START, CoreHost, only

FAR, BACK = START + 900_000, START - 900_000
CLOCKS_US = (0, 2**32 - 300_000, 2**32 - 1_000, 2**40)


def under_way(ms: int = 150, target_nm: int = FAR, **board: int) -> CoreHost:
    """A host whose axis has run towards the target at top speed for a while."""
    host = CoreHost(**board)
    host.move(1, target_nm)
    host.ticks(ms)
    return host


def way_after(host: CoreHost) -> list[int]:
    """The motor's steps of each tick until it rests."""
    steps, here = [], host.board.motor_nm
    while host.board.velocity_q8:
        host.ticks(1, alive=False)
        steps.append(abs(host.board.motor_nm - here))
        here = host.board.motor_nm
    return steps


def test_silence_brakes_after_190_ms_whatever_the_clock_shows() -> None:
    for clock_us in CLOCKS_US:
        for target in (FAR, BACK):
            host = under_way(100, target, clock_us=clock_us)
            host.send(m.Sync(SESSION, 2))
            assert not [one for one in host.ticks(190, alive=False) if one.latch]
            (status,) = [one for one in host.ticks(1, alive=False) if one.latch]
            assert (status.latch, status.latch_count) == (m.Latch.SAFE_STOP, 1)
            assert status.flags == m.Flag.MOVING
            # its tick, before which the STATUS was sent: it brakes in that same tick
            assert 98 <= len(way_after(host)) <= 100
            done = only(m.Done, [one for _, one in host.heard])
            assert (done.result, done.time_us) == (m.Result.WATCHDOG, host.board.now_us)


def test_silence_ends_no_rest_and_stops_only_once() -> None:
    host = CoreHost()
    assert all(one.latch == 0 for one in host.ticks(500, alive=False))
    host.ticks(1)
    host.move(1, FAR)
    host.ticks(100)
    host.say(m.Stop(SESSION))
    host.ticks(300, alive=False)
    host.send(m.Sync(SESSION, 1))
    assert (host.status().latch, host.status().latch_count) == (m.Latch.STOPPED, 1)
    assert only(m.Done, [one for _, one in host.heard]).result == m.Result.STOPPED


def test_the_watchdog_acts_however_late_the_host_falls_silent() -> None:
    """Fed for 71.7 minutes, then not: no difference in 32 bits may forget it."""
    for clock_us in (2**32 - 190_000, 2**32 - 1, 2**32):
        host = CoreHost(hello=False, clock_us=clock_us)
        host.say(replace(HELLO, speed_nm_s=100_000))
        host.move(1, FAR)
        came = host.ticks(200, alive=False)
        assert [one for one in came if isinstance(one, m.Status) and one.latch]


def test_a_late_tick_under_its_nominal_time_is_no_silence() -> None:
    """The last frame came after the tick's own time: the difference must not wrap."""
    host = under_way(100)
    late_us = host.board.now_us
    host.board.skip_us(5_000)
    host.send(m.Sync(SESSION, 2))
    for number in range(1, 6):
        host.board.tick_at(late_us + number * 1_000)
    assert not [one for _, one in host.take() if isinstance(one, m.Status) and one.latch]
    host.board.tick_at(host.board.now_us)  # the same moment is no silence either
    assert not [one for _, one in host.take() if isinstance(one, m.Status) and one.latch]


def test_stop_brakes_from_the_next_tick_by_the_ramp() -> None:
    for target in (FAR, BACK):
        host = under_way(150, target)
        status, stopping = host.say(m.Stop(SESSION))
        assert (status.latch, status.latch_count) == (m.Latch.STOPPED, 1)
        assert stopping.position_nm == host.board.motor_nm
        steps = way_after(host)
        assert 98 <= len(steps) <= 100
        assert steps[0] in (1_950, 2_000)
        assert sum(steps) in range(98_000, 100_001)
        done = only(m.Done, [one for _, one in host.heard])
        assert (done.result, done.position_nm) == (m.Result.STOPPED, host.board.motor_nm)


def test_stop_leaves_an_older_latch_and_its_count() -> None:
    host = under_way(150)
    host.ticks(400, alive=False)
    host.send(m.Sync(SESSION, 1))
    for sender in (SESSION, 78):
        status, _ = host.say(m.Stop(sender))
        assert (status.latch, status.latch_count) == (m.Latch.SAFE_STOP, 1)
    status, cleared = host.say(m.Clear(SESSION, 1))
    assert cleared == m.Cleared(m.Latch.NONE, 1)
    status, _ = host.say(m.Stop(SESSION))
    assert (status.latch, status.latch_count) == (m.Latch.STOPPED, 2)


def test_a_switch_halts_at_the_next_tick_without_a_ramp() -> None:
    for press, target in ((b"H", FAR), (b"L", BACK)):
        host = under_way(150, target)
        assert abs(host.board.velocity_q8) == 512_000
        at = host.board.motor_nm
        host.board.pins(press)
        came = host.ticks(1)
        assert host.board.motor_nm == at
        assert host.board.velocity_q8 == 0
        done = only(m.Done, came)
        assert (done.result, done.position_nm) == (m.Result.LIMIT, at)
        status = came[-1]
        assert (status.latch, status.latch_count, status.commanded_nm) == (m.Latch.LIMIT, 1, at)
        assert status.flags == 0
        assert host.settle().commanded_nm == at
        host.ticks(50)
        assert host.status().latch_count == 1  # pressed on, it latches no second time


def test_the_switch_behind_is_not_in_the_way() -> None:
    for press, target in ((b"L", FAR), (b"H", BACK)):
        host = under_way(150, target)
        host.board.pins(press)
        host.ticks(20)
        assert (host.status().latch, abs(host.board.velocity_q8)) == (m.Latch.NONE, 512_000)
        host.board.pins(b"lh")


def test_both_switches_at_rest_latch_nothing() -> None:
    host = CoreHost()
    host.board.pins(b"LH")
    host.ticks(60)
    assert (host.status().latch, host.status().latch_count) == (m.Latch.NONE, 0)


def test_limit_outweighs_every_latch() -> None:
    for silent, before in ((False, m.Latch.STOPPED), (True, m.Latch.SAFE_STOP)):
        host = under_way(150)
        if silent:
            host.ticks(200, alive=False)
        else:
            host.say(m.Stop(SESSION))
            host.ticks(10)
        assert host.status().latch == before
        at = host.board.motor_nm
        host.board.pins(b"H")
        came = host.ticks(1)
        assert host.board.motor_nm == at
        assert only(m.Done, came).result == m.Result.LIMIT
        assert (host.status().latch, host.status().latch_count) == (m.Latch.LIMIT, 2)


def test_anyone_may_stop() -> None:
    host = under_way(150)
    status, _ = host.say(m.Stop(78))
    assert status.latch == m.Latch.STOPPED


def test_a_switch_is_seen_at_the_slowest_crawl() -> None:
    """At a speed of 1/256 nm per tick, which is one tick after a start with the least ramp."""
    for pressed, target in ((b"H", FAR), (b"L", BACK)):
        host = CoreHost(limits=(0, 10_000_000, 50, 2_000_000, 1))
        host.say(replace(HELLO, backlash_nm=0))
        host.move(1, target)
        host.ticks(1)
        assert abs(host.board.velocity_q8) == 1
        host.board.pins(pressed)
        came = host.ticks(1)
        assert only(m.Done, came).result == m.Result.LIMIT
        assert host.board.velocity_q8 == 0
