"""The part of the Linux kernel's V4L2 interface that a capture device needs.

Source: <linux/videodev2.h> and the kernel's media userspace API. The layouts are those of 64-bit
machines; `tests/support/fake_v4l2.c`, compiled with the kernel's own header, is the other end.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_int64, c_uint8, c_uint32

from edge.camera import PixelFormat

CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
MMAP = 1
FIELD_NONE = 1
CAP_VIDEO_CAPTURE, CAP_STREAMING, CAP_DEVICE_CAPS = 0x1, 0x0400_0000, 0x8000_0000
CAP_TIME_PER_FRAME = 0x1000
FLAG_ERROR = 0x40
STAMP_MASK, STAMP_MONOTONIC = 0xE000, 0x2000
STAMP_START = 0x1_0000  # of the exposure; without it: the end of the frame
CID_EXPOSURE_AUTO, CID_EXPOSURE_ABSOLUTE = 0x009A_0901, 0x009A_0902  # the latter in 100 us
EXPOSURE_MANUAL = 1


def fourcc(word: str) -> int:
    """Four letters as the kernel numbers them."""
    return int.from_bytes(word.encode("ascii"), "little")


FOURCC = {
    PixelFormat.MONO8: fourcc("GREY"),
    PixelFormat.RGB8: fourcc("RGB3"),
    PixelFormat.BGR8: fourcc("BGR3"),
    PixelFormat.BAYER_RG8: fourcc("RGGB"),
    PixelFormat.BAYER_GR8: fourcc("GRBG"),
    PixelFormat.BAYER_GB8: fourcc("GBRG"),
    PixelFormat.BAYER_BG8: fourcc("BA81"),
}


class Capability(ctypes.Structure):
    """struct v4l2_capability"""

    _fields_ = (
        ("driver", ctypes.c_char * 16),
        ("card", ctypes.c_char * 32),
        ("bus_info", ctypes.c_char * 32),
        ("version", c_uint32),
        ("capabilities", c_uint32),
        ("device_caps", c_uint32),
        ("reserved", c_uint32 * 3),
    )


class Format(ctypes.Structure):
    """struct v4l2_format with a v4l2_pix_format inside"""

    _fields_ = (
        ("type", c_uint32),
        ("_align", c_uint32),
        ("width", c_uint32),
        ("height", c_uint32),
        ("pixelformat", c_uint32),
        ("field", c_uint32),
        ("bytesperline", c_uint32),
        ("sizeimage", c_uint32),
        ("_rest", c_uint8 * 176),
    )


class RequestBuffers(ctypes.Structure):
    """struct v4l2_requestbuffers"""

    _fields_ = (
        ("count", c_uint32),
        ("type", c_uint32),
        ("memory", c_uint32),
        ("capabilities", c_uint32),
        ("reserved", c_uint32),
    )


class Buffer(ctypes.Structure):
    """struct v4l2_buffer"""

    _fields_ = (
        ("index", c_uint32),
        ("type", c_uint32),
        ("bytesused", c_uint32),
        ("flags", c_uint32),
        ("field", c_uint32),
        ("seconds", c_int64),
        ("microseconds", c_int64),
        ("timecode", c_uint32 * 4),
        ("sequence", c_uint32),
        ("memory", c_uint32),
        ("offset", c_uint32),
        ("_offset_high", c_uint32),
        ("length", c_uint32),
        ("_rest", c_uint32 * 2),
    )


class StreamParameters(ctypes.Structure):
    """struct v4l2_streamparm with a v4l2_captureparm inside"""

    _fields_ = (
        ("type", c_uint32),
        ("capability", c_uint32),
        ("mode", c_uint32),
        ("numerator", c_uint32),
        ("denominator", c_uint32),
        ("_rest", c_uint8 * 184),
    )


class Control(ctypes.Structure):
    """struct v4l2_control"""

    _fields_ = (("id", c_uint32), ("value", c_int32))


def _request(direction: int, number: int, size: int) -> int:
    """_IOC of <asm-generic/ioctl.h>: 1 = write, 2 = read."""
    return direction << 30 | size << 16 | ord("V") << 8 | number


QUERYCAP = _request(2, 0, ctypes.sizeof(Capability))
G_FMT = _request(3, 4, ctypes.sizeof(Format))
S_FMT = _request(3, 5, ctypes.sizeof(Format))
REQBUFS = _request(3, 8, ctypes.sizeof(RequestBuffers))
QUERYBUF = _request(3, 9, ctypes.sizeof(Buffer))
QBUF = _request(3, 15, ctypes.sizeof(Buffer))
DQBUF = _request(3, 17, ctypes.sizeof(Buffer))
STREAMON = _request(1, 18, 4)
STREAMOFF = _request(1, 19, 4)
S_PARM = _request(3, 22, ctypes.sizeof(StreamParameters))
G_CTRL = _request(3, 27, ctypes.sizeof(Control))
S_CTRL = _request(3, 28, ctypes.sizeof(Control))
