"""Who may speak, what HELLO may ask for, and what a frame that fits nothing brings.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

from dataclasses import replace

from firmware_bridge import messages as m
from firmware_bridge.framing import Frame, encode_frame
from tests.support.core_host import HELLO, SESSION, START, CoreHost, only, refusal

ALIVE_US = m.SESSION_ALIVE_MS * 1_000


def result(host: CoreHost, **changes: int) -> m.Reason:
    """What HELLO with these changes is answered; a STATUS comes with OK only."""
    ack, *more = host.say(replace(HELLO, **changes))
    assert isinstance(ack, m.HelloAck)
    assert len(more) == (ack.result == m.Reason.OK)
    return m.Reason(ack.result)


def test_the_handshake_reads_back_all_of_it() -> None:
    host = CoreHost(hello=False, clock_us=2**40 + 7, boot_id=2**32 - 2)
    ack, status = host.say(replace(HELLO, backlash_nm=2_030, speed_nm_s=70_001), seq=77)
    assert host.heard[0][0] == 77
    assert ack == m.HelloAck(
        m.Reason.OK, m.PROTOCOL_VERSION, m.TABLE_HASH, 2**32 - 2, 1, 50, 0, 10_000_000, 1_000_000,
        9_000_000, 2_050, 70_001, 5, 2**40 + 7,
    )  # fmt: skip
    assert status == m.Status(
        0, 0, START, START, SESSION, 2**32 - 2, 0, 0, 0, m.Flag.SETTLED, 0, m.Result.NONE
    )


def test_settings_at_their_limits() -> None:
    host = CoreHost(hello=False)
    for good in (
        {"settle_ms": 10_000}, {"settle_ms": 0}, {"backlash_nm": 1_000_000},
        {"backlash_nm": -1_000_000}, {"speed_nm_s": 2_000_000}, {"speed_nm_s": 0},
        {"speed_nm_s": 4}, {"z_min_nm": 0}, {"z_max_nm": 10_000_000}, {"backlash_nm": 0},
        {"backlash_nm": 25}, {"backlash_nm": -26},
    ):  # fmt: skip
        assert result(host, **good) == m.Reason.OK, good
    for bad, reason in (
        ({"settle_ms": 10_001}, m.Reason.CONFIG), ({"settle_ms": 65_535}, m.Reason.CONFIG),
        ({"backlash_nm": 1_000_001}, m.Reason.CONFIG),
        ({"backlash_nm": -1_000_001}, m.Reason.CONFIG),
        ({"speed_nm_s": 2_000_001}, m.Reason.CONFIG), ({"speed_nm_s": 2**32 - 1}, m.Reason.CONFIG),
        ({"speed_nm_s": 3}, m.Reason.CONFIG), ({"speed_nm_s": 1}, m.Reason.CONFIG),
        ({"backlash_nm": 24}, m.Reason.CONFIG), ({"backlash_nm": -24}, m.Reason.CONFIG),
        ({"z_min_nm": -1}, m.Reason.WINDOW), ({"z_max_nm": 10_000_001}, m.Reason.WINDOW),
        ({"z_min_nm": 9_000_000}, m.Reason.WINDOW), ({"protocol": 2}, m.Reason.VERSION),
        ({"protocol": 0}, m.Reason.VERSION), ({"table_hash": 0}, m.Reason.HASH),
        ({"table_hash": m.TABLE_HASH ^ 2**31}, m.Reason.HASH),
    ):  # fmt: skip
        assert result(host, **bad) == reason, bad
    assert result(host) == m.Reason.OK


def test_settings_stand_while_it_moves() -> None:
    host = CoreHost()
    host.move(1, START + 900_000)
    for changes in (
        {"z_min_nm": 1_000_001}, {"z_max_nm": 8_999_999}, {"backlash_nm": 0},
        {"speed_nm_s": 1_999_999}, {"settle_ms": 6},
    ):  # fmt: skip
        assert result(host, **changes) == m.Reason.BUSY, changes
        assert result(host) == m.Reason.OK
    (nack,) = host.say(m.Bye(SESSION), seq=5)
    assert nack == m.Nack(0x06, m.Reason.BUSY, 11)
    host.settle()
    assert result(host, settle_ms=6) == m.Reason.OK
    assert host.say(m.Bye(SESSION), seq=6) == [m.ByeAck(SESSION)]
    assert [seq for seq, _ in host.heard[-2:]] != [5, 5]
    assert host.heard[-1][0] == 6


def test_a_repeated_hello_keeps_the_numbers_and_a_new_session_begins_anew() -> None:
    host = CoreHost()
    host.move(5, START)
    host.settle()
    host.move(7, START, assumed_nm=0)
    assert result(host) == m.Reason.OK
    assert refusal(host.move(4, START)) == m.Reason.STALE
    assert refusal(host.move(6, START)) == m.Reason.STALE
    assert host.status().last_result == m.Result.REACHED
    host.say(m.Bye(SESSION))
    assert host.take() == []
    _, status = host.say(replace(HELLO, session=78))
    assert (status.last_move_id, status.last_result, status.session) == (0, m.Result.NONE, 78)
    assert refusal(host.say(replace(host.a_move(0, START), session=78))) == m.Reason.STALE
    made = host.say(replace(host.a_move(1, START), session=78))
    assert made[-1] == m.Accepted(1, START)


def test_the_same_number_after_bye_is_a_new_session() -> None:
    host = CoreHost()
    host.move(5, START)
    host.settle()
    host.say(m.Bye(SESSION))
    assert result(host) == m.Reason.OK
    assert host.move(3, START)[-1] == m.Accepted(3, START)


def test_nobody_else_speaks_while_the_session_lives() -> None:
    host = CoreHost()
    assert result(host, session=78) == m.Reason.OTHER_SESSION
    for message, kind in ((m.Sync(78, 1), 2), (m.Clear(78, 0), 5), (m.Bye(78), 6)):
        assert host.say(message) == [m.Nack(kind, m.Reason.OTHER_SESSION, 11)]
    (refused,) = host.say(replace(host.a_move(1, START), session=78))
    assert refused == m.Refused(1, m.Reason.OTHER_SESSION, START, 0)
    assert host.status().session == SESSION


def test_all_32_bits_of_a_session_count() -> None:
    mine = 0x81020304
    host = CoreHost(hello=False)
    assert result(host, session=mine) == m.Reason.OK
    for bit in range(32):
        (nack,) = host.say(m.Sync(mine ^ 1 << bit, 1))
        assert nack == m.Nack(2, m.Reason.OTHER_SESSION, 11), bit
    assert host.say(m.Sync(mine, 1)) == [m.SyncAck(1, host.board.now_us)]
    *_, status = host.say(replace(HELLO, session=mine))
    assert isinstance(status, m.Status)
    assert status.session == mine


def test_without_a_session_nothing_is_served_but_stop() -> None:
    host = CoreHost(hello=False)
    for message, kind in ((m.Sync(SESSION, 1), 2), (m.Clear(SESSION, 0), 5), (m.Bye(SESSION), 6)):
        assert host.say(message, seq=88) == [m.Nack(kind, m.Reason.NO_SESSION, 11)]
        assert host.heard[-1][0] == 88
    assert refusal(host.move(1, START)) == m.Reason.NO_SESSION
    assert host.ticks(100, alive=False) == []
    status, stopping = host.say(m.Stop(0))
    assert (status.latch, stopping.position_nm) == (m.Latch.STOPPED, START)


def test_a_silent_session_dies_after_a_second_to_the_microsecond() -> None:
    for clock_us in (0, 2**32 - 500_000, 2**32 - ALIVE_US, 2**32, 2**48):
        host = CoreHost(clock_us=clock_us)
        host.board.skip_us(ALIVE_US)
        assert result(host, session=78) == m.Reason.OTHER_SESSION
        host.board.skip_us(1)
        assert result(host, session=78) == m.Reason.OK
        host.board.skip_us(ALIVE_US)
        assert result(host) == m.Reason.OTHER_SESSION  # HELLO itself kept 78 alive


def test_a_session_is_dead_at_any_time_after() -> None:
    """71.6 minutes are 2^32 us: a difference in 32 bits would start again there."""
    for silent_us in (2**32 - 1, 2**32, 2**32 + 10, 2**33 + 10, 2**40 + 500_000):
        host = CoreHost(clock_us=3)
        host.board.skip_us(silent_us)
        assert result(host, session=78) == m.Reason.OK
        _, status = host.say(replace(HELLO, session=78))
        assert status.session == 78


def test_every_frame_of_the_session_keeps_it_alive_and_no_other() -> None:
    for message in (m.Sync(SESSION, 1), HELLO, m.Stop(SESSION), m.Clear(SESSION, 0),
                    m.Move(SESSION, 1, START, START, 1_000)):  # fmt: skip
        host = CoreHost()
        host.board.skip_us(ALIVE_US)
        host.send(message)
        host.board.skip_us(ALIVE_US)
        assert result(host, session=78) == m.Reason.OTHER_SESSION, message
    for message in (m.Sync(78, 1), m.Stop(78), replace(HELLO, session=78)):
        host = CoreHost()
        host.board.skip_us(ALIVE_US)
        host.send(message)
        host.board.skip_us(1)
        assert result(host, session=79) == m.Reason.OK, message


def test_a_moving_axis_is_not_taken_over() -> None:
    """Not even by a host that asks for the very settings that are in force."""
    host = CoreHost()
    host.move(1, START + 900_000)
    host.board.skip_us(ALIVE_US + 1)
    assert result(host, session=78) == m.Reason.BUSY
    assert host.status().session == SESSION
    host.board.skip_us(ALIVE_US + 1)
    assert result(host, session=78, settle_ms=6) == m.Reason.BUSY
    came = host.ticks(200, alive=False)
    assert came[0].latch == m.Latch.SAFE_STOP
    assert result(host, session=78) == m.Reason.OK


def test_sync_tells_the_time_of_its_arrival() -> None:
    host = CoreHost(clock_us=2**32 - 10)
    host.board.skip_us(137)
    assert host.say(m.Sync(SESSION, 2**32 - 1), seq=3) == [m.SyncAck(2**32 - 1, 2**32 + 127)]
    assert host.heard[-1][0] == 3


def raw(host: CoreHost, kind: int, payload: bytes, version: int = 1) -> list[m.Message]:
    host.take()
    host.board.receive(encode_frame(Frame(version, kind, 21, payload)))
    return [one for _, one in host.take()]


def test_frames_that_fit_nothing() -> None:
    host = CoreHost()
    session = SESSION.to_bytes(4, "little")
    for kind in (0x00, 0x07, 0x7F, 0x81, 0x86, 0xFF):
        assert raw(host, kind, session) == [m.Nack(kind, m.Reason.UNKNOWN_TYPE, 11)]
        assert host.heard[-1][0] == 21
    for kind, length in ((1, 27), (2, 8), (3, 20), (4, 4), (5, 6), (6, 4)):
        for wrong in (0, 3, length - 1, length + 1, 48):
            payload = (session + bytes(44))[:wrong]
            assert raw(host, kind, payload) == [m.Nack(kind, m.Reason.MALFORMED, 11)], kind
        for version in (0, 2, 255):
            payload = (session + bytes(44))[:length]
            assert raw(host, kind, payload, version) == [m.Nack(kind, m.Reason.VERSION, 11)]
    assert host.status().latch == m.Latch.NONE
    assert host.board.bench.report().moves_started == 0


def test_damage_is_counted_and_not_answered() -> None:
    host = CoreHost()
    wire = bytearray(host.wire(m.Stop(SESSION)))
    wire[3] ^= 0x10
    for number in range(1, 4):
        host.take()
        host.board.receive(bytes(wire))
        assert host.take() == []
        assert host.status().crc_errors == number
    host.board.receive(b"\0\0\0")
    assert host.status().crc_errors == 3
    assert host.status().latch == m.Latch.NONE


def test_a_restart_forgets_everything_but_the_place() -> None:
    host = CoreHost()
    host.move(1, START + 20_000)
    host.settle()
    host.say(m.Stop(SESSION))
    host.board.pins(b"r")
    (nack,) = host.say(m.Sync(SESSION, 1))
    assert nack == m.Nack(2, m.Reason.NO_SESSION, 12)
    ack, status = host.say(HELLO)
    assert (ack.boot_id, status.boot_id, status.commanded_nm) == (12, 12, START + 20_000)
    assert (status.latch, status.latch_count, status.last_move_id) == (m.Latch.NONE, 0, 0)


def test_faults_on_purpose() -> None:
    host = CoreHost()
    for _ in range(16):  # whatever the frame holds where it is spoilt
        host.board.pins(b"x")
        assert host.say(m.Sync(SESSION, 1)) == []
        host.board.skip_us(4_096)
    host.board.pins(b"d")
    assert host.say(m.Sync(SESSION, 1)) == []
    host.board.pins(b"i")
    assert host.say(m.Sync(SESSION, 1)) == []
    host.board.pins(b"x")
    host.take()
    host.send(m.Sync(SESSION, 1))
    assert host.take() == []
    assert only(m.SyncAck, host.say(m.Sync(SESSION, 9))).token == 9
