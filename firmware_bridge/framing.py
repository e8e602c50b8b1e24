"""Bytes on the wire <-> frames. Pure: no port, no clock, no message knowledge.

A frame is COBS( version u8 | type u8 | seq u8 | payload <= 48 | CRC-16 little-endian ) 0x00.
COBS (Cheshire and Baker, 1999) removes every zero from the body, so that a zero always ends a
frame and a receiver is in step again after the next one, whatever was lost before.
The CRC is CRC-16/CCITT-FALSE (polynomial 0x1021, start 0xFFFF, no reflection, no final xor).
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_PAYLOAD = 48
HEADER_LENGTH = 3
CRC_LENGTH = 2
MAX_BODY = HEADER_LENGTH + MAX_PAYLOAD + CRC_LENGTH
MAX_ENCODED = MAX_BODY + 1  # COBS adds one byte below 254


class FrameError(ValueError):
    """A received frame is damaged: COBS, length or CRC. The receiver drops and counts it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame's content; `version`, `kind` and `seq` are 0..255."""

    version: int
    kind: int
    seq: int
    payload: bytes


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ (0x1021 if crc & 0x8000 else 0)
        table.append(crc & 0xFFFF)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: bytes) -> int:
    """CRC-16/CCITT-FALSE; `crc16(b"123456789") == 0x29B1`."""
    crc = 0xFFFF
    for byte in data:
        crc = ((crc << 8) & 0xFF00) ^ _CRC_TABLE[(crc >> 8) ^ byte]
    return crc


def cobs_encode(data: bytes) -> bytes:
    """Replace the zeros of `data` (at most 253 bytes); the result is one byte longer.

    Each code byte tells how far away the next replaced zero is. Blocks of 254 and more bytes,
    which general COBS splits, cannot occur in our short frames: ValueError.
    """
    if len(data) > 253:
        raise ValueError(f"{len(data)} bytes are more than one short frame")
    return b"".join(bytes([len(run) + 1]) + run for run in data.split(b"\0"))


def cobs_decode(data: bytes) -> bytes:
    """Undo `cobs_encode`; FrameError for a zero inside, an empty input or a code past the end."""
    if not data or 0 in data:
        raise FrameError("COBS: empty, or a zero inside")
    runs = []
    position = 0
    while position < len(data):
        after = position + data[position]
        if after > len(data):
            raise FrameError("COBS: a block runs past the end")
        runs.append(data[position + 1 : after])
        position = after
    return b"\0".join(runs)


def encode_frame(frame: Frame) -> bytes:
    """The frame's bytes with the closing zero; ValueError when the payload is over 48 bytes."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(f"payload of {len(frame.payload)} bytes is over {MAX_PAYLOAD}")
    body = bytes((frame.version, frame.kind, frame.seq)) + frame.payload
    return cobs_encode(body + crc16(body).to_bytes(2, "little")) + b"\0"


def decode_frame(encoded: bytes) -> Frame:
    """The frame in `encoded` (without its closing zero); FrameError when it is damaged."""
    if len(encoded) > MAX_ENCODED:
        raise FrameError("longer than any frame")
    body = cobs_decode(encoded)
    if len(body) < HEADER_LENGTH + CRC_LENGTH:
        raise FrameError("shorter than any frame")
    content, crc = body[:-CRC_LENGTH], int.from_bytes(body[-CRC_LENGTH:], "little")
    if crc16(content) != crc:
        raise FrameError("CRC")
    return Frame(content[0], content[1], content[2], content[HEADER_LENGTH:])


class FrameReader:
    """Cuts a byte stream at its zeros; damaged pieces are counted in `bad_frames`, not raised."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.bad_frames = 0

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, in order; the unfinished rest is kept."""
        self._buffer += data
        *pieces, rest = self._buffer.split(b"\0")
        self._buffer = rest
        frames = []
        for piece in pieces:
            if not piece:
                continue  # two zeros in a row: the sender cleared its line
            try:
                frames.append(decode_frame(bytes(piece)))
            except FrameError:
                self.bad_frames += 1
        if len(self._buffer) > 4 * MAX_ENCODED:  # junk without zeros must not grow for ever
            self._buffer.clear()
            self.bad_frames += 1
        return frames
