"""Frames as sensors send them: packed 10 and 12 bit, and Bayer mosaics.

The packed formats are GenICam's "p" (PFNC): least significant bit first, no gaps
within a row. Only the top eight bits of a pixel are used, as in the camera's own 8-bit mode. The
mosaic is filled bilinearly with OpenCV's rounding; beyond the frame's edge lies its mirror image
about the edge pixel (OpenCV copies the neighbouring line instead, which differs in the outermost
line of the frame only). engines/kernels computes the same, to the bit.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import Frame
from edge.errors import ConfigError

U8 = npt.NDArray[np.uint8]

#: GenICam's name of the phase -> (x, y) of the red pixel in the top left 2 x 2
RED_AT = {"RG": (0, 0), "GR": (1, 0), "GB": (0, 1), "BG": (1, 1)}
# OpenCV names a phase by the pixels at (1, 1) and (2, 1)
_TO_RGB = {
    (0, 0): cv2.COLOR_BayerBG2RGB,
    (1, 0): cv2.COLOR_BayerGB2RGB,
    (0, 1): cv2.COLOR_BayerGR2RGB,
    (1, 1): cv2.COLOR_BayerRG2RGB,
}
_GROUP = {10: (4, 5), 12: (2, 3)}  # bits -> pixels and bytes of the least whole piece


def bits(frame: Frame) -> int:
    """Bits per pixel and channel: 8, 10 or 12."""
    name = frame.pixel_format.value
    return int(name[-3:-1]) if name.endswith("p") else 8


def red_at(frame: Frame) -> tuple[int, int] | None:
    """Where the red pixel is in the top left 2 x 2 of a mosaic; None for other formats."""
    name = frame.pixel_format.value
    return RED_AT[name[5:7]] if name.startswith("Bayer") else None


def width_px(frame: Frame) -> int:
    """Pixels in a row; ConfigError when a packed row does not hold whole groups of pixels."""
    depth, row_bytes = bits(frame), frame.pixels.shape[1]
    if depth == 8:
        return row_bytes
    pixels, size = _GROUP[depth]
    if row_bytes % size:
        raise ConfigError(
            f"frame: a row of {row_bytes} bytes is not {frame.pixel_format.value}, "
            f"which packs {pixels} pixels into {size} bytes"
        )
    return row_bytes // size * pixels


def unpack(rows: U8, depth: int) -> U8:
    """(h, bytes of a row) packed to (h, w): the top eight bits of each pixel, depth 10 or 12."""
    pixels, size = _GROUP[depth]
    piece = rows.reshape(len(rows), -1, size)
    out = np.empty((len(rows), piece.shape[1], pixels), np.uint8)
    for i in range(pixels):
        byte, shift = divmod(i * depth + depth - 8, 8)
        out[..., i] = piece[..., byte] >> shift
        if shift:
            out[..., i] |= piece[..., byte + 1] << (8 - shift)
    return out.reshape(len(rows), -1)


def demosaic(
    mosaic: U8, red: tuple[int, int], origin: tuple[int, int], size: tuple[int, int]
) -> U8:
    """A part of a Bayer mosaic, from (top, left) on, as (h, w, 3) uint8 RGB for `size` (h, w); a
    view into a new array."""
    (top, left), (bottom, right) = origin, (origin[0] + size[0], origin[1] + size[1])
    height, width = mosaic.shape
    missing = (
        max(0, 1 - top),
        max(0, bottom + 1 - height),
        max(0, 1 - left),
        max(0, right + 1 - width),
    )
    part = mosaic[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1]
    if any(missing):
        part = np.asarray(cv2.copyMakeBorder(part, *missing, cv2.BORDER_REFLECT_101), np.uint8)
    phase = (red[0] ^ (left - 1) & 1, red[1] ^ (top - 1) & 1)
    rgb = np.asarray(cv2.cvtColor(part, _TO_RGB[phase]), np.uint8)
    return rgb[1:-1, 1:-1]
