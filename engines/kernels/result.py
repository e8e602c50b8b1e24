"""What a frame's way on the GPU leaves behind: one struct, copied back at once.

`RESULT` is `struct Result` of pixels.cuh, byte by byte: `numpy.frombuffer(copied, RESULT)[0]`.
"""

from __future__ import annotations

import numpy as np

GRID, MOST, SAMPLE = 9, 31, 64

RESULT = np.dtype(
    [
        ("scores", "<f4", (GRID, GRID)),
        ("chosen", "<f4", (MOST,)),  # the best scores, falling; the choice is the first k
        ("defocus_um", "<f4", (MOST,)),  # the first `slots` of these four are of this frame
        ("spread_um", "<f4", (MOST,)),
        ("optics", "<f4", (MOST, 4)),
        ("novelty", "<f4", (MOST,)),
        ("cells", "<i4", (MOST,)),  # row * 9 + column
        ("above", "<i4"),
        ("k", "<i4"),  # patches that the class rule asks for
        ("measured", "<i4"),  # of these, those that the DPN had room for
        ("scores_finite", "<i4"),
        ("answers_finite", "<i4"),
        (
            "sample",
            "u1",
            (SAMPLE, SAMPLE, 3),
        ),  # of the RIN's picture; edge.measure.photometry.of_sample
    ],
    align=True,
)

__all__ = ["RESULT"]
