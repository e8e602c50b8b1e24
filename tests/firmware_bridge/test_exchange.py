"""Requests, answers and the reading thread's work, on a clock of its own and without a thread."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest

from firmware_bridge import exchange as module
from firmware_bridge import messages as m
from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from firmware_bridge.exchange import Exchange
from firmware_bridge.framing import Frame, encode_frame
from tests.support.scripted_firmware import BOOT
from tests.support.virtual_client import VirtualClient, virtual_client

RUN = Exchange.run  # the virtual client exchanges it


def test_as_new_nothing_was_heard_and_requests_are_numbered_from_1() -> None:
    with virtual_client(handshake=False) as talk:
        exchange = talk.client.exchange
        assert (exchange.foreign_frames, exchange.bad_frames, exchange.trouble) == (0, 0, None)
        exchange.request(m.Sync(5, 6), m.SyncAck)
        assert talk.line.heard == [(1, m.Sync(5, 6))]


def test_an_answer_is_taken_when_it_comes(talk: VirtualClient) -> None:
    talk.line.delay_s = 0.003
    began_ns = talk.time.now_ns
    assert talk.client.request(m.Sync(5, 6), m.SyncAck) == m.SyncAck(6, 2_000)
    assert talk.time.now_ns - began_ns == 3_000_000


def test_a_copy_ends_first_what_may_be_left_of_the_one_before(talk: VirtualClient) -> None:
    talk.line.mute = True
    written = len(talk.line.written)
    with pytest.raises(StageUncertain):
        talk.client.request(m.Sync(5, 6), m.SyncAck)
    first, *copies = talk.line.written[written:]
    assert copies == [b"\0" + first] * 2


def test_trouble_after_the_last_copy_is_told_and_not_a_silence(talk: VirtualClient) -> None:
    patience_s = talk.client.exchange.round_trip.timeout_s
    talk.line.mute = True
    began_s = talk.time.monotonic()
    talk.time.after(4 * patience_s, lambda: talk.client.exchange.fail(LinkLost("pulled out")))
    with pytest.raises(LinkLost, match=r"^pulled out$"):
        talk.client.request(m.Sync(5, 6), m.SyncAck)
    assert talk.time.monotonic() - began_s == pytest.approx(4 * patience_s)


@pytest.mark.parametrize("late", [False, True])
def test_a_wait_for_a_late_reader_ends_after_two_seconds_of_looks(
    talk: VirtualClient, late: bool
) -> None:
    talk.line.late = late
    began_ns = talk.time.now_ns
    talk.client.exchange._wait(lambda: False, 0.25)
    # at 2 s it looks for the last time
    assert talk.time.now_ns - began_ns == (2_255_000_000 if late else 250_000_000)


def test_only_the_answer_under_its_number_and_of_its_kind_counts(talk: VirtualClient) -> None:
    talk.line.script = lambda message, seq: [
        (seq % 255 + 1, m.SyncAck(1, 0)),  # another request's
        m.Stopping(7, 8),  # of another kind
        m.Nack(0x04, m.Reason.BUSY, BOOT),  # of another request's kind
        m.SyncAck(2, 0),
        m.SyncAck(3, 0),  # a copy that is too late
    ]
    assert talk.client.request(m.Sync(5, 6), m.SyncAck).token == 2


def test_of_two_answers_at_once_the_first_counts(talk: VirtualClient) -> None:
    taken: list[int] = []
    talk.client.exchange.round_trip.add = taken.append  # type: ignore[method-assign]

    def script(message: m.Message, seq: int) -> list[m.Message]:
        def both() -> None:
            talk.line.tell(m.SyncAck(1, 0), seq)
            talk.time.now_ns += 5
            talk.line.tell(m.SyncAck(2, 0), seq)

        talk.time.after(0.002, both)
        return []

    talk.line.script = script
    assert talk.client.request(m.Sync(5, 6), m.SyncAck).token == 1
    assert taken == [2_000_000]


def test_a_nack_is_a_refusal_and_of_an_answered_request_nothing(talk: VirtualClient) -> None:
    talk.line.script = lambda message, seq: [m.Nack(m.encode(message)[0], m.Reason.BUSY, BOOT)]
    with pytest.raises(StageRefused, match=r"^BUSY: Sync$") as refused:
        talk.client.request(m.Sync(5, 6), m.SyncAck)
    assert refused.value.reason == "BUSY"


def test_what_cannot_be_read_is_counted(talk: VirtualClient) -> None:
    exchange = talk.client.exchange
    for count in (1, 2):
        exchange._take(Frame(m.PROTOCOL_VERSION, 0xEE, 0, b""), 5)
        assert exchange.foreign_frames == 2 * count - 1
        talk.line.tell(m.SyncAck(1, 2), version=m.PROTOCOL_VERSION + 1)
        assert exchange.foreign_frames == 2 * count


def test_who_waits_is_woken_by_every_message_by_trouble_and_by_the_end(
    talk: VirtualClient,
) -> None:
    exchange = talk.client.exchange
    acts: list[Callable[[], None]] = [
        talk.tell_status, lambda: exchange.fail(StageUncertain("x")), exchange.close,
    ]  # fmt: skip
    for act in acts:
        before = talk.time.notified
        act()
        assert talk.time.notified == before + 1
    with pytest.raises(StageUncertain, match=r"^x$"):
        talk.client.check()


def test_who_is_closed_says_so(talk: VirtualClient) -> None:
    talk.client.exchange.close()
    with pytest.raises(LinkLost, match=r"^the stage is closed$"):
        talk.client.check()
    assert talk.line.closed == 1


class FakeThread:
    def __init__(self, **options: Any) -> None:
        self.options, self.started = options, 0
        self.joined: list[float] = []

    def start(self) -> None:
        self.started += 1

    def join(self, timeout: float) -> None:
        self.joined.append(timeout)


def test_threads_end_with_the_exchange_and_keep_no_process_alive(talk: VirtualClient) -> None:
    def body() -> None: ...

    exchange = talk.client.exchange
    with patch.object(module, "threading", SimpleNamespace(Thread=FakeThread)):
        RUN(exchange, "z-x", body)
    (thread,) = exchange._threads
    assert isinstance(thread, FakeThread)
    wanted = {"target": exchange._guarded, "args": (body,), "name": "z-x", "daemon": True}
    assert thread.options == wanted
    exchange.close()
    assert (thread.started, thread.joined) == (1, [1.0])


def test_what_is_read_is_taken_frame_by_frame_until_the_end(talk: VirtualClient) -> None:
    code, payload = m.encode(talk.status())
    wire = encode_frame(Frame(m.PROTOCOL_VERSION, code, 0, payload))
    pieces = [b"\0" + wire[:5], wire[5:] + b"\1\2\3\0"]

    def read() -> bytes:
        talk.time.pass_s(0.25)
        if pieces:
            return pieces.pop(0)
        talk.client.exchange.closing.set()
        return b""

    talk.line.read = read  # type: ignore[method-assign]
    began_ns = talk.time.now_ns
    talk.client.exchange._read()
    assert talk.client.history.newest == talk.status()
    assert talk.client._status_ns == began_ns + 500_000_000
    assert talk.client.exchange.bad_frames == 1
    assert talk.time.now_ns == began_ns + 750_000_000
