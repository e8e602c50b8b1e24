"""What the client waits for and how long, to the nanosecond, on a clock of its own."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from firmware_bridge import messages as m
from firmware_bridge.client import AxisRequest, Client
from firmware_bridge.errors import (
    LinkLost,
    ProtocolError,
    StageRefused,
    StageSilent,
    StageUncertain,
)
from firmware_bridge.exchange import Exchange
from tests.support.scripted_firmware import BOOT, hello_ack, obliging
from tests.support.virtual_client import AXIS, VirtualClient, virtual_client


@pytest.fixture
def talk() -> Iterator[VirtualClient]:
    with virtual_client() as talk:
        yield talk


def silent(message: m.Message, seq: int) -> list[m.Message]:
    return []


# ---- STATUS ---------------------------------------------------------------------------------


def test_a_status_is_new_for_half_a_second(talk: VirtualClient) -> None:
    talk.tell_status()
    talk.time.pass_s(0.5)
    before_ns = talk.time.now_ns
    assert talk.client.newest().time_us == 5_000
    assert talk.time.now_ns == before_ns
    talk.time.pass_s(1e-6)
    with pytest.raises(StageSilent, match=r"^no STATUS for 0\.5 s$"):
        talk.client.newest()


@pytest.mark.parametrize(
    ("changes", "awaited", "error"),
    [
        ({}, 0, StageSilent),
        ({"last_move_id": 3}, 3, StageSilent),
        ({"last_move_id": 3}, 4, LinkLost),  # it does not know of the newest move
        ({"flags": m.Flag.MOVING}, 0, LinkLost),
    ],
)
def test_silence_is_a_lost_link_unless_it_rests(
    talk: VirtualClient, changes: dict[str, int], awaited: int, error: type[Exception]
) -> None:
    talk.client.awaited_id = awaited
    talk.tell_status(**changes)
    talk.time.pass_s(0.6)
    with pytest.raises(LinkLost, match=r"^no STATUS for 0\.5 s$") as caught:
        talk.client.newest()
    assert type(caught.value) is error
    assert talk.client.rests(talk.status(**changes)) is (error is StageSilent)


def test_the_first_status_is_waited_for_and_no_longer_than_half_a_second(
    talk: VirtualClient,
) -> None:
    began_s = talk.time.monotonic()
    with pytest.raises(LinkLost, match=r"^no STATUS since the handshake$"):
        talk.client.newest()
    assert talk.time.monotonic() - began_s == pytest.approx(0.5, abs=1e-6)
    talk.time.after(0.49, talk.tell_status)
    assert talk.client.newest().time_us == 5_000


def test_a_condition_is_waited_for_until_its_time(talk: VirtualClient) -> None:
    for number in range(1, 41):
        talk.time.after(0.02 * number, lambda n=number: talk.tell_status(n, last_move_id=n))
    began_s = talk.time.monotonic()
    assert talk.client.wait_for(lambda s: s.last_move_id >= 10, 0.7).last_move_id == 10
    assert talk.time.monotonic() - began_s == pytest.approx(0.2)
    with pytest.raises(StageUncertain, match=r"^still not done after 0\.3 s$"):
        talk.client.wait_for(lambda s: s.last_move_id > 99, 0.3)
    assert talk.time.monotonic() - began_s == pytest.approx(0.5, abs=0.021)


def test_a_wait_ends_at_its_deadline_and_not_a_nanosecond_later(talk: VirtualClient) -> None:
    talk.tell_status()
    began_ns, waits = talk.time.now_ns, talk.time.waits
    with pytest.raises(StageUncertain):
        talk.client.wait_for(lambda s: False, 0.25)
    assert talk.time.now_ns - began_ns == 250_000_000
    assert talk.time.waits == waits + 1
    talk.line.late = True  # two seconds later at most, to the look
    began_ns = talk.time.now_ns
    for number in range(1, 6):
        talk.time.after(0.4 * number, lambda n=number: talk.tell_status(5_000 + n))
    with pytest.raises(StageUncertain):
        talk.client.wait_for(lambda s: False, 0.25)
    assert talk.time.now_ns - began_ns == 2_250_000_000


def test_a_late_reader_is_looked_at_every_five_milliseconds(talk: VirtualClient) -> None:
    talk.tell_status()
    talk.line.late = True
    waits = talk.time.waits
    with pytest.raises(StageSilent):
        talk.client.wait_for(lambda s: False, 0.25)
    assert talk.time.waits == waits + 1 + 400


def test_before_its_deadline_a_wait_does_not_look_whether_the_reader_is_late(
    talk: VirtualClient,
) -> None:
    talk.line.late = True
    talk.time.after(0.49, talk.tell_status)
    waits = talk.time.waits
    talk.client.newest()
    assert talk.time.waits == waits + 1


def test_a_wait_ends_when_the_line_falls_silent(talk: VirtualClient) -> None:
    talk.tell_status(flags=m.Flag.MOVING)
    began_s = talk.time.monotonic()
    with pytest.raises(LinkLost, match=r"no STATUS for 0\.5 s"):
        talk.client.wait_for(lambda s: False, 9.0)
    assert 0.5 < talk.time.monotonic() - began_s <= 1.001


def test_what_waits_to_be_read_is_waited_for_and_two_seconds_at_most(talk: VirtualClient) -> None:
    talk.tell_status()
    talk.time.pass_s(0.6)
    talk.line.late = True
    talk.time.after(1.0, lambda: talk.tell_status(25_000))
    assert talk.client.newest().time_us == 25_000
    talk.time.pass_s(0.6)
    began_s = talk.time.monotonic()
    with pytest.raises(StageSilent):
        talk.client.newest()
    # its deadline is half a second from the question
    assert talk.time.monotonic() - began_s == pytest.approx(2.5, abs=0.01)
    assert talk.time.waits > 100  # it looks every few milliseconds


def test_a_late_reader_is_waited_for_at_a_deadline_as_well(talk: VirtualClient) -> None:
    for number in range(1, 100):
        talk.time.after(0.1 * number, lambda n=number: talk.tell_status(n, last_move_id=n))
    talk.line.late = True
    assert talk.client.wait_for(lambda s: s.last_move_id >= 20, 0.3).last_move_id == 20
    began_s = talk.time.monotonic()
    with pytest.raises(StageUncertain, match=r"0\.3 s"):
        talk.client.wait_for(lambda s: s.last_move_id > 90, 0.3)
    # two seconds after its deadline, although STATUS never ceases to come
    assert talk.time.monotonic() - began_s == pytest.approx(2.3, abs=0.11)


# ---- requests -------------------------------------------------------------------------------


def test_three_sends_each_waited_for_twice_as_long(talk: VirtualClient) -> None:
    patience_s = talk.client.exchange.round_trip.timeout_s
    talk.line.mute = True
    began_s = talk.time.monotonic()
    with pytest.raises(StageUncertain, match=r"^Sync: no answer to 3 sends$"):
        talk.client.request(m.Sync(5, 6), m.SyncAck)
    assert talk.time.monotonic() - began_s == pytest.approx(7 * patience_s)
    assert not talk.client.exchange._pending


def test_an_answer_that_waits_to_be_read_is_waited_for(talk: VirtualClient) -> None:
    patience_s = talk.client.exchange.round_trip.timeout_s
    talk.line.late = True
    talk.line.delay_s = patience_s + 1.9
    assert talk.client.request(m.Sync(5, 6), m.SyncAck).token == 6
    talk.line.delay_s = 99.0
    began_s = talk.time.monotonic()
    with pytest.raises(StageUncertain):
        talk.client.request(m.Sync(5, 6), m.SyncAck)
    patience_s = talk.client.exchange.round_trip.timeout_s
    assert talk.time.monotonic() - began_s == pytest.approx(6.0 + 7 * patience_s, abs=0.05)


def test_an_answer_comes_at_once_where_the_reader_is_late_no_more(talk: VirtualClient) -> None:
    patience_s = talk.client.exchange.round_trip.timeout_s
    talk.line.delay_s = patience_s * 1.5  # after the second send
    talk.client.request(m.Sync(5, 6), m.SyncAck)
    assert [kind for _, kind in talk.line.heard[-2:]] == [m.Sync(5, 6)] * 2


def test_only_what_was_sent_once_tells_the_round_trip_and_the_clock(talk: VirtualClient) -> None:
    trip = talk.client.exchange.round_trip
    taken: list[int] = []
    clock: list[tuple[int, int, int]] = []
    talk.client.exchange.round_trip.add = taken.append  # type: ignore[method-assign]
    talk.client.clock.add = lambda *times: clock.append(times)  # type: ignore[method-assign]
    talk.line.delay_s = 0.003
    sent_ns = talk.time.now_ns
    talk.client.request(m.Sync(5, 6), m.SyncAck)
    assert taken == [3_000_000]
    assert clock == [(sent_ns, sent_ns + 3_000_000, 2_000)]
    talk.line.delay_s = trip.timeout_s * 1.2
    talk.client.request(m.Sync(5, 7), m.SyncAck)
    assert len(taken) == len(clock) == 1


def test_trouble_ends_a_request_at_once(talk: VirtualClient) -> None:
    talk.line.mute = True
    exchange = talk.client.exchange
    talk.time.after(0.001, lambda: exchange.fail(LinkLost("pulled out")))
    talk.time.after(0.002, lambda: exchange.fail(StageUncertain("later")))
    began_s = talk.time.monotonic()
    with pytest.raises(LinkLost, match=r"^pulled out$"):
        talk.client.request(m.Sync(5, 6), m.SyncAck)
    assert talk.time.monotonic() - began_s == pytest.approx(0.001)
    talk.time.pass_s(1.0)
    heard = len(talk.line.heard)
    for again in range(2):
        with pytest.raises(LinkLost, match=r"^pulled out$") as caught:
            talk.client.request(m.Sync(5, again), m.SyncAck)
        assert caught.value.__cause__ is exchange.trouble
    assert len(talk.line.heard) == heard


def test_a_closed_exchange_takes_no_trouble(talk: VirtualClient) -> None:
    talk.client.close()
    talk.client.exchange.fail(StageUncertain("too late"))
    assert talk.client.exchange.trouble is None


@pytest.mark.parametrize("error", [LinkLost("gone"), StageRefused("LIMIT", "x")])
def test_what_a_thread_meets_is_raised_by_the_next_call(
    talk: VirtualClient, error: Exception
) -> None:
    def body() -> None:
        raise error

    talk.client.exchange._guarded(body)
    with pytest.raises(type(error), match=str(error)):
        talk.client.check()


def test_a_thread_that_breaks_leaves_the_position_uncertain(talk: VirtualClient) -> None:
    talk.client.exchange._guarded(lambda: [][0])  # type: ignore[arg-type, return-value]
    with pytest.raises(StageUncertain, match=r"^the bridge stopped: IndexError\("):
        talk.client.check()


def test_frames_of_another_tongue_are_counted(talk: VirtualClient) -> None:
    before = talk.client.exchange.foreign_frames
    talk.line.tell(m.SyncAck(1, 2), version=m.PROTOCOL_VERSION + 1)
    talk.line.tell(m.SyncAck(1, 2))
    assert talk.client.exchange.foreign_frames == before + 1


# ---- the handshake --------------------------------------------------------------------------


def busy_for(talk: VirtualClient, seconds: float) -> None:
    ends_s = talk.time.monotonic() + seconds

    def script(message: m.Message, seq: int) -> list[m.Message]:
        if isinstance(message, m.Hello) and talk.time.monotonic() < ends_s:
            return [hello_ack(message, result=m.Reason.OTHER_SESSION)]
        return obliging(message, seq)

    talk.line.script = script


def test_a_predecessor_is_waited_for_a_second_and_a_half(talk: VirtualClient) -> None:
    busy_for(talk, 1.49)
    talk.client.handshake(AXIS)
    busy_for(talk, 1.6)
    began_s = talk.time.monotonic()
    with pytest.raises(StageRefused, match="OTHER_SESSION"):
        talk.client.handshake(AXIS)
    # the last time at 1.5 s, and heard as busy 50 ms later
    assert talk.time.monotonic() - began_s == pytest.approx(1.55, abs=1e-9)
    assert talk.client.session == 0


def test_hello_is_asked_again_every_heartbeat(talk: VirtualClient) -> None:
    busy_for(talk, 0.21)
    before = len(talk.line.heard)
    talk.client.handshake(AXIS)
    hellos = [one for _, one in talk.line.heard[before:] if isinstance(one, m.Hello)]
    assert len(hellos) == 6  # at 0, 50, ... 250 ms


def test_a_firmware_that_refuses_hello_as_such_speaks_another_protocol() -> None:
    with virtual_client(handshake=False) as talk:
        talk.line.script = lambda message, seq: [m.Nack(1, m.Reason.MALFORMED, BOOT)]
        with pytest.raises(ProtocolError, match=r"^the firmware does not understand HELLO: ") as e:
            talk.client.handshake(AXIS)
        assert "MALFORMED" in str(e.value)


def test_nobody_there_and_another_tongue() -> None:
    with virtual_client(silent, handshake=False) as talk:
        with pytest.raises(LinkLost, match=r"^no firmware answers on this port$"):
            talk.client.handshake(AXIS)
        talk.time.after(0.01, lambda: talk.line.tell(m.SyncAck(1, 2), version=9))
        with pytest.raises(ProtocolError, match=r"^the peer answers in another protocol$"):
            talk.client.handshake(AXIS)
        # what was counted before does not count for the next one
        with pytest.raises(LinkLost, match="no firmware answers"):
            talk.client.handshake(AXIS)


def test_a_lost_link_is_not_mended_by_a_handshake_and_a_restart_is(talk: VirtualClient) -> None:
    first = talk.client.session
    talk.tell_status(boot_id=BOOT + 1)
    with pytest.raises(StageUncertain, match=r"^the controller restarted: its position is unknown"):
        talk.client.check()
    talk.client.handshake(AXIS)
    assert first != talk.client.session != 0
    talk.client.exchange.fail(LinkLost("pulled out"))
    heard = len(talk.line.heard)
    with pytest.raises(LinkLost, match="pulled out"):
        talk.client.handshake(AXIS)
    assert len(talk.line.heard) == heard


def test_a_handshake_says_bye_to_the_session_before_and_forgets_it(talk: VirtualClient) -> None:
    first = talk.client.session
    talk.tell_status()
    talk.line.tell(m.Exposure(1, 2, 3, 4, 1))
    assert len(talk.client.exposures) == 1
    heard, written = len(talk.line.heard), len(talk.line.written)
    talk.client.handshake(AXIS)
    assert talk.line.heard[heard][1] == m.Bye(first)
    assert talk.line.written[written + 1] == b"\0"
    assert [type(one) for _, one in talk.line.heard[heard + 1 :]] == [m.Hello] + 8 * [m.Sync]
    assert {one.session for _, one in talk.line.heard[heard + 2 :] if isinstance(one, m.Sync)} == {
        talk.client.session
    }
    syncs = [one for _, one in talk.line.heard[heard + 2 :] if isinstance(one, m.Sync)]
    assert {one.token for one in syncs} == {0}  # a heartbeat's has another
    assert talk.client.history.newest is None
    assert not talk.client.exposures


def test_exposures_are_kept_up_to_256(talk: VirtualClient) -> None:
    for number in range(300):
        talk.line.tell(m.Exposure(1, 2, 3, 4, number))
    assert [one.count for one in talk.client.exposures] == list(range(44, 300))


def test_bye_is_said_once_and_only_of_a_session(talk: VirtualClient) -> None:
    session = talk.client.session
    talk.client.close()
    assert talk.line.heard[-1][1] == m.Bye(session)
    heard = len(talk.line.heard)
    talk.client.close()
    assert len(talk.line.heard) == heard
    with virtual_client(handshake=False) as other:
        other.client.close()
        assert other.line.heard == []


def test_a_firmware_that_is_deaf_to_bye_keeps_nobody(talk: VirtualClient) -> None:
    talk.line.mute = True
    talk.client.close()
    assert talk.client.session == 0
    assert talk.line.closed == 1


# ---- the heartbeat --------------------------------------------------------------------------


def beats(client: Client, talk: VirtualClient, count: int) -> list[m.Sync]:
    """What the heartbeat's thread sends in so many of its turns."""
    before = len(talk.line.heard)
    talk.time.after(0.05 * count + 0.01, client.exchange.closing.set)
    client._beat()
    return [one for _, one in talk.line.heard[before:] if isinstance(one, m.Sync)]


def test_a_sync_every_50_ms_whose_answer_sets_the_clock(talk: VirtualClient) -> None:
    clock: list[tuple[int, int, int]] = []
    talk.client.clock.add = lambda *times: clock.append(times)  # type: ignore[method-assign]
    talk.line.delay_s = 0.004
    began_ns = talk.time.now_ns
    sent = beats(talk.client, talk, 4)
    assert len(sent) == 4
    assert {one.session for one in sent} == {talk.client.session}
    assert len({one.token for one in sent}) == 4
    assert 0 not in {one.token for one in sent}
    assert {seq for seq, _ in talk.line.heard[-4:]} == {0}  # it asks for no answer
    assert clock[:3] == [
        (began_ns + n * 50_000_000, began_ns + n * 50_000_000 + 4_000_000, 2_000) for n in (1, 2, 3)
    ]


def test_no_heartbeat_without_session_leave_or_a_sound_line(talk: VirtualClient) -> None:
    talk.client._may_beat = lambda: False
    assert beats(talk.client, talk, 3) == []


def test_no_heartbeat_in_trouble(talk: VirtualClient) -> None:
    talk.client.exchange.fail(StageUncertain("x"))
    assert beats(talk.client, talk, 3) == []


def test_no_heartbeat_before_a_session() -> None:
    with virtual_client(handshake=False) as talk:
        assert beats(talk.client, talk, 3) == []


def test_heartbeats_whose_answers_are_lost_are_forgotten(talk: VirtualClient) -> None:
    talk.line.mute = True
    kept: list[int] = []
    talk.client._may_beat = lambda: bool(kept.append(len(talk.client._syncs))) or True
    assert len(beats(talk.client, talk, 133)) == 133
    assert kept == [*range(66), *range(1, 66), 1, 2]


def test_an_answer_after_the_next_heartbeat_sets_the_clock_as_well(talk: VirtualClient) -> None:
    clock: list[tuple[int, int, int]] = []
    talk.client.clock.add = lambda *times: clock.append(times)  # type: ignore[method-assign]
    talk.line.delay_s = 0.12
    began_ns = talk.time.now_ns
    beats(talk.client, talk, 5)
    assert [sent for sent, _, _ in clock] == [began_ns + n * 50_000_000 for n in (1, 2, 3)]


def test_the_heartbeat_begins_again_when_it_may_and_with_a_session(talk: VirtualClient) -> None:
    """One turn without it does not end it."""
    turns = iter((False, True, False, True, True))
    talk.client._may_beat = lambda: next(turns)
    assert len(beats(talk.client, talk, 5)) == 3
    talk.client.exchange.closing._is_set = False  # type: ignore[attr-defined]
    talk.client._may_beat = lambda: True
    session, talk.client.session = talk.client.session, 0

    def begin() -> None:
        talk.client.session = session

    talk.time.after(0.12, begin)
    assert [one.session for one in beats(talk.client, talk, 5)] == [session] * 3


def test_a_heartbeat_of_the_session_before_sets_no_clock(talk: VirtualClient) -> None:
    talk.line.mute = True
    (lost,) = beats(talk.client, talk, 1)
    talk.line.mute = False
    talk.client.exchange.closing._is_set = False  # type: ignore[attr-defined]
    talk.client.handshake(AXIS)
    clock: list[tuple[int, int, int]] = []
    talk.client.clock.add = lambda *times: clock.append(times)  # type: ignore[method-assign]
    talk.line.tell(m.SyncAck(lost.token, 5))
    assert clock == []


def test_during_hello_another_boot_is_no_restart(talk: VirtualClient) -> None:
    def script(message: m.Message, seq: int) -> list[m.Message]:
        if isinstance(message, m.Hello):
            stale = m.Nack(2, m.Reason.NO_SESSION, BOOT + 1)
            return [stale, hello_ack(message, boot_id=BOOT + 1)]
        return obliging(message, seq)

    talk.line.script = script
    talk.client.handshake(AXIS)
    talk.client.check()


def test_what_hello_applied_must_be_what_was_asked() -> None:
    asked = AxisRequest(1_000, 2_000, 0, 0, 7)

    def script(message: m.Message, seq: int) -> list[m.Message]:
        if isinstance(message, m.Hello):
            return [hello_ack(message, z_min_nm=1_001)]
        return obliging(message, seq)

    with virtual_client(script, handshake=False) as talk:
        with pytest.raises(ProtocolError) as caught:
            talk.client.handshake(asked)
        assert str(caught.value) == "the firmware applied 1001..2000 nm, settling 7 ms"


@pytest.mark.parametrize("changes", [{"table_hash": 7}, {"table_hash": 7, "result": m.Reason.HASH}])
def test_another_table_is_told_before_anything_else(changes: dict[str, int]) -> None:
    def script(message: m.Message, seq: int) -> list[m.Message]:
        if isinstance(message, m.Hello):
            return [hello_ack(message, **changes)]
        return obliging(message, seq)

    with virtual_client(script, handshake=False) as talk:
        with pytest.raises(ProtocolError) as caught:
            talk.client.handshake(AXIS)
        assert str(caught.value) == (
            f"the firmware speaks version {m.PROTOCOL_VERSION}, table 0x00000007; "
            f"this host {m.PROTOCOL_VERSION}, {m.TABLE_HASH:#010x}"
        )


def test_a_refused_handshake_tells_the_hard_limits() -> None:
    def script(message: m.Message, seq: int) -> list[m.Message]:
        return [hello_ack(message, result=m.Reason.WINDOW)] if isinstance(message, m.Hello) else []

    with virtual_client(script, handshake=False) as talk:
        with pytest.raises(StageRefused, match=r"hard limits 0\.\.10000000 nm$") as caught:
            talk.client.handshake(AXIS)
        assert caught.value.reason == "WINDOW"


def test_a_status_without_a_session_is_nobodys() -> None:
    with virtual_client(handshake=False) as talk:
        talk.tell_status()
        assert talk.client.history.newest is None
        talk.client.check()


def test_the_first_loss_is_the_one_that_is_told(talk: VirtualClient) -> None:
    talk.tell_status(boot_id=BOOT + 1)
    talk.tell_status(session=talk.client.session ^ 1)
    with pytest.raises(StageUncertain, match="restarted"):
        talk.client.check()


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (m.Nack(2, m.Reason.NO_SESSION, BOOT + 1),
         "the controller restarted: its position is unknown"),
        (None, "another host took the axis over"),
    ],
)  # fmt: skip
def test_what_ends_a_session_is_told_to_the_letter(
    talk: VirtualClient, message: m.Message | None, text: str
) -> None:
    talk.line.tell(message or talk.status(session=talk.client.session ^ 1))
    with pytest.raises(StageUncertain) as caught:
        talk.client.check()
    assert str(caught.value) == text


def test_nothing_but_exposures_is_kept_as_one(talk: VirtualClient) -> None:
    talk.line.tell(m.Nack(2, m.Reason.NO_SESSION, BOOT))
    talk.line.tell(m.Stopping(7, 8))
    assert not talk.client.exposures
    talk.client.check()
    talk.client.close()
    talk.line.tell(m.Exposure(1, 2, 3, 4, 1))
    assert not talk.client.exposures


def test_a_line_that_is_lost_during_hello_is_lost() -> None:
    with virtual_client(silent, handshake=False) as talk:
        talk.time.after(0.01, lambda: talk.client.exchange.fail(LinkLost("pulled out")))
        with pytest.raises(LinkLost, match=r"^pulled out$"):
            talk.client.handshake(AXIS)


def test_sessions_and_tokens_are_any_number_of_32_bits_but_0(
    talk: VirtualClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for chosen, number in ((lambda below: below - 1, 2**32 - 1), (lambda below: 0, 1)):
        monkeypatch.setattr("firmware_bridge.client.secrets.randbelow", chosen)
        talk.client.handshake(AXIS)
        assert talk.client.session == number
        (sent,) = beats(talk.client, talk, 1)
        assert sent == m.Sync(number, number)
        talk.client.exchange.closing._is_set = False  # type: ignore[attr-defined]


def test_before_a_handshake_nothing_is_known_and_both_threads_run() -> None:
    with virtual_client(handshake=False) as talk:
        assert talk.client.history.newest is None
        assert (talk.client.session, talk.client.awaited_id) == (0, 0)
        started: list[str] = []
        # inside, and undone inside: another order would leave the virtual client's for ever
        with patch.object(Exchange, "run", lambda self, name, body: started.append(name)):
            Client(talk.line)
        assert started == ["z-reader", "z-heartbeat"]
