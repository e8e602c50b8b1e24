"""95 % intervals of a table by resampling slides, not frames.

Frames of one slide share its optics, stain and light and so err together: resampling frames
would count one lucky slide many times over. Everything is vectorised over the resamples.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Range = tuple[float, float]

RESAMPLES = 2000
LEVEL = 0.95
_CELLS = 4_000_000  # weights held at once by `quantile`


class SlideBootstrap:
    """Draws slides with replacement; all frames of a drawn slide come along.

    `slides` names the slide of each frame, (n,). Frames of one slide tell nothing about others:
    an interval is None then. The same seed gives the same draws.
    """

    def __init__(self, slides: Sequence[str], resamples: int = RESAMPLES, seed: int = 0) -> None:
        names, self._slide = np.unique(np.asarray(slides, dtype=str), return_inverse=True)
        self.slides = len(names)
        chance = np.full(self.slides, 1.0 / max(self.slides, 1))
        rng = np.random.default_rng(seed)
        #: (resamples, slides): how often each slide was drawn
        self._times = rng.multinomial(self.slides, chance, size=resamples) if self.slides else None

    def mean(self, values: F64, counted: Mask) -> Range | None:
        """Interval of the mean of `values` (n,) over the frames that are `counted` (n,)."""
        if self._times is None or self._slides_in(counted) < 2:
            return None
        weight = counted.astype(np.float64)
        total = np.bincount(self._slide, np.where(counted, values, 0.0), self.slides)
        count = np.bincount(self._slide, weight, self.slides)
        drawn = self._times @ count
        return _range((self._times @ total)[drawn > 0] / drawn[drawn > 0], len(drawn))

    def share(self, true: Mask, counted: Mask) -> Range | None:
        """Interval of the share of `counted` frames that are `true`.

        Where every frame or none is, resampling shows no spread at all: then the exact binomial
        limit with one trial per slide (Clopper and Pearson), 0.025 ** (1 / slides).
        """
        slides, some = self._slides_in(counted), bool(true[counted].any())
        if slides < 2 or (some and not true[counted].all()):
            return self.mean(true.astype(np.float64), counted)
        limit = ((1.0 - LEVEL) / 2.0) ** (1.0 / slides)
        return (limit, 1.0) if some else (0.0, 1.0 - limit)

    def quantile(self, values: F64, counted: Mask, q: float) -> Range | None:
        """Interval of the `q` quantile of `values` (n,) over the `counted` frames."""
        if self._times is None or self._slides_in(counted) < 2:
            return None
        kept, slide = values[counted], self._slide[counted]
        order = np.argsort(kept, kind="stable")
        kept, slide = kept[order], slide[order]
        quantiles = []
        for times in np.array_split(self._times, -(-len(self._times) * len(kept) // _CELLS)):
            if not len(times):
                continue
            below = np.cumsum(times[:, slide], axis=1)
            some = below[:, -1] > 0
            reached = below[some] >= q * below[some, -1:]
            quantiles.append(kept[reached.argmax(axis=1)])
        return _range(np.concatenate(quantiles), len(self._times))

    def _slides_in(self, counted: Mask) -> int:
        """How many slides have frames that count."""
        return len(np.unique(self._slide[counted]))


def _range(values: F64, resamples: int) -> Range | None:
    """The middle 95 %; None when most resamples held no frame that counts."""
    if 2 * len(values) <= resamples:
        return None
    tail = 100.0 * (1.0 - LEVEL) / 2.0
    low, high = np.percentile(values, (tail, 100.0 - tail))
    return float(low), float(high)
