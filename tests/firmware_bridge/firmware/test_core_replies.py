"""What the firmware says unasked: STATUS and EXPOSURE, when, and with what in them.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

from dataclasses import replace

from firmware_bridge import messages as m
from firmware_bridge.framing import Frame, encode_frame
from tests.support.core_host import HELLO, SESSION, START, CoreHost, only

FAR = START + 900_000


def times(came: list[m.Message]) -> list[int]:
    return [one.time_us // 1_000 for one in came if isinstance(one, m.Status)]


def test_status_every_20_ms_while_the_session_lives() -> None:
    host = CoreHost()
    assert times(host.ticks(101)) == [20, 40, 60, 80, 100]
    moments = times(host.ticks(1_300, alive=False))
    assert moments[-1] - 100 == m.SESSION_ALIVE_MS  # the last frame came at 100 ms
    host.say(m.Sync(SESSION, 1))  # the same session, after its silence
    assert times(host.ticks(41)) == [1_402, 1_422, 1_442]
    host.say(HELLO)
    host.say(m.Bye(SESSION))
    assert host.ticks(100, alive=False) == []


def test_counts_go_beyond_16_bits() -> None:
    host = CoreHost()
    host.board.receive(b"\x01\0" * 65_537)
    assert host.status().crc_errors == 65_537
    host.say(m.Bye(SESSION))
    host.board.flash(65_537)
    host.say(HELLO)
    host.board.flash(1)
    assert only(m.Exposure, [one for _, one in host.take()]).count == 65_538


def test_status_at_every_change_of_a_move_with_its_ticks_time() -> None:
    host = CoreHost()
    host.move(1, START - 10_000)
    came = host.ticks(200)
    statuses = [one for one in came if isinstance(one, m.Status)]
    turned = min(statuses, key=lambda one: one.commanded_nm)
    assert turned.commanded_nm == START - 12_000
    done = only(m.Done, came)
    at_rest = statuses[times(came).index(done.time_us // 1_000)]
    assert (at_rest.flags, at_rest.commanded_nm) == (0, START - 10_000)
    settled = next(one for one in statuses if one.flags == m.Flag.SETTLED)
    assert settled.settled_us == settled.time_us == done.time_us + 6_000
    gaps = [b - a for a, b in zip(times(came), times(came)[1:], strict=False)]
    assert max(gaps) == 20  # each STATUS, asked or not, begins a new period
    assert {turned.flags, statuses[0].flags} == {m.Flag.MOVING}
    assert host.ticks(30)[0].settled_us == settled.settled_us


def test_status_tells_its_ticks_time_and_not_its_own() -> None:
    host = CoreHost()
    host.ticks(3)
    host.board.wait_us(700)
    assert host.status().time_us == 3_000


def test_an_encoder_is_told_apart_from_the_command() -> None:
    host = CoreHost()
    assert (host.status().encoder_nm, host.status().flags) == (START, m.Flag.SETTLED)
    host.board.encoder(START - 123)
    status = host.status()
    assert (status.commanded_nm, status.encoder_nm) == (START, START - 123)
    assert status.flags == m.Flag.SETTLED | m.Flag.ENCODER
    host.move(1, FAR)
    host.ticks(30)
    assert host.status().flags == m.Flag.MOVING | m.Flag.ENCODER


def test_status_names_session_boot_and_errors() -> None:
    host = CoreHost(boot_id=2**32 - 1, clock_us=2**40)
    host.board.receive(b"\x55\x66\0")
    host.move(2**32 - 1, START)
    status = host.settle()
    assert status == m.Status(
        status.time_us, status.time_us, START, START, SESSION, 2**32 - 1, 2**32 - 1, 1, 0,
        m.Flag.SETTLED, m.Latch.NONE, m.Result.REACHED,
    )  # fmt: skip
    assert status.time_us > 2**40


def test_exposures_tell_time_and_place_between_two_ticks() -> None:
    for sign, clock_us in ((1, 0), (-1, 2**32 - 151_000), (1, 2**40)):
        host = CoreHost(clock_us=clock_us)
        host.move(1, START + sign * 900_000)
        host.ticks(150)
        tick_us, tick_nm = host.board.now_us, host.board.motor_nm
        host.board.strobe(True, 400)
        host.board.strobe(True, 450)  # a repeated level is no edge
        assert host.take() == []
        host.board.wait_us(3_000)
        host.take()
        host.board.strobe(False, 250)
        ((seq, message),) = host.take()
        assert message == m.Exposure(
            tick_us + 400, tick_us + 3_250, tick_nm + sign * 800, tick_nm + sign * 6_500, 1
        )
        assert seq == (host.heard[-2][0] + 1) % 256
        host.board.strobe(False, 260)
        assert host.take() == []
        host.board.strobe(True, 300)
        host.board.strobe(False, 350)
        assert only(m.Exposure, [one for _, one in host.take()]).count == 2


def test_an_edge_is_placed_within_its_tick() -> None:
    host = CoreHost()
    host.move(1, FAR)
    host.ticks(150)
    at = host.board.motor_nm
    for since_us, way_nm in ((0, 0), (1, 2), (999, 1_998), (1_000, 2_000), (1_001, 2_000),
                             (500_000, 2_000), (2**32 + 400, 2_000), (-1, 0),
                             (-900, 0)):  # fmt: skip
        host.board.strobe(True, since_us)
        host.board.strobe(False, since_us)
        exposure = only(m.Exposure, [one for _, one in host.take()])
        assert exposure.start_nm == exposure.end_nm == at + way_nm, since_us


def test_exposures_without_a_session_are_counted_and_not_told() -> None:
    host = CoreHost(hello=False)
    for lit in (True, False):
        host.board.strobe(lit)
    assert host.take() == []
    host.say(HELLO)
    for lit in (True, False):
        host.board.strobe(lit)
    assert only(m.Exposure, [one for _, one in host.take()]).count == 2


def test_the_move_that_the_motor_is_told_of() -> None:
    host = CoreHost()
    assert host.board.motor_move == 0
    host.move(3, START + 10_000)
    host.ticks(5)
    assert host.board.motor_move == 3
    assert host.board.motor_nm > START


def test_every_length_of_frame_and_every_byte_goes_through_the_framing() -> None:
    """A frame of any content is understood as the host's framing wrote it."""
    host = CoreHost()
    session = SESSION.to_bytes(4, "little")
    for filler in (0, 1, 0x55, 0xFF):
        for length in range(49):
            body = (session + bytes([filler]) * 44)[:length]
            host.take()
            host.board.receive(encode_frame(Frame(1, 0x70, length, body)))
            assert [one for _, one in host.take()] == [m.Nack(0x70, m.Reason.UNKNOWN_TYPE, 11)], (
                filler,
                length,
            )
            assert host.heard[-1][0] == length
    for number in range(256):
        (ack,) = host.say(m.Sync(SESSION, number * 0x01000193), seq=number)
        assert ack.token == number * 0x01000193 % 2**32


def test_every_flipped_bit_is_seen() -> None:
    host = CoreHost()
    wire = host.wire(m.Stop(SESSION))
    before = host.status().crc_errors
    for position in range(len(wire) - 1):
        for bit in range(8):
            spoilt = bytearray(wire)
            spoilt[position] ^= 1 << bit
            host.take()
            host.board.receive(bytes(spoilt) + b"\0")
            assert host.take() == []
    assert host.status().latch == m.Latch.NONE
    assert host.status().crc_errors > before


def test_what_is_too_short_or_too_long_is_one_damaged_frame() -> None:
    host = CoreHost()
    longest = encode_frame(Frame(1, 0x70, 1, bytes(48)))
    rubbish = (b"\x01", b"\x02\x01", b"\x05\x01\x02\x03\x04", b"\x06\x01\x02\x03\x04\x05",
               longest[:-1] + b"\x01", b"\x55" * 54, b"\x55" * 55, b"\x55" * 56, b"\x55" * 300,
               b"\x01" * 54, b"\xff" * 54)  # fmt: skip
    for errors, junk in enumerate(rubbish, 1):
        host.take()
        host.board.receive(junk + b"\0")
        assert host.take() == [], junk
        assert host.status().crc_errors == errors, junk
    assert host.say(m.Sync(SESSION, 5)) == [m.SyncAck(5, host.board.now_us)]
    host.board.receive(longest)
    assert only(m.Nack, [one for _, one in host.take()]).of_type == 0x70


def test_a_frame_may_come_byte_by_byte() -> None:
    host = CoreHost()
    host.take()
    for byte in host.wire(replace(HELLO, z_min_nm=0)):
        assert host.take() == []
        host.board.receive(bytes([byte]))
    assert isinstance(host.take()[0][1], m.HelloAck)
