"""The frame's coder and decoder asked directly, for what the rest of the core never asks them.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

import ctypes

from firmware_bridge import messages as m
from firmware_bridge.framing import Frame, cobs_encode, crc16, encode_frame
from tests.support.core_host import CoreHost
from tests.support.virtual_board import build_virtual

LONGEST = 48  # bytes of payload


class CFrame(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint8),
        ("type", ctypes.c_uint8),
        ("seq", ctypes.c_uint8),
        ("length", ctypes.c_uint8),
        ("payload", ctypes.c_uint8 * 256),  # more than the core's: what it must not touch
    )


def encoded(version: int, kind: int, seq: int, payload: bytes) -> bytes:
    core = ctypes.CDLL(str(build_virtual()))
    core.af_frame_encode.restype = ctypes.c_size_t
    wire = ctypes.create_string_buffer(600)
    frame = CFrame(version, kind, seq, len(payload), (ctypes.c_uint8 * 256)(*payload))
    length: int = core.af_frame_encode(ctypes.byref(frame), wire)
    return wire.raw[:length]


def decoded(body: bytes) -> Frame | None:
    """None: refused; `body` is without the closing zero."""
    core = ctypes.CDLL(str(build_virtual()))
    core.af_frame_decode.restype = ctypes.c_bool
    frame = CFrame()
    if not core.af_frame_decode(body, ctypes.c_size_t(len(body)), ctypes.byref(frame)):
        return None
    return Frame(frame.version, frame.type, frame.seq, bytes(frame.payload[: frame.length]))


def with_crc(content: bytes) -> bytes:
    return content + crc16(content).to_bytes(2, "little")


def test_frames_of_any_version_and_length_as_the_host_writes_them() -> None:
    for length in range(LONGEST + 1):
        for version, filler in ((1, 0x55), (0, 0), (255, 7)):
            frame = Frame(version, 0x70, length, bytes([filler]) * length)
            wire = encoded(version, 0x70, length, frame.payload)
            assert wire == encode_frame(frame)
            assert decoded(wire[:-1]) == frame


def test_a_payload_that_is_too_long_is_not_written() -> None:
    for length in (LONGEST + 1, 100, 255):
        assert encoded(1, 2, 3, b"\x55" * length) == b""


def test_nothing_and_too_much_are_no_frames() -> None:
    assert decoded(b"") is None
    assert decoded(b"\x01") is None
    for length in (LONGEST + 1, LONGEST + 20, 200):
        assert decoded(cobs_encode(with_crc(b"\x01\x02\x03" + b"\x55" * length))) is None


def test_a_zero_within_a_frame_is_damage() -> None:
    body = with_crc(b"\x01\x02\x03\x00\x44")
    assert decoded(cobs_encode(body)) is not None
    assert 0 not in body[4:]
    assert decoded(bytes([len(body) + 1]) + body) is None


def test_every_answer_names_the_version() -> None:
    host = CoreHost()
    for message in (m.Sync(77, 1), m.Stop(77), m.Bye(5)):
        host.send(message)
        for wire in host.board.take().split(b"\0")[:-1]:
            frame = decoded(wire)
            assert frame is not None
            assert frame.version == m.PROTOCOL_VERSION
