"""The heartbeat: a SYNC every 50 ms, which answers set the clock, when there is none."""

from __future__ import annotations

from firmware_bridge import messages as m
from firmware_bridge.errors import (
    StageUncertain,
)
from tests.support.virtual_client import AXIS, VirtualClient, beats, virtual_client


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
