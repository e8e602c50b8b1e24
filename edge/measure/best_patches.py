"""A few patches of a frame in colour, cut from the frame itself: the same on CPU and GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from edge.camera import Frame, PixelFormat
from edge.measure.preprocess import (
    PAPER,
    PATCH_PX,
    Cell,
    PatchGrid,
    axes_of,
    crop_origin,
    developed,
    is_plain,
)
from edge.measure.raw_pixels import bits, demosaic, red_at, unpack
from edge.measure.resample import Resampler

U8 = npt.NDArray[np.uint8]


def cut(frame: Frame, cells: Sequence[Cell], grid: PatchGrid = PAPER, pixels: float = 1.0) -> U8:
    """The patches at `cells` one below the other, (n * 224, 224, 3) uint8 RGB; a grey frame's three
    channels are alike. `pixels`: of the models for one of the frame (edge.optics.Normalised).
    ConfigError as edge.measure.preprocess.crop_origin."""
    if not is_plain(frame, grid, pixels):
        return _resampled(frame, cells, grid, pixels)
    top, left = crop_origin(frame, grid)
    out = np.empty((len(cells), PATCH_PX, PATCH_PX, 3), np.uint8)
    for slot, (row, column) in zip(out, cells, strict=True):
        slot[:] = _patch(frame, top + row * PATCH_PX, left + column * PATCH_PX)
    return out.reshape(-1, PATCH_PX, 3)


def _resampled(frame: Frame, cells: Sequence[Cell], grid: PatchGrid, pixels: float) -> U8:
    rows, columns = axes_of(frame, grid, pixels)
    out = np.empty((len(cells), PATCH_PX, PATCH_PX, 3), np.uint8)
    for slot, cell in zip(out, cells, strict=True):
        (top, bottom, down), (left, right, across) = (
            axis.part(at * PATCH_PX, (at + 1) * PATCH_PX)
            for axis, at in zip((rows, columns), cell, strict=True)
        )
        part, pixel_format = developed(frame, (top, left), (bottom - top, right - left))
        patch = np.empty((PATCH_PX, PATCH_PX, 3)[: part.ndim], np.uint8)
        Resampler(down, across).fill(part, patch, 0, PATCH_PX)
        slot[:] = _as_rgb(patch, pixel_format)
    return out.reshape(-1, PATCH_PX, 3)


def _patch(frame: Frame, top: int, left: int) -> U8:
    """(224, 224, 3) or, of a grey frame, (224, 224, 1)."""
    rows = slice(max(0, top - 1), top + PATCH_PX + 1)
    pixels, depth, red = frame.pixels[rows], bits(frame), red_at(frame)
    if depth != 8:
        pixels = unpack(pixels, depth)
    top -= rows.start
    if red is not None:
        red = (red[0], red[1] ^ rows.start & 1)
        return demosaic(pixels, red, (top, left), (PATCH_PX, PATCH_PX))
    part = pixels[top : top + PATCH_PX, left : left + PATCH_PX]
    return _as_rgb(part, frame.pixel_format)


def _as_rgb(part: U8, pixel_format: PixelFormat) -> U8:
    if pixel_format is PixelFormat.BGR8:
        return part[..., ::-1]
    return part if part.ndim == 3 else part[..., None]
