"""Framing at its edges: what a mutation of it would change (`make mutation`)."""

from __future__ import annotations

import pytest

from firmware_bridge import framing
from firmware_bridge.framing import (
    MAX_BODY,
    MAX_ENCODED,
    Frame,
    FrameError,
    FrameReader,
    cobs_decode,
    cobs_encode,
    crc16,
    decode_frame,
    encode_frame,
)

GOOD = Frame(1, 2, 3, b"\x04\x00\x05")


def test_crc_table_is_the_bitwise_division() -> None:
    """Called again: the module's own table was made before any test could look."""
    table = framing._crc_table()
    assert len(table) == 256
    assert table[:3] == (0x0000, 0x1021, 0x2042)
    assert table == framing._CRC_TABLE
    for byte, crc in enumerate(table):
        assert crc == _divided(byte)


def _divided(byte: int) -> int:
    """byte * x^16 modulo x^16 + x^12 + x^5 + 1, by long division."""
    value = byte << 16
    for bit in range(23, 15, -1):
        if value >> bit & 1:
            value ^= 0x11021 << (bit - 16)
    return value


def test_lengths_that_just_fit_and_just_do_not() -> None:
    assert len(cobs_encode(bytes(253))) == 254
    assert cobs_encode(b"\x01" * 253)[0] == 254
    with pytest.raises(ValueError, match=r"^254 bytes are more than one short frame$"):
        cobs_encode(bytes(254))


def test_a_frame_without_a_header_is_none_though_its_crc_fits() -> None:
    for content in (b"", b"\x01", b"\x01\x02"):
        encoded = cobs_encode(content + crc16(content).to_bytes(2, "little"))
        with pytest.raises(FrameError, match=r"^shorter than any frame$"):
            decode_frame(encoded)
    assert decode_frame(encode_frame(Frame(1, 2, 3, b""))[:-1]) == Frame(1, 2, 3, b"")


def test_the_longest_frame() -> None:
    """Three bytes before 48 of payload, two of the CRC after it, one of COBS."""
    assert (MAX_BODY, MAX_ENCODED) == (53, 54)


def test_words() -> None:
    with pytest.raises(FrameError, match=r"^COBS: empty, or a zero inside$"):
        cobs_decode(b"")
    with pytest.raises(FrameError, match=r"^COBS: a block runs past the end$"):
        cobs_decode(b"\x09\x01")
    with pytest.raises(FrameError, match=r"^longer than any frame$"):
        decode_frame(b"\x01" * (MAX_ENCODED + 1))
    damaged = bytearray(encode_frame(GOOD)[:-1])
    damaged[1] ^= 0x80
    with pytest.raises(FrameError, match=r"^CRC$"):
        decode_frame(bytes(damaged))


def test_empty_pieces_hide_nothing_behind_them() -> None:
    reader = FrameReader()
    wire = encode_frame(GOOD)
    assert reader.feed(wire + b"\0\0" + wire) == [GOOD, GOOD]
    assert reader.bad_frames == 0


def test_damaged_pieces_are_counted_one_by_one() -> None:
    reader = FrameReader()
    for count in range(1, 4):
        reader.feed(b"\x09\x09\0")
        assert reader.bad_frames == count


def test_junk_is_kept_up_to_four_frames_and_counted_when_dropped() -> None:
    reader = FrameReader()
    limit = 4 * MAX_ENCODED
    for count in range(1, 3):
        reader.feed(b"\x55" * limit)
        assert len(reader._buffer) == limit
        assert reader.bad_frames == count - 1
        reader.feed(b"\x55")
        assert len(reader._buffer) == 0
        assert reader.bad_frames == count
