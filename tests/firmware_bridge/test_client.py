"""What the client waits for and how long, to the nanosecond, on a clock of its own."""

from __future__ import annotations

import pytest

from firmware_bridge import messages as m
from firmware_bridge.errors import (
    LinkLost,
    StageRefused,
    StageSilent,
    StageUncertain,
)
from tests.support.scripted_firmware import BOOT
from tests.support.virtual_client import VirtualClient

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


def test_what_is_none_of_zs_is_told_to_who_moves_the_slide(talk: VirtualClient) -> None:
    other = m.Accepted(1, 5)
    talk.line.tell(other)  # nobody moves the slide
    heard: list[m.Message] = []
    talk.client.also_note = heard.append
    for message in (other, m.SyncAck(3, 9), m.Nack(2, 5, BOOT + 1)):
        talk.line.tell(message)
    talk.tell_status()
    assert heard == [other]
