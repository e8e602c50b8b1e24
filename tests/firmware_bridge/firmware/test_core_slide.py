"""The slide's settings and sessions in the core, and what stops X and Y.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from firmware_bridge import messages as m
from firmware_bridge import messages_xy as xy
from tests.support.core_host import HELLO, SESSION, START, only
from tests.support.core_xy import AT, FAR, XY_HELLO, CoreXY, refused, under_way
from tests.support.virtual_board import XY_LIMITS


def test_hello_is_taken_whole_or_not_at_all() -> None:
    host = CoreXY()
    right = host.say(XY_HELLO)[0]
    assert isinstance(right, xy.XyHelloAck)
    assert right == xy.XyHelloAck(
        0, 100, *XY_LIMITS[0:2], *XY_LIMITS[5:7], XY_HELLO.x_min_nm, XY_HELLO.x_max_nm,
        XY_HELLO.y_min_nm, XY_HELLO.y_max_nm, 20_000_000, 200_000, 5)  # fmt: skip
    for changes, reason in (
        ({"table_hash": m.XY_TABLE_HASH ^ 1}, m.Reason.HASH),
        ({"x_min_nm": -1}, m.Reason.WINDOW), ({"x_max_nm": 75_000_001}, m.Reason.WINDOW),
        ({"y_min_nm": -1}, m.Reason.WINDOW), ({"y_max_nm": 25_000_001}, m.Reason.WINDOW),
        ({"y_min_nm": 20_000_000}, m.Reason.WINDOW), ({"x_max_nm": 0}, m.Reason.WINDOW),
        ({"speed_nm_s": 3}, m.Reason.CONFIG), ({"speed_nm_s": 20_000_001}, m.Reason.CONFIG),
        ({"speed_nm_s": 2**32 - 1}, m.Reason.CONFIG), ({"settle_ms": 10_001}, m.Reason.CONFIG),
        ({"x_max_nm": 50_000_000, "y_min_nm": -1}, m.Reason.WINDOW),
    ):  # fmt: skip
        (ack,) = host.say(replace(XY_HELLO, **changes))
        assert ack == replace(right, result=reason), changes
    ack, _ = host.say(replace(XY_HELLO, speed_nm_s=4, settle_ms=10_000))
    assert ack == replace(right, speed_nm_s=4, settle_ms=10_000)
    ack, _ = host.say(XY_HELLO)
    assert ack == right


def test_a_refused_window_leaves_the_old_one_in_force() -> None:
    host = CoreXY()
    host.say(replace(XY_HELLO, x_max_nm=50_000_000, y_min_nm=-1))
    assert refused(host.go(1, 45_000_000)) == m.Reason.WINDOW


def test_the_slower_axis_sets_the_fastest_speed() -> None:
    for slow in (3, 8):
        limits = list(XY_LIMITS)
        limits[slow] = 5_000_000
        host = CoreXY(xy_limits=tuple(limits))
        assert host.say(XY_HELLO)[0].speed_nm_s == 5_000_000


def test_settings_hold_while_either_axis_moves() -> None:
    for target in ((FAR, AT), (AT, AT + 9_000_000)):
        host = under_way(150, *target)
        (ack,) = host.say(replace(XY_HELLO, x_max_nm=30_000_000))
        assert ack.result == m.Reason.BUSY
        assert host.say(m.Bye(SESSION)) == [m.Nack(0x06, m.Reason.BUSY, 11)]
        assert host.say(xy.XyClear(SESSION, 0)) == [m.Nack(0x15, m.Reason.BUSY, 11)]
        assert host.arm(2, AT + 100, 1_000_000, 1) == m.Reason.BUSY
        *_, ack, _ = host.say(HELLO)
        assert ack.result == m.Reason.OK


def test_no_session_takes_over_a_slide_that_moves() -> None:
    host = CoreXY()
    host.say(replace(XY_HELLO, speed_nm_s=100_000))
    host.go(1, FAR)
    host.ticks(100)
    host.board.skip_us(1_500_000)
    (ack,) = host.say(replace(HELLO, session=78))
    assert ack.result == m.Reason.BUSY


def test_another_session_begins_anew() -> None:
    host = CoreXY(clock_us=2**33)
    host.go(5, AT + 1_000)
    host.rest()
    host.go(9, AT, assumed_x_nm=0)
    assert host.arm(12, AT + 2_000, 100_000, 1) == m.Reason.OK
    host.say(m.Bye(SESSION))
    host.say(replace(HELLO, session=78))
    move = replace(host.a_go(1, AT), session=78)
    assert refused(host.say(move)) == xy.XyReason.UNCONFIGURED
    *_, status = host.say(replace(XY_HELLO, session=78))
    assert isinstance(status, xy.XyStatus)
    assert (status.last_move_id, status.last_result, status.session) == (0, 0, 78)
    assert host.say(replace(move, move_id=2))[-1] == xy.XyAccepted(2, AT, AT)
    assert host.say(replace(move, move_id=12))[0].reason == m.Reason.BUSY


def test_stop_ends_all_three_by_their_ramps() -> None:
    for who in (SESSION, 78):
        host = under_way(150, FAR, AT + 9_000_000)
        host.move(1, START + 900_000)
        host.ticks(60)
        answers = host.say(m.Stop(who))
        ack, status, stopping = answers
        assert isinstance(ack, xy.XyStatus)
        assert (ack.latch_x, ack.latch_y, ack.latch_count) == (2, 2, 1)
        assert (status.latch, isinstance(stopping, m.Stopping)) == (m.Latch.STOPPED, True)
        speeds = [(host.board.velocity_q8, *host.board.xy_velocity_q8)]
        while any(speeds[-1]):
            host.ticks(1)
            speeds.append((host.board.velocity_q8, *host.board.xy_velocity_q8))
        assert len(speeds) in range(99, 103)
        assert all(
            a >= b
            for old, new in itertools.pairwise(speeds)
            for a, b in zip(old, new, strict=False)
        )
        done = only(xy.XyDone, [one for _, one in host.heard])
        assert (done.result, (done.x_nm, done.y_nm)) == (m.Result.STOPPED, host.board.xy_nm)
        assert refused(host.go(2, AT)) == m.Reason.LATCHED


def test_latches_are_cleared_each_by_its_own_count() -> None:
    host = under_way()
    host.say(m.Stop(SESSION))
    host.rest()
    assert refused(host.go(2, AT)) == m.Reason.LATCHED
    status, cleared = host.say(xy.XyClear(SESSION, 0))
    assert cleared == xy.XyCleared(2, 2, 1)
    status, cleared = host.say(xy.XyClear(SESSION, 1), seq=55)
    assert cleared == xy.XyCleared(0, 0, 1)
    assert host.heard[-1][0] == 55
    assert isinstance(status, xy.XyStatus)
    assert (status.latch_x, status.latch_y) == (0, 0)
    assert refused(host.go(3, AT)) == xy.XyReason.Z_LATCHED
    host.say(m.Clear(SESSION, 1))
    assert host.go(4, AT)[-1] == xy.XyAccepted(4, AT, AT)


def test_a_second_stop_changes_no_latch() -> None:
    host = under_way()
    host.ticks(200, alive=False)
    host.send(m.Sync(SESSION, 1))
    ack, *_ = host.say(m.Stop(SESSION))
    assert (ack.latch_x, ack.latch_y, ack.latch_count) == (1, 1, 1)


def test_the_watchdog_stops_them_after_190_ms_of_silence() -> None:
    for clock_us in (0, 2**32 - 200_000, 2**62):
        for target in ((FAR, AT), (AT, AT + 9_000_000)):
            host = under_way(100, *target, clock_us=clock_us)
            host.send(m.Sync(SESSION, 2))
            came = host.ticks(190, alive=False)
            assert not [o for o in came if isinstance(o, xy.XyStatus) and o.latch_x]
            came = host.ticks(1, alive=False)
            (told,) = [o for o in came if isinstance(o, xy.XyStatus) and o.latch_x]
            latched = (told.latch_x, told.latch_y, told.latch_count)
            assert (latched, told.flags) == ((1, 1, 1), m.Flag.MOVING)
            braked_ms = 0
            while any(host.board.xy_velocity_q8):
                host.ticks(1, alive=False)
                braked_ms += 1
            assert braked_ms in range(97, 101)
            done = only(xy.XyDone, [one for _, one in host.heard])
            assert done.result == m.Result.WATCHDOG
            host.ticks(50, alive=False)
            host.send(m.Sync(SESSION, 2))
            assert host.xy_status().latch_count == 1


def test_silence_at_rest_latches_nothing() -> None:
    host = CoreXY()
    host.ticks(500, alive=False)
    host.send(m.Sync(SESSION, 2))
    assert host.xy_status().latch_count == 0


def test_z_that_latches_stops_the_slide_and_holds_it() -> None:
    host = under_way(100)
    host.move(1, START + 900_000)
    host.ticks(50)
    host.board.pins(b"H")
    came = host.ticks(2)
    (latched,) = [o for o in came if isinstance(o, xy.XyStatus) and o.latch_x][:1]
    assert (latched.latch_x, latched.latch_y, latched.latch_count) == (2, 2, 1)
    assert host.ended().result == m.Result.STOPPED
    host.say(xy.XyClear(SESSION, 1))
    assert refused(host.go(2, AT)) == xy.XyReason.Z_LATCHED
    assert refused(host.go(2, AT)) == xy.XyReason.Z_LATCHED  # final


def test_a_switch_halts_its_axis_at_once_and_the_other_by_its_ramp() -> None:
    for axis, key, target in (
        (0, b"F", (FAR, AT + 9_000_000)), (0, b"E", (AT - 9_000_000, AT + 9_000_000)),
        (1, b"K", (FAR, AT + 9_000_000)), (1, b"J", (FAR, AT - 7_900_000)),
    ):  # fmt: skip
        host = under_way(150, *target)
        at = host.board.xy_nm
        host.board.pins(key)
        host.ticks(1)
        assert host.board.xy_nm[axis] == at[axis]
        assert host.board.xy_velocity_q8[axis] == 0
        other = abs(host.board.xy_velocity_q8[1 - axis])
        assert 5_120_000 - 2 * 51_200 <= other < 5_120_000
        done = host.ended()
        assert done.result == m.Result.LIMIT
        status = host.rest()
        latches = (status.latch_x, status.latch_y)
        assert (latches[axis], latches[1 - axis]) == (m.Latch.LIMIT, m.Latch.STOPPED)
        assert status.latch_count == 1  # pressed on, it latches no second time
        assert host.board.velocity_q8 == 0
        host.say(xy.XyClear(SESSION, 1))
        sign = 1 if key in b"FK" else -1
        further, back = list(host.board.xy_nm), list(host.board.xy_nm)
        further[axis] += sign * 1_000
        back[axis] -= sign * 1_000
        assert refused(host.go(2, *further)) == m.Reason.LIMIT
        assert host.go(3, *back)[-1] == xy.XyAccepted(3, *back)
        host.rest()
        assert host.board.xy_nm == tuple(back)
        host.board.pins(key.lower())
        assert host.go(4, *further)[-1] == xy.XyAccepted(4, *further)


def test_the_switch_behind_is_not_in_the_way() -> None:
    host = under_way(150, FAR, AT + 9_000_000)
    host.board.pins(b"EJ")
    host.ticks(20)
    assert host.board.xy_velocity_q8 == (5_120_000, 5_120_000)
    host.board.pins(b"ej")


def test_limit_outweighs_what_latched_before() -> None:
    host = under_way(150, FAR, AT + 9_000_000)
    host.say(m.Stop(SESSION))
    host.ticks(10)
    at = host.board.xy_nm
    host.board.pins(b"F")
    host.ticks(1)
    assert host.board.xy_nm[0] == at[0]
    assert host.ended().result == m.Result.LIMIT
    status = host.rest()
    assert (status.latch_x, status.latch_y, status.latch_count) == (3, 2, 2)


def test_it_tells_where_the_slide_is_every_20_ms() -> None:
    host = CoreXY()
    came = [one for one in host.ticks(200) if isinstance(one, xy.XyStatus)]
    assert len(came) == 10
    assert {b.time_us - a.time_us for a, b in itertools.pairwise(came)} == {20_000}
    assert came[0].flags == m.Flag.SETTLED
    host.ticks(950, alive=False)
    late = [one for one in host.ticks(300, alive=False) if isinstance(one, xy.XyStatus)]
    assert len(late) <= 4  # a session that is dead hears nothing
    host.say(m.Sync(SESSION, 1))
    host.go(1, FAR)
    moving = [one for one in host.ticks(100) if isinstance(one, xy.XyStatus)]
    assert len(moving) == 5
    assert all(one.x_nm <= host.board.xy_nm[0] and one.time_us for one in moving)


def test_events_count_and_answers_do_not() -> None:
    host = CoreXY()
    host.arm(1, AT + 2_000_000, 1_000_000, 5)
    host.go(1, FAR)
    host.rest()
    host.say(m.Sync(SESSION, 4), seq=200)
    kinds = (m.Status, xy.XyStatus, xy.XyDone, xy.Triggered)
    counted = [seq for seq, one in host.heard if isinstance(one, kinds)]
    assert len(counted) > 100
    assert counted == [number % 256 for number in range(len(counted))]


def test_a_restart_forgets_and_stands_still() -> None:
    host = under_way(100)
    host.board.pins(b"r")
    at = host.board.xy_nm
    host.ticks(100, alive=False)
    assert host.board.xy_nm == at
    (nack,) = host.say(XY_HELLO)
    assert (nack.reason, nack.boot_id) == (m.Reason.NO_SESSION, 12)
    assert host.board.bench.report_xy().moves_started == 1
