"""A frame of any pixel size and any size as the models want it: their pixels, their crop.

Measured in lambda/NA, every bright-field objective's picture is alike, so a frame is brought to as
many lambda/NA a pixel as the models were trained on (edge.optics). A finer frame is averaged over
area, a coarser one interpolated by cubic splines (Catmull-Rom). Weights are whole 256ths that add
up to 256 each way, and a pixel is rounded once: the same bytes in C, in NumPy and on a GPU
(engines/kernels).

Where the frame holds fewer patches than the models' crop, it lies in the crop's middle, and round
it its own mirror image: the RIN finds no border there. Cells of the margin are never measured.
"""

from __future__ import annotations

import ctypes
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError
from engines.compiled_c import load

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]
F64 = npt.NDArray[np.float64]

WEIGHT = 256  # what the weights of one way add up to
MOST_TAPS = 12  # pixels of the frame for one of the models', each way: nobody has finer ones
_STRIP = 64  # rows that NumPy does at once
_EXACT = 1e-9  # of a pixel


@dataclass(frozen=True, slots=True, eq=False)  # one for each side and factor: `axis_of` keeps them
class Axis:
    """One way, rows or columns: which pixels of a frame make each of the crop's, and their weights.

    first: (n,) int32, the frame's first pixel of each; weights: (n, taps) int32; lies_in: the range
    of the crop's pixels that are no mirror image; same: (n,) int32, for one of the mirror image the
    pixel that is alike; cells: the range of patches that the frame holds.
    """

    first: I32
    weights: I32
    same: I32
    lies_in: tuple[int, int]
    cells: tuple[int, int]

    @property
    def taps(self) -> int:
        """Weights a pixel."""
        return int(self.weights.shape[1])

    def part(self, begin: int, end: int) -> tuple[int, int, Axis]:
        """Of the crop's pixels begin..end-1 alone: the range of the frame's pixels they need, and
        the axis on that part of the frame."""
        first = self.first[begin:end]
        low, high = int(first.min()), int(first.max()) + self.taps
        alone = np.arange(end - begin, dtype=np.int32)
        cut = Axis(first - np.int32(low), self.weights[begin:end], alone, (0, end - begin), (0, 1))
        return low, high, cut


@lru_cache(maxsize=32)
def axis_of(frame_px: int, factor: float, cells: int, patch_px: int) -> Axis:
    """Of a side of `frame_px`, `factor` of the models' pixels to one of the frame's, onto `cells`
    patches. ConfigError for a side that does not hold a single patch, or too fine a pixel."""
    whole = math.floor(frame_px * factor + _EXACT)
    if whole < patch_px:
        raise ConfigError(
            f"frame: a side of {frame_px} px is {whole} px at the models' pixel size, "
            f"{patch_px} px, one patch, is the least that can be measured"
        )
    if 1.0 / factor > MOST_TAPS - 2:
        raise ConfigError(
            f"frame: {1.0 / factor:.1f} of its pixels make one of the models', "
            f"{MOST_TAPS - 2} are the most: let the camera bin them"
        )
    used = min(cells, whole // patch_px)
    begin = (cells - used) // 2
    place = np.arange(cells * patch_px) - begin * patch_px + (whole - used * patch_px) // 2
    mirrored = _mirror(place, whole)
    first, weights = (_area if factor < 1.0 else _cubic)(mirrored, frame_px, factor)
    low, high = int(max(0, -place[0])), int(min(len(place), whole - place[0]))
    same = (mirrored - place[0]).astype(np.int32)
    return Axis(first, weights, same, (low, high), (begin, begin + used))


def _mirror(place: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Places beyond 0..size-1 as their mirror image about the outermost pixel."""
    period = 2 * (size - 1)
    folded = np.abs(place) % period
    return np.asarray(np.where(folded < size, folded, period - folded))


def _area(place: npt.NDArray[np.int64], frame_px: int, factor: float) -> tuple[I32, I32]:
    step = 1.0 / factor
    taps = math.ceil(step - _EXACT) + (abs(step - round(step)) > _EXACT)
    low = place * step
    first = np.minimum(np.floor(low + _EXACT), frame_px - taps)
    # share of the pixel's area up to each border between two of the frame's pixels
    border = first[:, None] + np.arange(taps + 1)
    share = np.clip((border - low[:, None]) / step, 0.0, 1.0)
    share[:, 0], share[:, -1] = 0.0, 1.0
    whole = np.floor(share * WEIGHT + 0.5)
    return first.astype(np.int32), np.diff(whole, axis=1).astype(np.int32)


def _cubic(place: npt.NDArray[np.int64], frame_px: int, factor: float) -> tuple[I32, I32]:
    centre = (place + 0.5) / factor - 0.5
    before = np.floor(centre + _EXACT)
    t = np.maximum(centre - before, 0.0)
    exact = np.stack([
        ((2.0 - t) * t - 1.0) * t / 2.0, ((3.0 * t - 5.0) * t * t + 2.0) / 2.0,
        ((4.0 - 3.0 * t) * t + 1.0) * t / 2.0, (t - 1.0) * t * t / 2.0,
    ], axis=1)  # fmt: skip
    weights = np.floor(exact * WEIGHT + 0.5).astype(np.int32)
    rows = np.arange(len(place))
    weights[rows, weights.argmax(axis=1)] += WEIGHT - weights.sum(axis=1)
    start = before.astype(np.int64) - 1
    first = np.clip(start, 0, frame_px - 4)
    folded = np.zeros_like(weights)  # beyond the frame's edge its outermost pixel goes on
    for tap in range(4):
        at = np.clip(start + tap, 0, frame_px - 1) - first
        np.add.at(folded, (rows, at), weights[:, tap])
    return first.astype(np.int32), folded


class Resampler:
    """Frame to crop, rows by rows, so that another step can follow while they are at hand.

    `native` = False: NumPy, as where there is no compiler. One per thread is not needed: memory of
    a row is made for each call.
    """

    def __init__(self, rows: Axis, columns: Axis, native: bool = True) -> None:
        self.rows, self.columns = rows, columns
        self._native = _native() if native else None

    @property
    def native(self) -> bool:
        """Whether the C function is used."""
        return self._native is not None

    def fill(self, frame: U8, out: U8, first: int, last: int) -> None:
        """Rows first..last-1 of the crop `out`, (n, m) or (n, m, 3), of (h, w) or (h, w, 3) uint8
        whose pixels lie side by side in a row."""
        if self._native is None or frame.strides[1] != (frame.shape[2] if frame.ndim == 3 else 1):
            for begin in range(first, last, _STRIP):
                end = min(begin + _STRIP, last)
                out[begin:end] = self._strip(frame, begin, end)
            return
        rows, columns, channels = self.rows, self.columns, 1 if frame.ndim == 2 else 3
        line = np.empty(frame.shape[1] * channels, np.int32)
        self._native(
            frame.ctypes.data, frame.strides[0], channels, frame.shape[1],
            rows.first.ctypes.data, rows.weights.ctypes.data, rows.taps, first, last,
            columns.first.ctypes.data, columns.weights.ctypes.data, columns.taps,
            *columns.lies_in, len(columns.first), columns.same.ctypes.data,
            line.ctypes.data, out.ctypes.data,
        )  # fmt: skip

    def _strip(self, frame: U8, begin: int, end: int) -> U8:
        rows, columns = self.rows, self.columns
        low, high, part = rows.part(begin, end)
        down = _matrix(part, high - low) @ frame[low:high].reshape(high - low, -1).astype(np.int32)
        tall = down.reshape(end - begin, frame.shape[1], -1).transpose(1, 0, 2)
        across = _matrix(columns, frame.shape[1]) @ tall.reshape(frame.shape[1], -1)
        sums = across.reshape(len(columns.first), end - begin, -1).transpose(1, 0, 2)
        out = np.clip((sums + (1 << 15)) >> 16, 0, 255).astype(np.uint8)
        return out.reshape(end - begin, len(columns.first), *frame.shape[2:])


def _matrix(axis: Axis, size: int) -> Any:
    """The weights as a sparse (n, size) matrix."""
    from scipy.sparse import csr_matrix  # only where there is no compiler

    at = axis.first[:, None] + np.arange(axis.taps, dtype=np.int32)
    starts = np.arange(len(at) + 1, dtype=np.int32) * axis.taps
    return csr_matrix((axis.weights.ravel(), at.ravel(), starts), shape=(len(at), size))


@lru_cache(maxsize=1)
def _native() -> Any:
    library = load(Path(__file__).with_suffix(".c"))
    if library is None:
        return None
    function = library.resample_rows
    pointer, number = ctypes.c_void_p, ctypes.c_int
    function.argtypes = [
        pointer, ctypes.c_ssize_t, number, number,
        pointer, pointer, number, number, number,
        pointer, pointer, number, number, number, number, pointer,
        pointer, pointer,
    ]  # fmt: skip
    function.restype = None
    return function
