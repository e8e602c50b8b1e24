"""What a frame's way on the GPU leaves behind: one struct, copied back at once.

`RESULT` is `struct Result` of pixels.cuh, byte by byte: `numpy.frombuffer(copied, RESULT)[0]`.
"""

from __future__ import annotations

import numpy as np

GRID, MOST, SAMPLE = 9, 31, 64

RESULT = np.dtype(
    [
        ("median_um", "<f8"),  # + means: raise the objective; NaN when there is no answer
        ("between_um", "<f8"),  # 1.4826 * median absolute deviation of the defoci
        ("network_um", "<f8"),  # median of the network's own spreads
        ("importance", "<f8"),  # mean of the chosen scores
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
