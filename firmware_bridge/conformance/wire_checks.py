"""What a firmware does with frames: handshake, sessions, damage, time."""

from __future__ import annotations

import statistics
from itertools import pairwise

from firmware_bridge import messages as m
from firmware_bridge.conformance.test_host import ConformanceHost
from firmware_bridge.conformance.verdicts import Failed, nacked_for, need
from firmware_bridge.framing import Frame, encode_frame

_FOREIGN = 0x7FFFFFF1  # a session number that nobody opened


def handshake(host: ConformanceHost) -> None:
    """HELLO is answered with this table, and reads back what is in force."""
    ack = host.hello()
    need(ack.result == m.Reason.OK, f"HELLO is refused: reason {ack.result}")
    need(ack.protocol == m.PROTOCOL_VERSION, f"protocol {ack.protocol}")
    need(ack.table_hash == m.TABLE_HASH, f"table {ack.table_hash:#010x}")
    asked = (host.origin_nm - host.travel_nm, host.origin_nm + host.travel_nm)
    need((ack.z_min_nm, ack.z_max_nm) == asked, f"window {ack.z_min_nm}..{ack.z_max_nm} nm")
    need(ack.backlash_nm == host.backlash_nm, f"backlash {ack.backlash_nm} nm")
    need(ack.settle_ms == 20, f"settling {ack.settle_ms} ms")


def hash_mismatch(host: ConformanceHost) -> None:
    """Another table opens no session and moves nothing."""
    host.bye()
    ack = host.hello(table_hash=m.TABLE_HASH ^ 1)
    need(ack.result == m.Reason.HASH, f"another table's HELLO: result {ack.result}")
    nacked_for(host.ask(m.Sync(host.session, 1), m.SyncAck, m.Nack), m.Reason.NO_SESSION, "SYNC")


def foreign_version(host: ConformanceHost) -> None:
    """A frame of another version is answered with NACK(VERSION) and does nothing."""
    host.forget()
    host.write(host.wire(m.Stop(host.session), version=m.PROTOCOL_VERSION + 1))
    nacked_for(host.wait(m.Nack, m.Stopping), m.Reason.VERSION, "a frame of another version")
    need(host.status().latch == m.Latch.NONE, "a STOP of another version was obeyed")


def impossible_settings(host: ConformanceHost) -> None:
    """HELLO is taken as a whole or refused; nothing is clamped."""
    host.bye()
    hard_min, hard_max = host.ack.hard_min_nm, host.ack.hard_max_nm
    for changes, reason in (
        ({"z_min_nm": hard_min - 1}, m.Reason.WINDOW),
        ({"z_max_nm": hard_max + 1}, m.Reason.WINDOW),
        ({"z_min_nm": host.origin_nm, "z_max_nm": host.origin_nm}, m.Reason.WINDOW),
        ({"speed_nm_s": 2**32 - 1}, m.Reason.CONFIG),
        ({"speed_nm_s": 3}, m.Reason.CONFIG),  # rounded to none, it would never move
        ({"backlash_nm": 2**31 - 1}, m.Reason.CONFIG),
        ({"backlash_nm": -(2**31)}, m.Reason.CONFIG),
        ({"settle_ms": 2**16 - 1}, m.Reason.CONFIG),
        ({"protocol": m.PROTOCOL_VERSION + 1}, m.Reason.VERSION),
    ):
        result = host.hello(**changes).result
        need(result == reason, f"HELLO with {changes}: result {result} instead of {reason.name}")


def no_session(host: ConformanceHost) -> None:
    """Without a session nothing moves and nothing is served."""
    host.bye()
    move = m.Move(host.session, 1, host.origin_nm, host.origin_nm, host.travel_nm)
    answer = host.ask(move, m.Accepted, m.Refused)
    need(isinstance(answer, m.Refused), "a MOVE without a session was accepted")
    for message in (m.Sync(host.session, 1), m.Clear(host.session, 0)):
        name = type(message).__name__
        answered = host.ask(message, m.Nack, m.SyncAck, m.Cleared)
        nacked_for(answered, m.Reason.NO_SESSION, f"{name} without a session")


def other_session(host: ConformanceHost) -> None:
    """While a session is alive, another one may not speak."""
    result = host.hello(session=_FOREIGN).result
    need(result == m.Reason.OTHER_SESSION, f"a second host's HELLO: result {result}")
    for message in (m.Sync(_FOREIGN, 1), m.Clear(_FOREIGN, 0), m.Bye(_FOREIGN)):
        answered = host.ask(message, m.Nack, m.SyncAck, m.Cleared, m.ByeAck)
        nacked_for(answered, m.Reason.OTHER_SESSION, f"a second host's {type(message).__name__}")


def take_over(host: ConformanceHost) -> None:
    """A host that fell silent at rest loses the axis after a second, not much earlier."""
    last_us = host.ask(m.Sync(host.session, 1), m.SyncAck).time_us
    deadline = host.clock.monotonic() + 3.0
    host._session += 1
    while (ack := host.hello()).result == m.Reason.OTHER_SESSION:
        need(host.clock.monotonic() < deadline, "a dead session never ends")
    need(ack.result == m.Reason.OK, f"taking over: result {ack.result}")
    silent_ms = (ack.time_us - last_us) / 1e3
    need(silent_ms >= m.SESSION_ALIVE_MS, f"taken over after {silent_ms:.0f} ms")


def corrupt_frame(host: ConformanceHost) -> None:
    """A damaged frame is dropped, counted, never answered; the next good one is served."""
    before = host.status().crc_errors
    for position in (2, 4, -3):
        host.forget()
        wire = bytearray(host.wire(m.Stop(host.session)))
        wire[position] ^= 0x40 if wire[position] != 0x40 else 0x20
        host.write(bytes(wire))
        token = 1000 + position
        answer = host.ask(m.Sync(host.session, token), m.SyncAck)
        need(answer.token == token, "the frame after a damaged one was not served")
    status = host.status()
    need(status.latch == m.Latch.NONE, "a damaged STOP was obeyed")
    need(status.crc_errors - before == 3, f"3 damaged frames counted {status.crc_errors - before}")


def resync(host: ConformanceHost) -> None:
    """Junk of any length ends at the next zero; one good frame later all is well."""
    for junk in (b"\x55" * 300, host.wire(m.Sync(host.session, 2))[:5], b"\0\0\0", b"\x01"):
        host.write(junk + b"\0")
        host.ask(m.Sync(host.session, len(junk)), m.SyncAck)


def unknown_and_malformed(host: ConformanceHost) -> None:
    """A sound frame that is in no table is answered, not guessed at."""
    host.forget()
    for kind, payload, reason in (
        (0x7F, bytes(8), m.Reason.UNKNOWN_TYPE),
        (0x03, host.session.to_bytes(4, "little") + bytes(15), m.Reason.MALFORMED),
    ):
        host.write(encode_frame(Frame(m.PROTOCOL_VERSION, kind, 9, payload)))
        answered = host.wait(m.Nack, m.Refused, m.Accepted)
        nacked_for(answered, reason, f"type {kind:#04x} with {len(payload)} bytes")


def sync_time(host: ConformanceHost) -> None:
    """SYNC tells the firmware's own time: never backwards, as fast as the host's within 1 %."""
    asked, answers = [], []
    for token in range(60):
        sent_ns = host.clock.monotonic_ns()
        answer = host.ask(m.Sync(host.session, token), m.SyncAck)
        need(answer.token == token, f"token {answer.token} instead of {token}")
        asked.append((sent_ns + host.clock.monotonic_ns()) / 2e3)
        answers.append(answer.time_us)
        host.clock.sleep(0.005)
    steps = [later - earlier for earlier, later in pairwise(answers)]
    need(min(steps) > 0, f"SYNC's time went {min(steps)} us forward in 5 ms")
    ratio = (answers[-1] - answers[0]) / (asked[-1] - asked[0])
    need(0.9 < ratio < 1.1, f"the clock runs at {ratio:.3f} of the host's")


def status_stream(host: ConformanceHost) -> None:
    """STATUS comes every 20 ms by the firmware's clock, and names boot and session."""
    boot_id = host.hello().boot_id
    host.forget()
    times = []
    for _ in range(12):
        host.keep_alive()
        status = host.wait(m.Status)
        need(status.boot_id == boot_id, f"STATUS of boot {status.boot_id}, HELLO of {boot_id}")
        need(status.session == host.session, f"STATUS of session {status.session}")
        times.append(status.time_us)
    period_ms = statistics.median(b - a for a, b in pairwise(times)) / 1e3
    need(10 <= period_ms <= 2 * m.STATUS_PERIOD_MS, f"STATUS every {period_ms:.1f} ms")


def reboot(host: ConformanceHost) -> None:
    """After a restart the boot id differs and the session is gone (needs a build with faults)."""
    assert host.pins is not None
    boot_id = host.hello().boot_id
    host.pins.inject("reboot")
    host.pins.report()
    nack = host.ask(m.Sync(host.session, 1), m.Nack, m.SyncAck)
    if isinstance(nack, m.SyncAck):
        raise Failed("it did not restart: a release has no fault injection")
    assert isinstance(nack, m.Nack)
    need(nack.boot_id != boot_id, f"boot id {boot_id} again")
    need(host.hello().boot_id == nack.boot_id, "NACK and HELLO_ACK tell different boot ids")
