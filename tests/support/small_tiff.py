"""The smallest TIFF of a given kind, so that tests need no writer that could share a fault."""

from __future__ import annotations

import struct
import zlib

import numpy as np

NONE, DEFLATE = 1, 8
Tags = dict[int, "list[int] | bytes"]


def tiff(*pages: bytes | Tags, order: str = "<") -> bytes:
    """Pages as dictionaries of tags; tag 273 (strips) or 324 (tiles) holds the data themselves."""
    out = bytearray(struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 0))
    link = 4
    for page in pages:
        tags = dict(page)
        where = 324 if 324 in tags else 273
        pieces = tags[where]
        tags[where] = [len(out) + sum(len(p) for p in pieces[:n]) for n in range(len(pieces))]
        tags.setdefault(279 if where == 273 else 325, [len(p) for p in pieces])
        out += b"".join(pieces)
        entries = b""
        for tag, value in sorted(tags.items()):
            short = not isinstance(value, bytes) and max(value) < 1 << 16
            kind = 7 if isinstance(value, bytes) else 3 if short else 4
            if tag == 270:
                kind = 2
            raw = value if isinstance(value, bytes) else struct.pack(
                f"{order}{len(value)}{'H' if short else 'I'}", *value)  # fmt: skip
            if len(raw) > 4:
                at, out = len(out), out + raw
                raw = struct.pack(order + "I", at)
            entries += struct.pack(order + "HHI", tag, kind, len(value)) + raw.ljust(4, b"\0")
        here = len(out)
        out[link : link + 4] = struct.pack(order + "I", here)
        out += struct.pack(order + "H", len(tags)) + entries + b"\0\0\0\0"
        link = len(out) - 4
    return bytes(out)


def page(
    values: np.ndarray,
    photometric: int = 1,
    planar: bool = False,
    compression: int = NONE,
    tile: int = 0,
    order: str = "<",
    **more: list[int] | bytes,
) -> Tags:
    """Tags of `values` (h, w[, channels]) uint8 or uint16; `tile` > 0: square tiles of that side.
    Further tags by number, as t284=[1]."""
    height, width = values.shape[:2]
    values = values.reshape(height, width, -1)
    samples, bits = values.shape[2], values.dtype.itemsize * 8
    planes = np.moveaxis(values, 2, 0)[..., None] if planar else values[None]
    pieces = []
    for plane in planes:
        if tile:
            down, across = -height % tile, -width % tile
            plane = np.pad(plane, ((0, down), (0, across), (0, 0)))
            parts = [plane[y : y + tile, x : x + tile] for y in range(0, height, tile)
                     for x in range(0, width, tile)]  # fmt: skip
        else:
            parts = [plane[y : y + 7] for y in range(0, height, 7)]
        raw = [p.astype(f"{order}u{bits // 8}").tobytes() for p in parts]
        pieces += [zlib.compress(r) for r in raw] if compression == DEFLATE else raw
    cut = {322: [tile], 323: [tile], 324: pieces} if tile else {278: [7], 273: pieces}
    extra = {338: [2]} if samples in (2, 4) else {}
    return {
        256: [width], 257: [height], 258: [bits] * samples, 259: [compression],
        262: [photometric], 277: [samples], 284: [2 if planar else 1], **cut, **extra,
        **{int(name[1:]): value for name, value in more.items()},
    }  # fmt: skip
