"""What a firmware does with frames: handshake, sessions, damage, time."""

from __future__ import annotations

import statistics
from itertools import pairwise

from firmware_bridge import messages as m
from firmware_bridge.conformance.probe import Probe
from firmware_bridge.conformance.verdicts import Failed, nacked_for, need
from firmware_bridge.framing import Frame, encode_frame

_FOREIGN = 0x7FFFFFF1  # a session number that nobody opened


def handshake(probe: Probe) -> None:
    """HELLO is answered with this table, and reads back what is in force."""
    ack = probe.hello()
    need(ack.result == m.Reason.OK, f"HELLO is refused: reason {ack.result}")
    need(ack.protocol == m.PROTOCOL_VERSION, f"protocol {ack.protocol}")
    need(ack.table_hash == m.TABLE_HASH, f"table {ack.table_hash:#010x}")
    asked = (probe.origin_nm - probe.travel_nm, probe.origin_nm + probe.travel_nm)
    need((ack.z_min_nm, ack.z_max_nm) == asked, f"window {ack.z_min_nm}..{ack.z_max_nm} nm")
    need(ack.backlash_nm == probe.backlash_nm, f"backlash {ack.backlash_nm} nm")
    need(ack.settle_ms == 20, f"settling {ack.settle_ms} ms")


def hash_mismatch(probe: Probe) -> None:
    """Another table opens no session and moves nothing."""
    probe.bye()
    ack = probe.hello(table_hash=m.TABLE_HASH ^ 1)
    need(ack.result == m.Reason.HASH, f"another table's HELLO: result {ack.result}")
    nacked_for(probe.ask(m.Sync(probe.session, 1), m.SyncAck, m.Nack), m.Reason.NO_SESSION, "SYNC")


def foreign_version(probe: Probe) -> None:
    """A frame of another version is answered with NACK(VERSION) and does nothing."""
    probe.forget()
    probe.write(probe.wire(m.Stop(probe.session), version=m.PROTOCOL_VERSION + 1))
    nacked_for(probe.wait(m.Nack, m.Stopping), m.Reason.VERSION, "a frame of another version")
    need(probe.status().latch == m.Latch.NONE, "a STOP of another version was obeyed")


def impossible_settings(probe: Probe) -> None:
    """HELLO is taken as a whole or refused; nothing is clamped."""
    probe.bye()
    hard_min, hard_max = probe.ack.hard_min_nm, probe.ack.hard_max_nm
    for changes, reason in (
        ({"z_min_nm": hard_min - 1}, m.Reason.WINDOW),
        ({"z_max_nm": hard_max + 1}, m.Reason.WINDOW),
        ({"z_min_nm": probe.origin_nm, "z_max_nm": probe.origin_nm}, m.Reason.WINDOW),
        ({"speed_nm_s": 2**32 - 1}, m.Reason.CONFIG),
        ({"speed_nm_s": 3}, m.Reason.CONFIG),  # rounded to none, it would never move
        ({"backlash_nm": 2**31 - 1}, m.Reason.CONFIG),
        ({"backlash_nm": -(2**31)}, m.Reason.CONFIG),
        ({"settle_ms": 2**16 - 1}, m.Reason.CONFIG),
        ({"protocol": m.PROTOCOL_VERSION + 1}, m.Reason.VERSION),
    ):
        result = probe.hello(**changes).result
        need(result == reason, f"HELLO with {changes}: result {result} instead of {reason.name}")


def no_session(probe: Probe) -> None:
    """Without a session nothing moves and nothing is served."""
    probe.bye()
    move = m.Move(probe.session, 1, probe.origin_nm, probe.origin_nm, probe.travel_nm)
    answer = probe.ask(move, m.Accepted, m.Refused)
    need(isinstance(answer, m.Refused), "a MOVE without a session was accepted")
    for message in (m.Sync(probe.session, 1), m.Clear(probe.session, 0)):
        name = type(message).__name__
        answered = probe.ask(message, m.Nack, m.SyncAck, m.Cleared)
        nacked_for(answered, m.Reason.NO_SESSION, f"{name} without a session")


def other_session(probe: Probe) -> None:
    """While a session is alive, another one may not speak."""
    result = probe.hello(session=_FOREIGN).result
    need(result == m.Reason.OTHER_SESSION, f"a second host's HELLO: result {result}")
    for message in (m.Sync(_FOREIGN, 1), m.Clear(_FOREIGN, 0), m.Bye(_FOREIGN)):
        answered = probe.ask(message, m.Nack, m.SyncAck, m.Cleared, m.ByeAck)
        nacked_for(answered, m.Reason.OTHER_SESSION, f"a second host's {type(message).__name__}")


def take_over(probe: Probe) -> None:
    """A host that fell silent at rest loses the axis after a second, not much earlier."""
    last_us = probe.ask(m.Sync(probe.session, 1), m.SyncAck).time_us
    deadline = probe.clock.monotonic() + 3.0
    probe._session += 1
    while (ack := probe.hello()).result == m.Reason.OTHER_SESSION:
        need(probe.clock.monotonic() < deadline, "a dead session never ends")
    need(ack.result == m.Reason.OK, f"taking over: result {ack.result}")
    silent_ms = (ack.time_us - last_us) / 1e3
    need(silent_ms >= m.SESSION_ALIVE_MS, f"taken over after {silent_ms:.0f} ms")


def corrupt_frame(probe: Probe) -> None:
    """A damaged frame is dropped, counted, never answered; the next good one is served."""
    before = probe.status().crc_errors
    for position in (2, 4, -3):
        probe.forget()
        wire = bytearray(probe.wire(m.Stop(probe.session)))
        wire[position] ^= 0x40 if wire[position] != 0x40 else 0x20
        probe.write(bytes(wire))
        token = 1000 + position
        answer = probe.ask(m.Sync(probe.session, token), m.SyncAck)
        need(answer.token == token, "the frame after a damaged one was not served")
    status = probe.status()
    need(status.latch == m.Latch.NONE, "a damaged STOP was obeyed")
    need(status.crc_errors - before == 3, f"3 damaged frames counted {status.crc_errors - before}")


def resync(probe: Probe) -> None:
    """Junk of any length ends at the next zero; one good frame later all is well."""
    for junk in (b"\x55" * 300, probe.wire(m.Sync(probe.session, 2))[:5], b"\0\0\0", b"\x01"):
        probe.write(junk + b"\0")
        probe.ask(m.Sync(probe.session, len(junk)), m.SyncAck)


def unknown_and_malformed(probe: Probe) -> None:
    """A sound frame that is in no table is answered, not guessed at."""
    probe.forget()
    for kind, payload, reason in (
        (0x7F, bytes(8), m.Reason.UNKNOWN_TYPE),
        (0x03, probe.session.to_bytes(4, "little") + bytes(15), m.Reason.MALFORMED),
    ):
        probe.write(encode_frame(Frame(m.PROTOCOL_VERSION, kind, 9, payload)))
        answered = probe.wait(m.Nack, m.Refused, m.Accepted)
        nacked_for(answered, reason, f"type {kind:#04x} with {len(payload)} bytes")


def sync_time(probe: Probe) -> None:
    """SYNC tells the firmware's own time: never backwards, as fast as the host's within 1 %."""
    asked, told = [], []
    for token in range(60):
        sent_ns = probe.clock.monotonic_ns()
        answer = probe.ask(m.Sync(probe.session, token), m.SyncAck)
        need(answer.token == token, f"token {answer.token} instead of {token}")
        asked.append((sent_ns + probe.clock.monotonic_ns()) / 2e3)
        told.append(answer.time_us)
        probe.clock.sleep(0.005)
    steps = [later - earlier for earlier, later in pairwise(told)]
    need(min(steps) > 0, f"SYNC's time went {min(steps)} us forward in 5 ms")
    ratio = (told[-1] - told[0]) / (asked[-1] - asked[0])
    need(0.9 < ratio < 1.1, f"the clock runs at {ratio:.3f} of the host's")


def status_stream(probe: Probe) -> None:
    """STATUS comes every 20 ms by the firmware's clock, and names boot and session."""
    boot_id = probe.hello().boot_id
    probe.forget()
    told = []
    for _ in range(12):
        probe.keep_alive()
        status = probe.wait(m.Status)
        need(status.boot_id == boot_id, f"STATUS of boot {status.boot_id}, HELLO of {boot_id}")
        need(status.session == probe.session, f"STATUS of session {status.session}")
        told.append(status.time_us)
    period_ms = statistics.median(b - a for a, b in pairwise(told)) / 1e3
    need(10 <= period_ms <= 2 * m.STATUS_PERIOD_MS, f"STATUS every {period_ms:.1f} ms")


def reboot(probe: Probe) -> None:
    """After a restart the boot id differs and the session is gone (needs a build with faults)."""
    assert probe.bench is not None
    boot_id = probe.hello().boot_id
    probe.bench.inject("reboot")
    probe.bench.report()
    nack = probe.ask(m.Sync(probe.session, 1), m.Nack, m.SyncAck)
    if isinstance(nack, m.SyncAck):
        raise Failed("it did not restart: a release has no fault injection")
    assert isinstance(nack, m.Nack)
    need(nack.boot_id != boot_id, f"boot id {boot_id} again")
    need(probe.hello().boot_id == nack.boot_id, "NACK and HELLO_ACK tell different boot ids")
