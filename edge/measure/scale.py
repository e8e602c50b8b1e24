"""The crop at 512 x 512: a small C function in bands, or OpenCV where there is no compiler.

OpenCV's `INTER_LINEAR_EXACT` takes as long for a quarter of the pixels as its area average for all
of them, and the half-size picture goes through memory twice. One pass over the crop gives the same
bytes in two thirds of the time on one core, and in bands it uses the others (docs/speed.md).
"""

from __future__ import annotations

import ctypes
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from engines.compiled_c import load

U8 = npt.NDArray[np.uint8]
Size = tuple[int, int]

CROP_PX, SMALL_PX = 2016, 512  # of the paper's 9 x 9 patches
BANDS = 4  # of rows; taken by whichever thread is free
PIECES = 16  # of 32 rows: so little of a resampled crop is still in the processor's own memory
Fill = Callable[[int, int], None]


class Scaler:
    """(2016, 2016[, 3]) uint8 -> (512, 512[, 3]), into a buffer that is reused.

    Means of 2 x 2, then bilinear, halves rounded up in each step: integer arithmetic, the same on
    every processor and in engines/kernels. `threads` = 0: one per core that the process may use;
    `native` = False, or any other size: OpenCV. Sizes are (height, width), the crop's even.
    """

    def __init__(
        self,
        threads: int = 0,
        native: bool = True,
        crop_px: Size = (CROP_PX, CROP_PX),
        small_px: Size = (SMALL_PX, SMALL_PX),
    ) -> None:
        paper = (crop_px, small_px) == ((CROP_PX, CROP_PX), (SMALL_PX, SMALL_PX))
        self._rows = _native() if native and paper else None
        half_px = crop_px[0] // 2, crop_px[1] // 2
        self._small = {c: np.empty((*small_px, c)[: 2 + (c > 1)], np.uint8) for c in (1, 3)}
        self._half = {c: np.empty((*half_px, c)[: 2 + (c > 1)], np.uint8) for c in (1, 3)}
        helpers = min(threads or len(os.sched_getaffinity(0)), BANDS) - 1
        self._helpers = helpers if self._rows is not None else 0
        self._pool = ThreadPoolExecutor(max(1, helpers), "sparsefocus-scale")

    @property
    def native(self) -> bool:
        """Whether the C function is used."""
        return self._rows is not None

    def __call__(self, crop: U8, fill: Fill | None = None) -> U8:
        """See the class. The crop's pixels must lie side by side in a row. `fill` makes the crop's
        rows first..last-1, which are scaled while they are at hand."""
        channels = 1 if crop.ndim == 2 else 3
        small = self._small[channels]
        if self._rows is None or crop.strides[1] != channels:
            if fill is not None:
                fill(0, len(crop))
            half = self._half[channels]
            cv2.resize(crop, half.shape[1::-1], dst=half, interpolation=cv2.INTER_AREA)
            exact = cv2.INTER_LINEAR_EXACT
            return np.asarray(
                cv2.resize(half, small.shape[1::-1], dst=small, interpolation=exact), np.uint8
            )
        self._in_bands(crop, channels, small, fill)
        return small

    def _in_bands(self, crop: U8, channels: int, small: U8, fill: Fill | None) -> None:
        rows: Any = self._rows
        source, target = crop.ctypes.data, small.ctypes.data
        pieces = BANDS if fill is None else PIECES
        todo = deque(range(pieces))

        def work() -> None:
            while True:
                try:
                    band = todo.popleft()
                except IndexError:  # nothing is left to do
                    return
                first, last = (SMALL_PX * (band + i) // pieces for i in (0, 1))
                if fill is not None:  # every 32 rows are made of 126, and of no others
                    fill(first * CROP_PX // SMALL_PX, last * CROP_PX // SMALL_PX)
                rows(source, crop.strides[0], channels, first, last, target)

        started = [self._pool.submit(work) for _ in range(self._helpers)]
        work()
        for helper in started:
            if not helper.cancel():  # else it never got a core, and is not needed
                helper.result()


def _native() -> Any:
    library = load(Path(__file__).with_suffix(".c"))
    if library is None:
        return None
    function = library.scale_rows
    function.argtypes = [
        ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
        ctypes.c_void_p,
    ]  # fmt: skip
    function.restype = None
    return function
