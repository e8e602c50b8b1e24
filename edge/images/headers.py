"""What PNG and JPEG files say of themselves, checked before they are decoded.

OpenCV accepts a truncated file and fills the rest with grey, which the networks would measure; it
turns ink colours into some RGB, and one bit into black and white. So the file's own structure is
read first.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

from edge.images.tiff_directory import PictureFault
from edge.images.tiff_layout import check_pixel_bytes

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
CUT_SHORT = "is cut short"
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_PNG_GREY = (0, 4)
_PNG_PALETTE = 3
#: start of frame -> what OpenCV cannot decode about it; 0, 1 and 2 it can
_JPEG_KINDS = {
    0xC3: "lossless", 0xC5: "hierarchical", 0xC6: "hierarchical", 0xC7: "hierarchical",
    0xC9: "arithmetically coded", 0xCA: "arithmetically coded", 0xCB: "lossless",
    0xCD: "hierarchical", 0xCE: "hierarchical", 0xCF: "hierarchical",
}  # fmt: skip
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2, *_JPEG_KINDS}
_SCAN, _APP1 = 0xDA, 0xE1
_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


@dataclass(frozen=True, slots=True)
class Header:
    """`pictures`: in the file; the first is read."""

    width: int
    height: int
    grey: bool
    orientation: int = 1
    pictures: int = 1


def png_header(data: bytes) -> Header:
    """Of a whole PNG file; PictureFault for damage and for what cannot be read."""
    chunks = _png_chunks(data)
    size = chunks.get(b"IHDR", b"")
    if len(size) != 13:
        raise PictureFault("is damaged: it does not begin with its size")
    width, height = (int.from_bytes(size[n : n + 4], "big") for n in (0, 4))
    bits, colour = size[8], size[9]
    if colour not in _PNG_CHANNELS:
        raise PictureFault(f"is damaged: its colour type is {colour}")
    if bits < 8 and colour != _PNG_PALETTE:
        raise PictureFault(f"has {bits} bits per value; 8 to 16 can be read")
    check_pixel_bytes(width, height, (_PNG_CHANNELS[colour] + 1) * max(1, bits // 8))
    frames = chunks.get(b"acTL", b"")
    return Header(
        width,
        height,
        colour in _PNG_GREY,
        exif_orientation(chunks.get(b"eXIf", b"")),
        max(1, int.from_bytes(frames[:4], "big")),
    )


def _png_chunks(data: bytes) -> dict[bytes, bytes]:
    """The first chunk of each kind that is looked at; all are checked."""
    chunks: dict[bytes, bytes] = {}
    at = len(PNG)
    while at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise PictureFault(CUT_SHORT)
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise PictureFault(f"is damaged at byte {at}")
        name = data[at + 4 : at + 8]
        if name in (b"IHDR", b"acTL", b"eXIf"):
            chunks.setdefault(name, data[at + 8 : end - 4])
        if name == b"IEND":
            return chunks
        at = end
    raise PictureFault(CUT_SHORT)


def jpeg_header(data: bytes) -> Header:
    """Of a whole JPEG file; PictureFault for damage and for what cannot be read."""
    # Cameras append trailers: look anywhere after the last scan began.
    if b"\xff\xd9" not in data[max(0, data.rfind(b"\xff\xda")) :]:
        raise PictureFault(CUT_SHORT)
    at, orientation = 2, 1
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _ALONE or marker == 0xFF:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker == _APP1 and body.startswith(b"Exif\0\0"):
            orientation = exif_orientation(body[6:])
        if marker in _JPEG_FRAMES:
            return _jpeg_frame(marker, body, orientation)
        if marker == _SCAN or length < 2:
            break
        at += 2 + length
    raise PictureFault("is damaged: it has no size before its pixels")


def _jpeg_frame(marker: int, body: bytes, orientation: int) -> Header:
    if len(body) < 6:
        raise PictureFault(CUT_SHORT)
    bits, channels = body[0], body[5]
    height, width = (int.from_bytes(body[n : n + 2], "big") for n in (1, 3))
    if marker in _JPEG_KINDS:
        raise PictureFault(f"is a {_JPEG_KINDS[marker]} JPEG, which cannot be read")
    if bits != 8:
        raise PictureFault(f"is a JPEG of {bits} bits per value; 8 can be read")
    if channels == 4:
        raise PictureFault("holds CMYK (ink) colours, which cannot be read; grey and RGB can")
    if channels not in (1, 3):
        raise PictureFault(f"is a JPEG with {channels} channels; 1 or 3 can be read")
    check_pixel_bytes(width, height, channels)
    return Header(width, height, channels == 1, orientation)


def exif_orientation(exif: bytes) -> int:
    """Of EXIF data, which are a small TIFF; 1 where they say nothing."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(exif[:4])
    if order is None:
        return 1

    def number(at: int, count: int) -> int:
        return int.from_bytes(exif[at : at + count], order)  # type: ignore[arg-type]

    first = number(4, 4)
    for n in range(min(number(first, 2), 100)):
        at = first + 2 + 12 * n
        if number(at, 2) == 0x0112 and number(at + 2, 2) == 3:
            value = number(at + 8, 2)
            return value if 1 <= value <= 8 else 1
    return 1
