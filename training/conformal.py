"""Quantiles that promise something about a new slide, from frames that share slides.

Frames of one slide err together, so the slide is what is drawn anew. Each slide counts once,
however many frames it has: its frames share its weight. The slide to come counts as one more, and
as the worst, which is the usual finite-sample step ceil((n + 1) level) / n with slides for n.
This is the pooled distribution of Dunn, Wasserman and Ramdas (2018, "Distribution-free prediction
sets for two-layer hierarchical models"): every frame is used and nothing is left to a draw.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Slides = npt.NDArray[np.int64]  # (n,) which slide a frame belongs to


def weights(slides: Slides) -> F64:
    """(n,) share of its slide that each frame has; they sum to the number of slides."""
    _, index, counts = np.unique(slides, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / counts[index], np.float64)


def slide_quantile(scores: F64, slides: Slides, level: float, new: int = 1) -> float:
    """The least score that a frame of a new slide stays below with probability `level`.

    (n,) scores. Infinity where the slides are too few for that level. `new` = 0 is the plain
    quantile, without the slide to come.
    """
    share = weights(slides)
    return quantile(scores, share, level * (share.sum() + new))


def quantile(scores: F64, share: F64, needed: float) -> float:
    """The least score that frames of weight `needed` in all do not exceed, infinity if none."""
    order = np.argsort(scores, kind="stable")
    at = int(np.searchsorted(np.cumsum(share[order]), needed - 1e-9))
    return float(scores[order[at]]) if at < len(scores) else math.inf


def slide_share(hits: npt.NDArray[np.bool_], slides: Slides) -> tuple[float, float]:
    """Share of hits, each slide counting once, and its standard error over slides (NaN below 2)."""
    if not len(hits):
        return math.nan, math.nan
    _, index, counts = np.unique(slides, return_inverse=True, return_counts=True)
    means = np.bincount(index, hits) / counts
    error = float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else math.nan
    return float(means.mean()), error
