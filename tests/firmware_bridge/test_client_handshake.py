"""How a session begins and ends: who is waited for, what hello must say, what is said of a
refusal."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from firmware_bridge import messages as m
from firmware_bridge.client import AxisRequest, Client
from firmware_bridge.errors import (
    LinkLost,
    ProtocolError,
    StageRefused,
    StageUncertain,
)
from firmware_bridge.exchange import Exchange
from tests.support.scripted_firmware import BOOT, hello_ack, obliging
from tests.support.virtual_client import AXIS, VirtualClient, beats, silent, virtual_client

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
