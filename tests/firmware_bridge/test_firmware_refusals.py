"""What the firmware refuses by itself, asked below the client and its checks."""

from __future__ import annotations

import pytest

from firmware_bridge import messages as m
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.framing import Frame, encode_frame
from tests.support.boards import ON_BOTH, moves_made
from tests.support.raw_host import HELLO, RawHost

pytestmark = ON_BOTH
START = 5_000_000


def refusal(answer: m.Accepted | m.Refused) -> m.Reason:
    assert isinstance(answer, m.Refused)
    return m.Reason(answer.reason)


@pytest.fixture
def session(raw: RawHost) -> RawHost:
    assert raw.hello().result == m.Reason.OK
    return raw


def test_handshake_reads_back_what_is_in_force(raw: RawHost) -> None:
    ack = raw.hello()
    assert (ack.z_min_nm, ack.z_max_nm) == (1_000_000, 9_000_000)
    assert (ack.hard_min_nm, ack.hard_max_nm) == (0, 10_000_000)
    assert (ack.nm_per_step, ack.boot_id, ack.settle_ms) == (50, 11, 5)
    assert (ack.backlash_nm, ack.speed_nm_s) == (2_000, 2_000_000)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"table_hash": m.TABLE_HASH ^ 1}, m.Reason.HASH),
        ({"protocol": 2}, m.Reason.VERSION),
        ({"z_min_nm": -50}, m.Reason.WINDOW),
        ({"z_max_nm": 10_000_050}, m.Reason.WINDOW),
        ({"z_min_nm": 9_000_000}, m.Reason.WINDOW),
        ({"speed_nm_s": 2_000_001}, m.Reason.CONFIG),
        ({"speed_nm_s": 1}, m.Reason.CONFIG),  # these three would be rounded to none
        ({"speed_nm_s": 3}, m.Reason.CONFIG),
        ({"backlash_nm": 24}, m.Reason.CONFIG),
        ({"backlash_nm": -25}, m.Reason.CONFIG),
        ({"settle_ms": 10_001}, m.Reason.CONFIG),
        ({"backlash_nm": 1_000_001}, m.Reason.CONFIG),
        ({"backlash_nm": -1_000_001}, m.Reason.CONFIG),
    ],
)
def test_a_handshake_that_does_not_fit_opens_no_session(
    raw: RawHost, trace: MotorTrace, changes: dict[str, int], reason: m.Reason
) -> None:
    assert raw.hello(**changes).result == reason
    assert refusal(raw.move(START + 1000, START)) == m.Reason.NO_SESSION
    assert moves_made(trace) == 0


@pytest.mark.parametrize("target", [999_999, 9_000_001, 0, -(2**31), 2**31 - 1, 1_001_950])
def test_window(session: RawHost, trace: MotorTrace, target: int) -> None:
    """1,001,950 is inside, but its dip of 2,000 nm below is not."""
    assert refusal(session.move(target, START)) == m.Reason.WINDOW
    assert moves_made(trace) == 0


@pytest.mark.parametrize("assumed", [START + 1_001, START - 1_001, -(2**31), 2**31 - 1])
def test_assumed_position_differs(session: RawHost, trace: MotorTrace, assumed: int) -> None:
    assert refusal(session.move(START + 100, assumed)) == m.Reason.ASSUMED_DIFFERS
    assert moves_made(trace) == 0


def test_assumed_position_within_tolerance(session: RawHost) -> None:
    assert isinstance(session.move(START + 100, START + 1_000), m.Accepted)


def test_another_session_cannot_move_clear_or_feed(session: RawHost, trace: MotorTrace) -> None:
    assert session.hello(session=78).result == m.Reason.OTHER_SESSION
    assert refusal(session.move(START + 100, START, session=78)) == m.Reason.OTHER_SESSION
    for message in (m.Sync(78, 1), m.Clear(78, 0), m.Bye(78)):
        nack = session.ask(message, m.Nack)
        assert (nack.reason, nack.boot_id) == (m.Reason.OTHER_SESSION, 11)
    assert moves_made(trace) == 0


def test_after_bye_the_next_session_starts_at_once(session: RawHost) -> None:
    session.ask(m.Bye(HELLO.session), m.ByeAck)
    assert session.hello(session=78).result == m.Reason.OK


def test_a_silent_session_is_dead_after_a_second(session: RawHost) -> None:
    refused = 0
    while session.hello(session=78).result == m.Reason.OTHER_SESSION:
        refused += 1
    assert refused > 10  # each answer within 50 ms: it lasted a while


def test_numbers(session: RawHost, trace: MotorTrace) -> None:
    """Same number and contents: answered again. Other contents, or older: refused."""
    move = m.Move(HELLO.session, 5, START + 1_000, START, 1_000)
    assert session.ask(move, m.Accepted, m.Refused) == m.Accepted(5, START + 1_000)
    session.status_where(m.Flag.SETTLED)
    assert session.ask(move, m.Accepted, m.Refused) == m.Accepted(5, START + 1_000)
    assert session.wait(m.Done).result == m.Result.REACHED
    other = m.Move(HELLO.session, 5, START + 2_000, START + 1_000, 1_000)
    assert refusal(session.ask(other, m.Accepted, m.Refused)) == m.Reason.REUSED_ID
    for stale in (4, 0):
        old = m.Move(HELLO.session, stale, START, START + 1_000, 1_000)
        assert refusal(session.ask(old, m.Accepted, m.Refused)) == m.Reason.STALE
    assert moves_made(trace) == 1


def test_a_refused_number_stays_refused(session: RawHost, trace: MotorTrace) -> None:
    """A late copy of a refused move would fit by now; its host was told that nothing moves."""
    far = m.Move(HELLO.session, 1, START, START + 50_000, 1_000)
    assert refusal(session.ask(far, m.Accepted, m.Refused)) == m.Reason.ASSUMED_DIFFERS
    there = m.Move(HELLO.session, 2, START + 50_000, START, 1_000)
    assert isinstance(session.ask(there, m.Accepted, m.Refused), m.Accepted)
    session.status_where(m.Flag.SETTLED)
    assert isinstance(session.ask(far, m.Accepted, m.Refused), m.Refused)
    assert moves_made(trace) == 1


def test_a_number_refused_last_is_not_judged_again(session: RawHost, trace: MotorTrace) -> None:
    first = m.Move(HELLO.session, 1, START + 50_000, START, 1_000)
    second = m.Move(HELLO.session, 2, START, START + 50_000, 1_000)
    session.ask(first, m.Accepted)
    assert refusal(session.ask(second, m.Refused)) == m.Reason.ASSUMED_DIFFERS
    session.status_where(m.Flag.SETTLED)
    assert refusal(session.ask(second, m.Accepted, m.Refused)) == m.Reason.ASSUMED_DIFFERS
    assert moves_made(trace) == 1


def test_a_repeated_hello_keeps_the_numbers(session: RawHost) -> None:
    session.move(START + 1_000, START)
    session.status_where(m.Flag.SETTLED)
    assert session.hello().result == m.Reason.OK
    assert isinstance(session.move(START, START, move_id=1), m.Refused)


def test_the_window_cannot_change_under_a_move(session: RawHost) -> None:
    session.move(START + 1_000_000, START)
    assert session.hello(z_max_nm=8_000_000).result == m.Reason.BUSY
    assert session.hello().result == m.Reason.OK
    assert session.ask(m.Bye(HELLO.session), m.Nack).reason == m.Reason.BUSY


def test_the_newest_move_wins(session: RawHost, trace: MotorTrace) -> None:
    session.move(START + 3_000_000, START)
    session.wait(m.Status)
    here = session.wait(m.Status).commanded_nm
    session.heard.clear()
    answer = session.move(START - 10_000, here, tolerance_nm=500_000)
    assert isinstance(answer, m.Accepted)
    settled = session.status_where(m.Flag.SETTLED, 3.0)
    assert (settled.commanded_nm, settled.last_result) == (START - 10_000, m.Result.REACHED)
    assert moves_made(trace) == 2


@pytest.mark.parametrize("kind", [0x00, 0x07, 0x7F, 0x86])
def test_unknown_type(session: RawHost, kind: int) -> None:
    session.heard.clear()
    session.link.write(encode_frame(Frame(m.PROTOCOL_VERSION, kind, 9, bytes(8))))
    assert session.wait(m.Nack) == m.Nack(kind, m.Reason.UNKNOWN_TYPE, 11)


def test_malformed_and_foreign_version(session: RawHost) -> None:
    session.link.write(encode_frame(Frame(m.PROTOCOL_VERSION, 0x03, 9, bytes(19))))
    assert session.wait(m.Nack) == m.Nack(0x03, m.Reason.MALFORMED, 11)
    session.send(m.Stop(HELLO.session), version=2)
    assert session.wait(m.Nack) == m.Nack(0x04, m.Reason.VERSION, 11)
    assert session.ask(m.Sync(HELLO.session, 3), m.SyncAck).token == 3
