"""The pixels of one TIFF picture, right or refused.

OpenCV's TIFF reader answers some layouts with a picture that is black, sheared or of other
values, and says nothing. So it is used for one thing only, to undo the compression: each plane is
handed to it as a plain 8-bit grey picture whose pixels are the file's bytes. What the bytes mean
(depth, byte order, predictor, planes, palette, which value is white) is decided here. JPEG is the
exception: its colours belong to the decoder. docs/decisions/0015.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

import cv2
import numpy as np
import numpy.typing as npt

from edge.images import tiff_directory as t
from edge.images.orientation import upright
from edge.images.quiet_opencv import quiet_decoder
from edge.images.tiff_directory import Directory, PictureFault, Tags, piece
from edge.images.tiff_layout import JPEG, NONE, Layout, layout_of

U8 = npt.NDArray[np.uint8]
Pixels = npt.NDArray[np.generic]


def pixels_of(file: BinaryIO, size: int, directory: Directory) -> Pixels:
    """(h, w) or (h, w, 2 to 4), uint8 or uint16 in the machine's order: grey or RGB as they are
    stored, each with its further channel if it has one; upright. PictureFault otherwise.
    """
    layout = layout_of(directory)
    if layout.compression == JPEG:
        image = _jpeg(file, size, directory, layout)
    else:
        planes = [_plane(file, size, directory, layout, n) for n in range(layout.planes)]
        image = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        image = _meaning(image, directory, layout)
    return upright(image, directory.number(t.ORIENTATION, 1))


def _meaning(image: Pixels, directory: Directory, layout: Layout) -> Pixels:
    """Palette to colours, one channel without its axis."""
    if layout.palette:
        return _coloured(image[..., 0], directory)
    return image[..., 0] if image.shape[2] == 1 else image


def _coloured(index: Pixels, directory: Directory) -> Pixels:
    colours = directory.numbers(t.COLOUR_MAP)
    entries = len(colours) // 3
    if entries * 3 != len(colours) or int(index.max()) >= entries:
        raise PictureFault("is damaged: its palette is too small")
    table = np.array(colours, np.uint16).reshape(3, entries).T
    if int(table.max()) >= 256:  # the usual 16 bits; some writers give 8
        table >>= 8
    return np.ascontiguousarray(table.astype(np.uint8)[index])


def _plane(file: BinaryIO, size: int, directory: Directory, layout: Layout, n: int) -> Pixels:
    """One plane as (h, w, samples per pixel of it)."""
    rows = _bytes_of(file, size, directory, layout, n)
    samples, height, width = layout.samples_per_plane, layout.height, layout.width
    if layout.bits in (8, 16):
        kind = np.dtype(f"{directory.order}u{layout.bits // 8}")
        image = rows.view(kind).astype(kind.newbyteorder("="), copy=False)
    else:
        image = _unpacked(rows, layout.bits)[:, : width * samples]
    image = image.reshape(height, width, samples)
    return _summed(image, layout.tile_width or width) if layout.differences else image


def _unpacked(rows: U8, bits: int) -> Pixels:
    """Values of `bits` that follow each other without gaps, the most significant bit first."""
    count = rows.shape[1] * 8 // bits
    ones = np.unpackbits(rows, axis=1, count=count * bits).reshape(len(rows), count, bits)
    out = np.zeros((len(rows), count), np.uint16)
    for bit in range(bits):
        out = (out << 1) | ones[..., bit]
    return out


def _summed(image: Pixels, tile_width: int) -> Pixels:
    """Undo the horizontal predictor: each pixel was stored as the difference to its neighbour on
    the left, from the left edge of each tile on; sums wrap as the differences did."""
    out = np.empty_like(image)
    for left in range(0, image.shape[1], tile_width):
        part = slice(left, left + tile_width)
        np.cumsum(image[:, part], axis=1, dtype=image.dtype, out=out[:, part])
    return out


def _bytes_of(file: BinaryIO, size: int, directory: Directory, layout: Layout, n: int) -> U8:
    """(h, bytes of a row) of plane `n`, decompressed."""
    pieces = _pieces(file, size, directory, layout, n)
    if layout.compression == NONE and not layout.tile_width:
        whole = b"".join(pieces)
        wanted = layout.height * layout.row_bytes
        if len(whole) < wanted:
            raise PictureFault("is damaged or cut short: its strips hold too few bytes")
        # strips hold whole rows, so nothing lies between them but what a strip has too much
        if len(whole) > wanted:
            whole = _without_excess(pieces, layout)
        return np.frombuffer(whole, np.uint8).reshape(layout.height, layout.row_bytes)
    grey = layout.as_grey_bytes()
    return _decoded(grey, pieces, (layout.height, layout.row_bytes))


def _without_excess(pieces: list[bytes], layout: Layout) -> bytes:
    rows = layout.strip_rows
    last = layout.height - rows * (len(pieces) - 1)
    lengths = [rows * layout.row_bytes] * (len(pieces) - 1) + [last * layout.row_bytes]
    if any(len(p) < length for p, length in zip(pieces, lengths, strict=True)):
        raise PictureFault("is damaged or cut short: a strip holds too few bytes")
    return b"".join(p[:length] for p, length in zip(pieces, lengths, strict=True))


def _pieces(file: BinaryIO, size: int, directory: Directory, layout: Layout, n: int) -> list[bytes]:
    """The strips or tiles of plane `n` as they are stored."""
    tiled = bool(layout.tile_width)
    offsets = directory.numbers(t.TILE_OFFSETS if tiled else t.STRIP_OFFSETS)
    counts = directory.numbers(t.TILE_BYTES if tiled else t.STRIP_BYTES)
    each = layout.pieces_per_plane
    if not counts and layout.compression == NONE and len(offsets) == 1:
        counts = (layout.height * layout.row_bytes,)  # some writers leave it out
    if len(offsets) != len(counts) or len(offsets) < each * layout.planes:
        raise PictureFault(f"is damaged: {len(offsets)} strips or tiles, it needs {each}")
    mine = slice(n * each, (n + 1) * each)
    if sum(counts[mine]) > size:
        raise PictureFault("is damaged: its strips or tiles lie on each other")
    return [
        piece(file, size, at, count) for at, count in zip(offsets[mine], counts[mine], strict=True)
    ]


def _jpeg(file: BinaryIO, size: int, directory: Directory, layout: Layout) -> Pixels:
    """Decoded by OpenCV with its own colour conversion."""
    tags = layout.as_jpeg(directory)
    pieces = _pieces(file, size, directory, layout, 0)
    if any(not p.startswith(b"\xff\xd8") for p in pieces):
        raise PictureFault("is damaged: a strip or tile of it is no JPEG")
    shape = (layout.height, layout.width) + ((3,) if layout.samples == 3 else ())
    image = _decoded(tags, pieces, shape)
    return image if image.ndim == 2 else image[..., ::-1]


def _decoded(tags: Tags, pieces: list[bytes], shape: tuple[int, ...]) -> U8:
    """By OpenCV, from a TIFF that holds just this; PictureFault when the data are damaged."""
    data = _small_tiff(tags, pieces)
    try:
        with quiet_decoder():
            flags = cv2.IMREAD_UNCHANGED if len(shape) == 2 else cv2.IMREAD_COLOR
            image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise PictureFault(f"cannot be decoded: {error.err}") from error
    if image is None:
        raise PictureFault("cannot be decoded: it is damaged or cut short")
    if len(shape) == 2 and image.ndim == 3:  # grey JPEG comes as colour from some releases
        image = image[..., 1]
    if image.dtype != np.uint8 or image.shape != shape:
        raise PictureFault("cannot be decoded: the decoder gives another size than the file")
    return np.ascontiguousarray(image, np.uint8)


def _small_tiff(tags: Tags, pieces: list[bytes]) -> bytes:
    """A classic little-endian TIFF of one picture."""
    starts, at = [], 8
    for each in pieces:
        starts.append(at)
        at += len(each) + len(each) % 2
    tiled = t.TILE_WIDTH in tags
    full = {
        **tags,
        t.TILE_OFFSETS if tiled else t.STRIP_OFFSETS: tuple(starts),
        t.TILE_BYTES if tiled else t.STRIP_BYTES: tuple(map(len, pieces)),
    }
    entries, beyond = b"", b""
    behind = at + 2 + 12 * len(full) + 4
    for tag, value in sorted(full.items()):
        packed = value if isinstance(value, bytes) else struct.pack(f"<{len(value)}I", *value)
        kind, count = (7, len(value)) if isinstance(value, bytes) else (4, len(value))
        if len(packed) > 4:
            packed, beyond = struct.pack("<I", behind + len(beyond)), beyond + packed
            beyond += b"\0" * (len(beyond) % 2)
        entries += struct.pack("<HHI", tag, kind, count) + packed.ljust(4, b"\0")
    directory = struct.pack("<H", len(full)) + entries + struct.pack("<I", 0)
    body = b"".join(each + b"\0" * (len(each) % 2) for each in pieces)
    return b"".join((b"II*\0", struct.pack("<I", at), body, directory, beyond))
