"""What MOVE, a copy of it, and CLEAR bring: every frame, in its order.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

from dataclasses import replace

from firmware_bridge import messages as m
from tests.support.core_host import HELLO, SESSION, START, CoreHost, only, refusal

FAR = START + 900_000


def test_a_move_from_its_answer_to_its_end() -> None:
    host = CoreHost()
    status, accepted = host.move(1, START + 10_024)
    assert isinstance(status, m.Status)
    assert (status.flags, status.last_move_id, status.last_result) == (
        m.Flag.MOVING, 1, m.Result.MOVING)  # fmt: skip
    assert accepted == m.Accepted(1, START + 10_000)  # the nearest whole step
    host.ticks(10)
    assert host.board.motor_move == 1
    came = [*host.ticks(300)]
    done = only(m.Done, came)
    assert (done.move_id, done.position_nm, done.result) == (1, START + 10_000, m.Result.REACHED)
    after = came[came.index(done) + 1]
    assert isinstance(after, m.Status)
    assert (after.flags, after.last_result, after.time_us) == (0, m.Result.REACHED, done.time_us)
    assert after.settled_us == 0
    settled = next(one for one in came if isinstance(one, m.Status) and one.flags & m.Flag.SETTLED)
    assert settled.settled_us - done.time_us == 6_000  # a tick after 5 ms
    assert host.board.bench.report().moves_started == 1


def test_a_copy_is_answered_and_moves_nothing() -> None:
    host = CoreHost(clock_us=2**40)
    move = host.a_move(4, START + 50_000)
    host.say(move)
    host.ticks(20)
    assert host.say(move) == [m.Accepted(4, START + 50_000)]
    host.settle()
    accepted, done = host.say(move, seq=33)
    assert accepted == m.Accepted(4, START + 50_000)
    assert (done.move_id, done.result) == (4, m.Result.REACHED)
    assert done.time_us == host.board.now_us
    assert [seq for seq, _ in host.heard[-2:]] == [33, 33]
    assert host.board.bench.report().moves_started == 1
    assert host.ticks(60)[-1].flags == m.Flag.SETTLED


def test_every_field_belongs_to_a_number() -> None:
    host = CoreHost()
    made = host.a_move(5, START + 1_000)
    host.say(made)
    host.settle()
    wrong = host.a_move(7, START, assumed_nm=START + 500_000)
    assert refusal(host.say(wrong)) == m.Reason.ASSUMED_DIFFERS
    for move in (made, wrong):
        for field in ("target_nm", "assumed_nm", "tolerance_nm"):
            other = replace(move, **{field: getattr(move, field) + 1})
            assert refusal(host.say(other)) == m.Reason.REUSED_ID
    assert refusal(host.say(wrong)) == m.Reason.ASSUMED_DIFFERS
    assert host.say(made)[0] == m.Accepted(5, START + 1_000)


def test_numbers_of_a_session_that_was_taken_over_are_not_the_next_ones() -> None:
    """The session belongs to the contents too: a number of the old one is new."""
    host = CoreHost()
    move = host.a_move(5, START)
    host.say(move)
    host.settle()
    host.say(m.Bye(SESSION))
    host.say(replace(HELLO, session=78))
    status, accepted = host.say(replace(move, session=78))
    assert accepted == m.Accepted(5, START)
    assert status.last_move_id == 5


def test_which_numbers_are_stale() -> None:
    host = CoreHost()
    assert refusal(host.move(0, START)) == m.Reason.STALE
    for number in (5, 2**16 + 5, 2**31 + 5, 2**32 - 3):
        assert host.move(number, START)[-1] == m.Accepted(number, START)
        assert host.say(host.a_move(number, START))[0] == m.Accepted(number, START)
        host.settle()
        for old in (number - 1, 0):
            (answer,) = host.move(old, START)
            assert answer == m.Refused(old, m.Reason.STALE, START, number)
    last = 2**32 - 1
    assert refusal(host.move(last, START, assumed_nm=0)) == m.Reason.ASSUMED_DIFFERS
    assert refusal(host.move(last - 1, START)) == m.Reason.STALE
    assert refusal(host.move(last, START, assumed_nm=0)) == m.Reason.ASSUMED_DIFFERS


def test_a_number_above_a_refused_one_is_new() -> None:
    host = CoreHost()
    host.move(8, START, assumed_nm=0)
    assert refusal(host.move(7, START)) == m.Reason.STALE
    assert host.move(9, START)[-1] == m.Accepted(9, START)


def test_what_is_refused_and_why() -> None:
    low, high = HELLO.z_min_nm, HELLO.z_max_nm
    host = CoreHost()
    number = 0
    for changes, reason in (
        ({"target_nm": low - 1}, m.Reason.WINDOW),
        ({"target_nm": high + 1}, m.Reason.WINDOW),
        ({"target_nm": low + 1_999}, m.Reason.WINDOW),  # its dip
        ({"target_nm": 2**31 - 1}, m.Reason.WINDOW),
        ({"target_nm": -(2**31)}, m.Reason.WINDOW),
        ({"assumed_nm": START + 1_001}, m.Reason.ASSUMED_DIFFERS),
        ({"assumed_nm": START - 1_001}, m.Reason.ASSUMED_DIFFERS),
        ({"assumed_nm": -(2**31), "tolerance_nm": START + 2**31 - 1}, m.Reason.ASSUMED_DIFFERS),
        ({"session": 78}, m.Reason.OTHER_SESSION),
    ):
        number += 1
        (answer,) = host.say(replace(host.a_move(number, START), **changes))
        assert answer == m.Refused(number, reason, START, 0), changes
    for changes in (
        {"assumed_nm": START + 1_000}, {"assumed_nm": START - 1_000},
        {"assumed_nm": -(2**31), "tolerance_nm": START + 2**31},
        {"assumed_nm": 0, "tolerance_nm": 2**32 - 1}, {"target_nm": low + 2_000},
        {"target_nm": high},
    ):  # fmt: skip
        number += 1
        target = changes.get("target_nm", START)
        answers = host.say(replace(host.a_move(number, START), **changes))
        assert answers[-1] == m.Accepted(number, target), changes
        host.settle()
        if target != START:
            host.move(number + 1, START)
            number += 1
            host.settle()


def test_a_target_that_rounding_takes_out_of_the_window() -> None:
    host = CoreHost(hello=False)
    host.say(replace(HELLO, z_max_nm=START + 1_030, backlash_nm=0))
    assert refusal(host.move(1, START + 1_030)) == m.Reason.WINDOW  # would be 1,050
    assert host.move(2, START + 1_024)[-1] == m.Accepted(2, START + 1_000)


def test_the_newest_move_wins_and_the_older_is_told() -> None:
    host = CoreHost(clock_us=2**40)
    host.move(1, FAR)
    host.ticks(100)
    done, status, accepted = host.move(2, START, tolerance_nm=10**6)
    assert (done.move_id, done.result) == (1, m.Result.SUPERSEDED)
    assert done.time_us == host.board.now_us
    assert (status.last_move_id, status.flags) == (2, m.Flag.MOVING)
    assert accepted == m.Accepted(2, START)
    assert host.settle().commanded_nm == START
    assert host.board.bench.report().moves_started == 2
    status, accepted = host.move(3, START)  # at rest nothing is superseded
    assert (status.last_move_id, accepted.move_id) == (3, 3)


def test_events_count_and_answers_do_not() -> None:
    host = CoreHost()
    host.move(1, FAR)
    host.ticks(60)
    host.move(2, START, tolerance_nm=10**6)
    host.say(m.Sync(SESSION, 4), seq=200)
    for lit in (True, False):
        host.board.strobe(lit)
    host.settle()
    counted = [seq for seq, one in host.heard if isinstance(one, m.Status | m.Done | m.Exposure)]
    assert len(counted) > 20
    assert counted == [number % 256 for number in range(len(counted))]
    assert any(isinstance(one, m.Exposure) for _, one in host.heard)


def test_clear_opens_the_latch_it_names_at_rest() -> None:
    host = CoreHost(clock_us=2**40)
    host.move(1, FAR)
    host.ticks(100)
    status, stopping = host.say(m.Stop(SESSION), seq=41)
    assert (status.latch, status.latch_count, status.flags) == (
        m.Latch.STOPPED, 1, m.Flag.MOVING)  # fmt: skip
    assert stopping == m.Stopping(host.board.motor_nm, host.board.now_us)
    assert host.heard[-1][0] == 41
    (nack,) = host.say(m.Clear(SESSION, 1), seq=42)
    assert nack == m.Nack(0x05, m.Reason.BUSY, 11)
    assert host.heard[-1][0] == 42
    host.settle()
    assert refusal(host.move(2, START)) == m.Reason.LATCHED
    status, cleared = host.say(m.Clear(SESSION, 0))
    assert (status.latch, cleared) == (m.Latch.STOPPED, m.Cleared(m.Latch.STOPPED, 1))
    status, cleared = host.say(m.Clear(SESSION, 1))
    assert (status.latch, cleared) == (m.Latch.NONE, m.Cleared(m.Latch.NONE, 1))
    assert refusal(host.move(2, START)) == m.Reason.LATCHED  # once refused, it stays so
    assert host.move(3, START)[-1] == m.Accepted(3, START)


def test_latches_are_counted() -> None:
    host = CoreHost()
    stop = host.wire(m.Stop(SESSION))
    for number in range(300):
        host.board.receive(stop + host.wire(m.Clear(SESSION, number + 1)))
        host.board.take()
    assert (host.status().latch, host.status().latch_count) == (m.Latch.NONE, 300)


def test_switches_bar_the_way_to_them_and_leave_the_other_open() -> None:
    for press, release, sign in ((b"L", b"l", -1), (b"H", b"h", 1)):
        for backlash in (2_000, -2_000, 0):
            host = CoreHost(hello=False)
            host.say(replace(HELLO, backlash_nm=backlash))
            host.board.pins(press)
            towards = START + sign * 100_000
            (refused,) = host.move(1, towards)
            assert refused == m.Refused(1, m.Reason.LIMIT, START, 0)
            dips_there = backlash * sign < 0  # the way back ends by coming from the switch's side
            near = host.move(2, START)
            away = host.move(3, START - sign * 100_000)
            assert isinstance(away[-1], m.Accepted)
            assert isinstance(near[-1], m.Refused if dips_there else m.Accepted), (press, backlash)
            host.ticks(60)
            host.board.pins(release)  # before the dip's way back, which would run onto it
            host.settle()
            assert host.board.motor_nm == START - sign * 100_000
            assert isinstance(host.move(4, towards)[-1], m.Accepted)
