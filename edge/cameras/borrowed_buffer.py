"""A driver's buffer as an array, without a copy: it goes back when the last reference goes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt


class _Buffer:
    def __init__(
        self, address: int, shape: tuple[int, ...], row_bytes: int, give_back: Callable[[], None]
    ) -> None:
        self.__array_interface__ = {
            "version": 3,
            "typestr": "|u1",
            "data": (address, True),  # read only: the camera writes here
            "shape": shape,
            "strides": (row_bytes, *shape[2:], 1),
        }
        self._give_back = give_back

    def __del__(self) -> None:
        self._give_back()


def borrowed(
    address: int,
    height: int,
    width: int,
    channels: int,
    row_bytes: int,
    give_back: Callable[[], None],
) -> npt.NDArray[np.uint8]:
    """(height, width[, 3]) uint8 over foreign memory; C-contiguous, copied if rows are padded.

    `give_back` is called once, from whichever thread drops the last reference, and must keep the
    memory valid until then.
    """
    if row_bytes < width * channels:
        raise ValueError(f"rows of {width * channels} bytes lie {row_bytes} bytes apart")
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.ascontiguousarray(np.asarray(_Buffer(address, shape, row_bytes, give_back)))
