"""Bytes <-> frames, in Python and in the firmware's C: the same function twice."""

from __future__ import annotations

import ctypes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.firmware.host import compile_c
from firmware_bridge.framing import (
    MAX_PAYLOAD,
    Frame,
    FrameError,
    FrameReader,
    cobs_decode,
    cobs_encode,
    crc16,
    decode_frame,
    encode_frame,
)

BYTE = st.integers(0, 255)
FRAMES = st.builds(Frame, BYTE, BYTE, BYTE, st.binary(max_size=MAX_PAYLOAD))


class CFrame(ctypes.Structure):
    _fields_ = (
        ("version", ctypes.c_uint8),
        ("type", ctypes.c_uint8),
        ("seq", ctypes.c_uint8),
        ("length", ctypes.c_uint8),
        ("payload", ctypes.c_uint8 * MAX_PAYLOAD),
    )


@pytest.fixture(scope="module")
def core() -> ctypes.CDLL:
    library = ctypes.CDLL(str(compile_c("framing.so", ["framing.c"], ["-O1", "-shared", "-fPIC"])))
    library.af_crc16.restype = ctypes.c_uint16
    library.af_crc16.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
    library.af_frame_encode.restype = ctypes.c_size_t
    library.af_frame_decode.restype = ctypes.c_bool
    library.af_frame_decode.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p)
    return library


def c_decode(core: ctypes.CDLL, encoded: bytes) -> Frame | None:
    frame = CFrame()
    if not core.af_frame_decode(encoded, len(encoded), ctypes.byref(frame)):
        return None
    return Frame(frame.version, frame.type, frame.seq, bytes(frame.payload[: frame.length]))


def py_decode(encoded: bytes) -> Frame | None:
    try:
        return decode_frame(encoded)
    except FrameError:
        return None


def test_crc_is_ccitt_false(core: ctypes.CDLL) -> None:
    assert crc16(b"123456789") == 0x29B1
    assert core.af_crc16(b"123456789", 9) == 0x29B1


@given(st.binary(max_size=253))
def test_cobs_round_trip_without_zeros(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert len(encoded) == len(data) + 1
    assert cobs_decode(encoded) == data


@given(FRAMES)
def test_frame_round_trip(frame: Frame) -> None:
    wire = encode_frame(frame)
    assert wire.count(0) == 1
    assert wire.endswith(b"\0")
    assert decode_frame(wire[:-1]) == frame


@given(frame=FRAMES)
def test_c_and_python_write_the_same_bytes(core: ctypes.CDLL, frame: Frame) -> None:
    payload = (ctypes.c_uint8 * MAX_PAYLOAD)(*frame.payload)
    c_frame = CFrame(frame.version, frame.kind, frame.seq, len(frame.payload), payload)
    wire = (ctypes.c_uint8 * 64)()
    length = core.af_frame_encode(ctypes.byref(c_frame), wire)
    assert bytes(wire[:length]) == encode_frame(frame)
    assert c_decode(core, bytes(wire[: length - 1])) == frame


@given(encoded=st.binary(max_size=70))
def test_c_and_python_judge_any_bytes_alike(core: ctypes.CDLL, encoded: bytes) -> None:
    assert c_decode(core, encoded) == py_decode(encoded)


@given(frame=FRAMES, data=st.data())
@settings(max_examples=300, derandomize=True)
def test_flipped_bits_are_never_taken_for_another_frame(
    core: ctypes.CDLL, frame: Frame, data: st.DataObject
) -> None:
    """Fixed examples: a flip in a COBS code moves a zero, which the CRC misses once in 65,536."""
    wire = bytearray(encode_frame(frame)[:-1])
    bit = data.draw(st.integers(0, len(wire) * 8 - 1))
    wire[bit // 8] ^= 1 << bit % 8
    decoded = py_decode(bytes(wire))
    assert decoded is None
    assert c_decode(core, bytes(wire)) is None


def test_every_single_bit_flip_of_real_frames_is_refused() -> None:
    accepted = tried = 0
    for seq in range(40):
        wire = encode_frame(Frame(1, 3, seq, bytes(range(0, 40, 2))))[:-1]
        for bit in range(len(wire) * 8):
            damaged = bytearray(wire)
            damaged[bit // 8] ^= 1 << bit % 8
            tried += 1
            accepted += py_decode(bytes(damaged)) is not None
    assert tried > 8000
    assert accepted <= 1


def test_payload_limit() -> None:
    assert decode_frame(encode_frame(Frame(1, 2, 3, bytes(48)))[:-1]).payload == bytes(48)
    with pytest.raises(ValueError, match="over 48"):
        encode_frame(Frame(1, 2, 3, bytes(49)))


@given(st.lists(FRAMES, max_size=5), st.integers(1, 17))
def test_reader_finds_frames_whatever_the_chunks(frames: list[Frame], size: int) -> None:
    wire = b"".join(encode_frame(frame) for frame in frames)
    reader = FrameReader()
    result = [
        frame
        for start in range(0, len(wire), size)
        for frame in reader.feed(wire[start : start + size])
    ]
    assert result == frames
    assert reader.bad_frames == 0


@given(st.binary(max_size=400), FRAMES)
def test_reader_is_in_step_after_the_next_zero(junk: bytes, frame: Frame) -> None:
    reader = FrameReader()
    reader.feed(junk + b"\0")
    assert reader.feed(encode_frame(frame)) == [frame]


def test_junk_without_zeros_does_not_pile_up() -> None:
    reader = FrameReader()
    for _ in range(1000):
        reader.feed(b"\x55" * 100)
    assert len(reader._buffer) < 400
    assert reader.bad_frames > 0
