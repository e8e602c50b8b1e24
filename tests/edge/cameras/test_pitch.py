"""Rows of a frame lie where its size lets them lie, or the frame is refused."""

from __future__ import annotations

import numpy as np
import pytest

from edge.cameras.borrowed_buffer import borrowed
from edge.cameras.pitch import pitch_of


@pytest.mark.parametrize("align", [1, 4, 16, 64, 256, 4096])
@pytest.mark.parametrize("row", [2448, 7344, 333, 64])
def test_rows_padded_alike(row, align):
    pitch = -(-row // align) * align
    assert pitch_of(pitch * 2048, row, 2048) == pitch


@pytest.mark.parametrize(
    ("size", "row", "height"),
    [
        (2448 * 2056, 2448, 2048),  # lines of metadata below
        (2448 * (2048 + 128), 2448, 2048),  # as many as make the size divisible
        (2448 * 2048 - 1, 2448, 2048),
        (2448 * 2048 + 4096, 2448, 2048),
        (0, 2448, 2048),
        (100, 2448, 0),
    ],
)
def test_what_is_unknown_is_refused(size, row, height):
    assert pitch_of(size, row, height) is None


def test_rows_closer_than_they_are_long_are_no_picture():
    memory = np.arange(12, dtype=np.uint8)
    with pytest.raises(ValueError, match="rows of 6 bytes lie 4 bytes apart"):
        borrowed(memory.ctypes.data, 2, 2, 3, 4, lambda: None)
    straight = borrowed(memory.ctypes.data, 3, 3, 1, 4, lambda: None)
    assert straight.tolist() == [[0, 1, 2], [4, 5, 6], [8, 9, 10]]
