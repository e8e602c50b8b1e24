"""X and Y in the core: what moves them, what is refused, and what stops them.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from firmware_bridge import messages as m
from firmware_bridge import messages_xy as xy
from firmware_bridge.framing import Frame, encode_frame
from tests.support.core_host import SESSION, START, CoreHost, only
from tests.support.core_xy import AT, FAR, XY_HELLO, CoreXY, refused, under_way


def test_a_move_of_both_axes_from_its_answer_to_its_end() -> None:
    host = CoreXY(clock_us=2**40)
    status, accepted = host.go(1, AT + 10_049, AT - 20_051)
    assert isinstance(status, xy.XyStatus)
    assert (status.flags, status.last_move_id, status.last_result, status.session) == (
        m.Flag.MOVING, 1, m.Result.MOVING, SESSION)  # fmt: skip
    assert (status.x_nm, status.y_nm, status.settled_us) == (AT, AT, 0)
    assert accepted == xy.XyAccepted(1, AT + 10_000, AT - 20_100)
    came = host.ticks(60)
    assert host.board.xy_moves == (1, 1)
    done = only(xy.XyDone, came)
    assert (done.move_id, done.x_nm, done.y_nm, done.pulses, done.result) == (
        1, AT + 10_000, AT - 20_100, 0, m.Result.REACHED)  # fmt: skip
    after = came[came.index(done) + 1]
    assert isinstance(after, xy.XyStatus)
    assert (after.flags, after.last_result, after.time_us) == (0, m.Result.REACHED, done.time_us)
    settled = next(o for o in came if isinstance(o, xy.XyStatus) and o.flags & m.Flag.SETTLED)
    assert settled.settled_us - done.time_us == 6_000
    assert host.board.motor_nm == START


def test_done_when_the_slower_axis_is_there_and_settled_when_both_are() -> None:
    """One axis rests and settles long before the other arrives; whichever it is."""
    for x_nm, y_nm in ((AT + 9_000_000, AT + 100), (AT + 100, AT + 9_000_000)):
        host = CoreXY()
        host.go(1, x_nm, y_nm)
        came = host.ticks(400)
        assert not [one for one in came if isinstance(one, xy.XyDone)]
        assert all(o.flags == m.Flag.MOVING for o in came if isinstance(o, xy.XyStatus))
        done = host.ended()
        assert (done.x_nm, done.y_nm) == host.board.xy_nm == (x_nm, y_nm)
        assert host.rest().settled_us == done.time_us + 6_000


def test_acceleration_and_speed() -> None:
    """20 mm/s and 200 mm/s2: 100 ms to speed, 1 mm on the way there."""
    host = CoreXY()
    host.go(1, AT + 12_000_000, AT - 1_000)
    places = [AT]
    while host.board.xy_velocity_q8[0] or len(places) < 5:
        host.ticks(1)
        places.append(host.board.xy_nm[0])
    ways = [b - a for a, b in itertools.pairwise(places)]
    assert max(ways) == 20_000
    assert 699 <= len(places) <= 703  # 12 mm at 20 mm/s, and a ramp's 100 ms
    assert all(abs(b - a) <= 300 for a, b in itertools.pairwise(ways))
    assert sum(way == 20_000 for way in ways) in range(498, 503)


def test_a_slower_move_and_the_next_one_at_full_speed_again() -> None:
    host = CoreXY()
    host.go(1, AT + 1_000_000, AT + 1_000_000, speed_nm_s=2_000_000)
    fastest = []
    for _ in range(400):
        host.ticks(1)
        fastest.append(host.board.xy_velocity_q8)
    assert max(fastest) == (512_000, 512_000)
    host.rest()
    host.go(2, AT, AT)
    host.ticks(60)
    assert min(host.board.xy_velocity_q8) <= -12 * 51_200


def test_what_is_refused_and_why() -> None:
    host = CoreXY()
    h = XY_HELLO
    number = 0
    for changes, reason in (
        ({"x_nm": h.x_min_nm - 1}, m.Reason.WINDOW),
        ({"x_nm": h.x_max_nm + 1}, m.Reason.WINDOW),
        ({"y_nm": h.y_min_nm - 1}, m.Reason.WINDOW),
        ({"y_nm": h.y_max_nm + 1}, m.Reason.WINDOW),
        ({"x_nm": 2**31 - 1}, m.Reason.WINDOW),
        ({"y_nm": -(2**31)}, m.Reason.WINDOW),
        ({"assumed_x_nm": AT + 1_001}, m.Reason.ASSUMED_DIFFERS),
        ({"assumed_x_nm": AT - 1_001}, m.Reason.ASSUMED_DIFFERS),
        ({"assumed_y_nm": AT + 1_001}, m.Reason.ASSUMED_DIFFERS),
        ({"assumed_y_nm": AT - 1_001}, m.Reason.ASSUMED_DIFFERS),
        ({"assumed_y_nm": -(2**31), "tolerance_nm": AT + 2**31 - 1}, m.Reason.ASSUMED_DIFFERS),
        ({"speed_nm_s": 3}, m.Reason.CONFIG),
        ({"speed_nm_s": 20_000_001}, m.Reason.CONFIG),
        ({"speed_nm_s": 2**32 - 1}, m.Reason.CONFIG),
    ):
        number += 1
        move = replace(host.a_go(number, AT), **changes)
        (answer,) = host.say(move)
        assert answer == xy.XyRefused(number, reason, AT, AT, 0), changes
        assert host.say(move) == [answer]
    for changes in (
        {"assumed_x_nm": AT + 1_000, "assumed_y_nm": AT - 1_000},
        {"assumed_x_nm": AT - 1_000, "assumed_y_nm": AT + 1_000},
        {"assumed_x_nm": -(2**31), "tolerance_nm": AT + 2**31},
        {"assumed_y_nm": 0, "tolerance_nm": 2**32 - 1},
        {"speed_nm_s": 4}, {"speed_nm_s": 20_000_000},
    ):  # fmt: skip
        number += 1
        assert host.go(number, AT, **changes)[-1] == xy.XyAccepted(number, AT, AT), changes
        host.rest()
    assert host.board.xy_nm == (AT, AT)


def test_the_ends_of_the_window_are_inside() -> None:
    host = CoreXY()
    h = XY_HELLO
    for number, (x, y) in enumerate(
        ((h.x_min_nm, h.y_min_nm), (h.x_max_nm, h.y_max_nm), (AT, AT)), 1
    ):
        assert host.go(number, x, y)[-1] == xy.XyAccepted(number, x, y)
        host.rest()
        assert host.board.xy_nm == (x, y)


def test_a_target_that_rounding_takes_out_of_the_window() -> None:
    for changes, target in (
        ({"x_max_nm": AT + 1_060}, (AT + 1_060, AT)),
        ({"y_max_nm": AT + 1_060}, (AT, AT + 1_060)),
        ({"x_min_nm": AT - 1_060}, (AT - 1_060, AT)),
    ):
        host = CoreXY(xy_hello=False)
        host.say(replace(XY_HELLO, **changes))
        assert refused(host.go(1, *target)) == m.Reason.WINDOW
    assert host.go(2, AT - 1_049)[-1] == xy.XyAccepted(2, AT - 1_000, AT)


def test_a_copy_is_answered_and_moves_nothing() -> None:
    host = CoreXY(clock_us=2**40)
    move = host.a_go(4, AT + 50_000)
    host.say(move)
    host.ticks(5)
    assert host.say(move) == [xy.XyAccepted(4, AT + 50_000, AT)]
    host.rest()
    accepted, done = host.say(move, seq=33)
    assert accepted == xy.XyAccepted(4, AT + 50_000, AT)
    assert (done.move_id, done.result, done.time_us) == (
        4, m.Result.REACHED, host.board.now_us)  # fmt: skip
    assert [seq for seq, _ in host.heard[-2:]] == [33, 33]
    assert host.board.bench.report_xy().moves_started == 1


def test_every_field_belongs_to_a_number() -> None:
    host = CoreXY()
    made = host.a_go(5, AT + 1_000, speed_nm_s=1_000_000)
    host.say(made)
    host.rest()
    wrong = host.a_go(7, AT, assumed_x_nm=AT + 500_000)
    assert refused(host.say(wrong)) == m.Reason.ASSUMED_DIFFERS
    fields = ("x_nm", "y_nm", "assumed_x_nm", "assumed_y_nm", "tolerance_nm", "speed_nm_s")
    for move in (made, wrong):
        for field in fields:
            other = replace(move, **{field: getattr(move, field) + 1})
            assert refused(host.say(other)) == m.Reason.REUSED_ID
    assert refused(host.say(wrong)) == m.Reason.ASSUMED_DIFFERS
    assert host.say(made)[0] == xy.XyAccepted(5, AT + 1_000, AT)


def test_which_numbers_are_stale() -> None:
    host = CoreXY()
    assert refused(host.go(0, AT)) == m.Reason.STALE
    for number in (5, 2**16 + 5, 2**31 + 5, 2**32 - 3):
        assert host.go(number, AT)[-1] == xy.XyAccepted(number, AT, AT)
        host.rest()
        for old in (number - 1, 0):
            (answer,) = host.go(old, AT)
            assert answer == xy.XyRefused(old, m.Reason.STALE, AT, AT, number)
    last = 2**32 - 1
    assert refused(host.go(last, AT, assumed_x_nm=0)) == m.Reason.ASSUMED_DIFFERS
    assert refused(host.go(last - 1, AT)) == m.Reason.STALE
    assert refused(host.go(last, AT, assumed_x_nm=0)) == m.Reason.ASSUMED_DIFFERS


def test_a_number_above_a_refused_one_is_new() -> None:
    host = CoreXY()
    host.go(8, AT, assumed_x_nm=0)
    assert refused(host.go(7, AT)) == m.Reason.STALE
    assert host.go(9, AT)[-1] == xy.XyAccepted(9, AT, AT)


def test_one_move_at_a_time_and_z_beside_it() -> None:
    host = under_way()
    assert refused(host.go(2, AT)) == m.Reason.BUSY
    assert host.move(1, START + 900_000)[-1] == m.Accepted(1, START + 900_000)
    host.ticks(100)
    assert host.board.velocity_q8 != 0
    assert min(host.board.xy_velocity_q8) == 0 < max(host.board.xy_velocity_q8)
    done = host.ended()
    assert (done.result, done.x_nm) == (m.Result.REACHED, FAR)
    host.ticks(800)
    assert host.board.motor_nm == START + 900_000


def test_without_xy_hello_nothing_of_them_is_said_or_moved() -> None:
    host = CoreXY(xy_hello=False)
    assert refused(host.go(1, AT)) == xy.XyReason.UNCONFIGURED
    assert host.arm(2, AT + 100, 1_000_000, 1) == xy.XyReason.UNCONFIGURED
    host.say(m.Stop(SESSION))
    host.say(m.Clear(SESSION, 1))
    came = host.ticks(300)
    assert not [one for one in came if not isinstance(one, m.Status)]


def test_a_board_with_z_alone_knows_no_such_messages() -> None:
    """And one with them answers a host that knows Z alone as it always did."""
    host = CoreHost()
    for message in (
        XY_HELLO, xy.XyMove(SESSION, 1, AT, AT, AT, AT, 1, 0), xy.XyClear(SESSION, 0),
        xy.TriggerArm(SESSION, 1, AT, 1, 1, 1),
    ):  # fmt: skip
        (nack,) = host.say(message)
        assert nack == m.Nack(m.CODES[type(message)], m.Reason.UNKNOWN_TYPE, 11)
    answers = []
    for board in (CoreHost, CoreXY):
        host = board(xy_hello=False) if board is CoreXY else board()
        host.move(1, START + 50_000)
        host.ticks(200)
        for message in (m.Stop(SESSION), m.Clear(SESSION, 1), m.Bye(SESSION)):
            host.say(message)
        answers.append(host.heard)
    assert answers[0] == answers[1]


def test_another_sessions_frames_are_nacked_and_malformed_ones_too() -> None:
    host = CoreXY()
    for message in (
        replace(XY_HELLO, session=78), host.a_go(1, AT, session=78), xy.XyClear(78, 0),
        xy.TriggerArm(78, 1, AT + 100, 100_000, 1, 1),
    ):  # fmt: skip
        code = m.CODES[type(message)]
        assert host.say(message, seq=40) == [m.Nack(code, m.Reason.OTHER_SESSION, 11)]
        short = m.encode(message)[1][:-1]
        host.board.receive(encoded(code, short))
        assert host.take()[-1][1] == m.Nack(code, m.Reason.MALFORMED, 11)
    host.say(m.Bye(SESSION))
    assert host.say(XY_HELLO) == [m.Nack(0x11, m.Reason.NO_SESSION, 11)]


def encoded(code: int, payload: bytes) -> bytes:
    return encode_frame(Frame(m.PROTOCOL_VERSION, code, 9, payload))
