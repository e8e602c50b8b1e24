"""What the client does not take from a firmware: another table, other settings, another owner; and
what its exchange takes for the answer to a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from firmware_bridge import messages as m
from firmware_bridge.client import AxisRequest, Client
from firmware_bridge.errors import LinkLost, ProtocolError, StageRefused, StageUncertain
from firmware_bridge.exchange import SENDS
from firmware_bridge.history import KEEP, StatusHistory
from tests.support.patience import ANSWER_S
from tests.support.scripted_firmware import BOOT, Script, ScriptedFirmware, hello_ack, obliging

AXIS = AxisRequest(1_000_000, 9_000_000, 2_000, 70_000, 20)


@contextmanager
def talking(script: Script = obliging) -> Iterator[tuple[Client, ScriptedFirmware]]:
    link = ScriptedFirmware(script)
    client = Client(link, lambda: False)  # no heartbeat: what is sent is what is asked
    try:
        yield client, link
    finally:
        client.close()


def saying(**changes: int) -> Script:
    """A firmware whose HELLO_ACK differs in these."""

    def script(message: m.Message, seq: int) -> list[m.Message]:
        if isinstance(message, m.Hello):
            return [hello_ack(message, **changes)]
        return obliging(message, seq)

    return script


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + ANSWER_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def status(client: Client, time_us: int = 5_000, **changes: int) -> m.Status:
    message = m.Status(time_us, 0, 5_000_000, 5_000_000, client.session, BOOT, 0, 0, 0, 2, 0, 0)
    return replace(message, **changes)


def test_what_is_asked_for_is_what_was_wanted() -> None:
    with talking() as (client, link):
        ack = client.handshake(AXIS)
        (hello,) = [one for _, one in link.heard if isinstance(one, m.Hello)]
        assert hello == m.Hello(
            client.session,
            m.PROTOCOL_VERSION,
            m.TABLE_HASH,
            1_000_000,
            9_000_000,
            2_000,
            70_000,
            20,
        )
        assert ack.boot_id == BOOT
        assert client.session != 0
        assert link.written[0] == b"\0"  # ends what a predecessor left half sent
        assert sum(isinstance(one, m.Sync) for _, one in link.heard) == 8
        assert client.clock.ready


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"table_hash": m.TABLE_HASH ^ 1}, ProtocolError, f"this host 1, {m.TABLE_HASH:#010x}"),
        ({"result": m.Reason.HASH}, ProtocolError, "table"),
        ({"result": m.Reason.VERSION, "protocol": 9}, ProtocolError, "version 9"),
        ({"z_min_nm": 999_999}, ProtocolError, r"applied 999999\.\.9000000 nm, settling 20 ms"),
        ({"z_max_nm": 9_000_001}, ProtocolError, r"applied 1000000\.\.9000001 nm"),
        ({"settle_ms": 19}, ProtocolError, "settling 19 ms"),
        ({"settle_ms": 21}, ProtocolError, "settling 21 ms"),
        ({"result": m.Reason.WINDOW}, StageRefused, r"WINDOW.*hard limits 0\.\.10000000 nm"),
        ({"result": m.Reason.CONFIG}, StageRefused, "CONFIG"),
    ],
)
def test_a_handshake_that_gave_something_else_opens_no_session(
    changes: dict[str, int], error: type[Exception], text: str
) -> None:
    with talking(saying(**changes)) as (client, link):
        with pytest.raises(error, match=text):
            client.handshake(AXIS)
        assert client.session == 0
        assert not [one for _, one in link.heard if isinstance(one, m.Sync)]


@pytest.mark.parametrize("reason", [m.Reason.OTHER_SESSION, m.Reason.BUSY])
def test_a_predecessors_session_is_waited_for(reason: m.Reason) -> None:
    left = [reason, reason]

    def script(message: m.Message, seq: int) -> list[m.Message]:
        if isinstance(message, m.Hello) and left:
            return [hello_ack(message, result=left.pop())]
        return obliging(message, seq)

    with talking(script) as (client, link):
        client.handshake(AXIS)
        hellos = [one for _, one in link.heard if isinstance(one, m.Hello)]
        assert len(hellos) == 3
        assert len(set(hellos)) == 1  # the same session asks again


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"session": 1}, "another host took the axis over"),
        ({"boot_id": BOOT + 1}, "the controller restarted: its position is unknown"),
    ],
)
def test_a_status_of_another_owner_ends_it(changes: dict[str, int], text: str) -> None:
    with talking() as (client, link):
        client.handshake(AXIS)
        link.tell(status(client))
        assert client.newest().commanded_nm == 5_000_000
        link.tell(status(client, 25_000, commanded_nm=1, **changes))
        until(lambda: client.exchange.trouble)
        for question in (client.newest, client.check):
            with pytest.raises(StageUncertain, match=text):
                question()
        newest = client.history.newest
        assert newest is not None
        assert newest.commanded_nm == 5_000_000
        link.tell(status(client, 45_000))  # nor does it come back by itself
        with pytest.raises(StageUncertain, match=text):
            client.newest()


def test_a_nack_under_another_boot_id_is_a_restart() -> None:
    with talking() as (client, link):
        client.handshake(AXIS)
        link.tell(m.Nack(2, m.Reason.NO_SESSION, BOOT))
        link.tell(status(client))
        client.newest()
        client.check()
        link.tell(m.Nack(2, m.Reason.NO_SESSION, BOOT + 1))
        until(lambda: client.exchange.trouble)
        with pytest.raises(StageUncertain, match="restarted"):
            client.check()


def test_what_is_left_over_from_before_the_handshake_is_nobodys() -> None:
    with talking() as (client, link):
        link.tell(status(client, session=5, boot_id=99))
        link.tell(m.Exposure(1, 2, 3, 4, 1))
        link.tell(m.Nack(2, m.Reason.NO_SESSION, 99))
        client.handshake(AXIS)
        assert client.history.newest is None
        assert not client.exposures
        link.tell(m.Exposure(1, 2, 3, 4, 2))
        until(lambda: client.exposures)
        client.check()


def test_a_new_handshake_forgets_the_old_session() -> None:
    with talking() as (client, link):
        client.handshake(AXIS)
        first = client.session
        link.tell(status(client))
        client.newest()
        link.tell(status(client, 25_000, session=first ^ 1))
        until(lambda: client.exchange.trouble)
        client.handshake(AXIS)
        assert client.session != first
        assert client.history.newest is None
        client.check()
        link.tell(status(client, 45_000))
        assert client.newest().session == client.session


def silent(message: m.Message, seq: int) -> list[m.Message]:
    return []


def test_a_request_is_sent_three_times_the_same_and_then_uncertain() -> None:
    with talking(silent) as (client, link):
        with pytest.raises(StageUncertain, match=f"Sync: no answer to {SENDS} sends"):
            client.request(m.Sync(5, 6), m.SyncAck)
        assert len(link.written) == SENDS == 3
        first, *copies = link.written
        assert copies == [b"\0" + first] * 2  # ends what may be left of a frame cut short
        assert len({seq for seq, _ in link.heard}) == 1


def test_nobody_there_is_told_from_a_foreign_tongue() -> None:
    with talking(silent) as (client, _), pytest.raises(LinkLost, match="no firmware answers"):
        client.handshake(AXIS)

    def foreign(message: m.Message, seq: int) -> list[m.Message]:
        link.tell(m.SyncAck(1, 2), version=m.PROTOCOL_VERSION + 1)
        return []

    with talking(silent) as (client, link):
        link.script = foreign
        with pytest.raises(ProtocolError, match="another protocol"):
            client.handshake(AXIS)


def test_only_the_answer_under_its_number_and_of_its_kind_counts() -> None:
    def script(message: m.Message, seq: int) -> list[m.Message | tuple[int, m.Message]]:
        return [
            (seq % 255 + 1, m.SyncAck(1, 0)),  # another request's
            m.Stopping(7, 8),  # of another kind
            m.Nack(0x04, m.Reason.BUSY, BOOT),  # of another request's kind
            m.SyncAck(2, 0),
            m.SyncAck(3, 0),  # a copy that is too late
        ]

    with talking(script) as (client, _):
        for _ in range(3):
            assert client.request(m.Sync(5, 6), m.SyncAck).token == 2


def test_a_nack_is_a_refusal_with_its_reason() -> None:
    with talking(lambda message, seq: [m.Nack(0x02, m.Reason.BUSY, BOOT)]) as (client, _):
        with pytest.raises(StageRefused, match="BUSY: Sync") as refused:
            client.request(m.Sync(5, 6), m.SyncAck)
        assert refused.value.reason == "BUSY"


def test_numbers_of_frames_go_round_without_none() -> None:
    with talking() as (client, link):
        client.exchange._seq = 252
        for _ in range(6):
            client.request(m.Sync(5, 6), m.SyncAck)
        assert [seq for seq, _ in link.heard] == [253, 254, 255, 1, 2, 3]


def test_who_is_closed_says_so() -> None:
    with talking() as (client, link):
        client.handshake(AXIS)
        client.close()
        assert isinstance(link.heard[-1][1], m.Bye)
        with pytest.raises(LinkLost, match="closed"):
            client.check()
        with pytest.raises(LinkLost, match="closed"):
            client.request(m.Sync(5, 6), m.SyncAck)


def status_of(time_us: int, nm: int, flags: int = 0, move: int = 1) -> m.Status:
    return m.Status(time_us, 0, nm, nm, 1, 1, move, 0, 0, flags, 0, 0)


def test_history_over_the_end_of_32_bits() -> None:
    """71.6 minutes of microseconds: no time of it may be taken for one at the start."""
    history = StatusHistory()
    begin = 2**32 - 30_000
    for count in range(4):
        history.append(status_of(begin + 20_000 * count, 40_000 * count))
    assert history.at(2**32, 0)[0] == 60_000
    assert history.covers(2**32 + 30_000)
    assert not history.covers(30_000)
    history.append(status_of(5, 9))  # older than the newest
    newest = history.newest
    assert newest is not None
    assert newest.time_us == begin + 60_000


def test_history_keeps_the_newest_of_a_bulk() -> None:
    history = StatusHistory()
    for count in range(2 * KEEP + 1):
        history.append(status_of(count, count))
    assert not history.covers(KEEP - 1)
    assert history.covers(KEEP)
    assert history.at(KEEP + 0.5, 0)[0] == KEEP + 0.5
