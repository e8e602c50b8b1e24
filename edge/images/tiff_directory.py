"""The directories of a TIFF file: what each picture in it is, before a byte of it is decoded.

Baseline TIFF 6.0 and BigTIFF, either byte order. Everything that a file says is checked against
the file's own size and against limits, so that a damaged or hostile one is refused in one line.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
MAX_PAGES = 65_536
_MAX_TAGS = 4096
_MAX_VALUES = 1 << 20  # strips of one picture, at most
_MAX_TEXT = 1 << 20
#: type -> bytes and struct's letter of the whole numbers that are read here
_WHOLE = {1: (1, "B"), 3: (2, "H"), 4: (4, "I"), 13: (4, "I"), 16: (8, "Q"), 18: (8, "Q")}
_TEXT = (2, 1, 7)

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
FILL_ORDER, DESCRIPTION, STRIP_OFFSETS, ORIENTATION, SAMPLES = 266, 270, 273, 274, 277
STRIP_ROWS, STRIP_BYTES, MAX_VALUE, PLANAR = 278, 279, 281, 284
PREDICTOR, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT = 317, 320, 322, 323
TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT = 324, 325, 338, 339
JPEG_TABLES, YCBCR_SUBSAMPLING, SUBFILE = 347, 530, 254
_TAGS = {
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, DESCRIPTION, STRIP_OFFSETS,
    ORIENTATION, SAMPLES, STRIP_ROWS, STRIP_BYTES, MAX_VALUE, PLANAR, PREDICTOR, COLOUR_MAP,
    TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES,
    YCBCR_SUBSAMPLING, SUBFILE,
}  # fmt: skip

#: whole numbers, or bytes where a tag is text or opaque
Tags = dict[int, "tuple[int, ...] | bytes"]


class PictureFault(Exception):
    """A picture that cannot be read, in words that follow "FILE: the image "."""


@dataclass(frozen=True, slots=True)
class Directory:
    """One picture's tags: whole numbers, or bytes where the tag is text or opaque."""

    order: str  # "<" or ">"
    tags: Tags

    def numbers(self, tag: int) -> tuple[int, ...]:
        """All values of a tag; () when it is absent."""
        value = self.tags.get(tag, ())
        return tuple(value) if isinstance(value, bytes) else value

    def number(self, tag: int, default: int | None = None) -> int:
        """The first value of a tag; PictureFault when it is absent and has no default."""
        values = self.numbers(tag)
        if values:
            return values[0]
        if default is None:
            raise PictureFault(f"is damaged: its TIFF tag {tag} is missing")
        return default

    @property
    def reduced(self) -> bool:
        """A thumbnail or a coarser level of another picture in the file."""
        return bool(self.number(SUBFILE, 0) & 1)


def directories(file: BinaryIO, size: int) -> Iterator[Directory]:
    """Each picture of a TIFF of `size` bytes, in the file's order; PictureFault."""
    head = _at(file, size, 0, 16 if size >= 16 else 8)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack(order + "H", head[2:4])[0] == 43
    if big and struct.unpack(order + "HH", head[4:8]) != (8, 0):
        raise PictureFault("is damaged: its BigTIFF header is not one")
    (at,) = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])
    visited: set[int] = set()
    while at:
        if at in visited or len(visited) >= MAX_PAGES:
            raise PictureFault("is damaged: its TIFF directories go in a circle")
        visited.add(at)
        directory, at = _directory(file, size, at, order, big)
        yield directory


def _directory(file: BinaryIO, size: int, at: int, order: str, big: bool) -> tuple[Directory, int]:
    count_bytes, entry, link = (8, "HHQ8s", "Q") if big else (2, "HHI4s", "I")
    (count,) = struct.unpack(order + ("Q" if big else "H"), _at(file, size, at, count_bytes))
    if not 0 < count <= _MAX_TAGS:
        raise PictureFault(f"is damaged: a TIFF directory of {count} tags")
    step = struct.calcsize(order + entry)
    body = _at(file, size, at + count_bytes, count * step + struct.calcsize(link))
    tags: Tags = {}
    for n in range(count):
        tag, kind, values, raw = struct.unpack_from(order + entry, body, n * step)
        if tag in _TAGS:
            tags[tag] = _value(file, size, order, tag, kind, values, raw)
    (following,) = struct.unpack_from(order + link, body, count * step)
    return Directory(order, tags), following


def _value(
    file: BinaryIO, size: int, order: str, tag: int, kind: int, count: int, raw: bytes
) -> tuple[int, ...] | bytes:
    text = kind in _TEXT and tag in (DESCRIPTION, JPEG_TABLES)
    if not text and kind not in _WHOLE:
        raise PictureFault(f"is damaged: its TIFF tag {tag} is of type {kind}")
    width, letter = (1, "s") if text else _WHOLE[kind]
    if count > (_MAX_TEXT if text else _MAX_VALUES):
        raise PictureFault(f"is damaged: its TIFF tag {tag} has {count} values")
    if count * width > len(raw):
        (at,) = struct.unpack(order + ("Q" if len(raw) == 8 else "I"), raw)
        raw = _at(file, size, at, count * width)
    if text:
        return raw[:count]
    return struct.unpack(f"{order}{count}{letter}", raw[: count * width])


def _at(file: BinaryIO, size: int, at: int, count: int) -> bytes:
    if at + count > size:
        raise PictureFault("is damaged or cut short: it points beyond its end")
    file.seek(at)
    data = file.read(count)
    if len(data) != count:
        raise PictureFault("is damaged or cut short")
    return data


def piece(file: BinaryIO, size: int, at: int, count: int) -> bytes:
    """`count` bytes of the file from `at` on; PictureFault when it does not reach that far."""
    return _at(file, size, at, count)
