"""A frame as the fits take it, its patches as arrays, from `sparsefocus evaluate --rows`.

Nothing is measured again: the rows hold what the networks said of every chosen patch, and the
fits apply the runtime's own functions to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.appliance.evaluate.rows_file import read_rows
from edge.appliance.frame_result import FrameResult
from edge.errors import ConfigError
from edge.measure.aggregate import median, median_and_spread
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity

CLASSES, FEW = (1, 9, 31), (1, 2, 3)  # numbers of patches
PLENTY = 3


@dataclass(frozen=True, slots=True)
class FrameRow:
    """One frame. `error_um` = |found - true|, NaN where either is unknown; k = 0 without patches.

    network_um, between_um, importance (mean of the chosen patches) are NaN at k = 0. `patches` and
    `photometry` are what the training range judges.
    """

    condition: str
    group: str
    slide: str
    k: int
    error_um: float
    found_um: float
    network_um: float
    between_um: float
    importance: float
    patches: PatchDefocus
    photometry: Mapping[str, float]
    true_um: float = math.nan

    @property
    def answered(self) -> bool:
        """Whether its interval can be judged: an estimate, and a truth to compare it with."""
        return self.k > 0 and math.isfinite(self.error_um)


def read_frames(paths: Iterable[Path]) -> list[FrameRow]:
    """All rows of the files; ConfigError names file, line and column of what is no row.

    A slide belongs to its file: sets drawn from two seeds number their slides alike.
    """
    rows: list[FrameRow] = []
    for path in paths:
        for line, result in enumerate(read_rows(path), 2):
            try:
                row = frame_of(result)
                rows.append(replace(row, slide=f"{path}:{row.slide}"))
            except (TypeError, ValueError) as error:
                raise ConfigError(f"{path}:{line}: {error}") from error
    return rows


def best_of(row: FrameRow, k: int) -> FrameRow:
    """The frame as if only its `k` best patches had been measured, as a latency budget has it; not
    levelled, because rows do not tell where patches lie. k < row.k."""
    patches = row.patches
    best = replace(
        patches,
        defocus_um=patches.defocus_um[:k],
        spread_um=patches.spread_um[:k],
        importance=patches.importance[:k],
        cells=patches.cells[:k],
        left_out=row.k - k,
    )
    found_um, between_um = median_and_spread(best)
    return replace(
        row,
        k=k,
        error_um=abs(found_um - row.true_um),
        found_um=found_um,
        network_um=median(best.spread_um.tolist()),
        between_um=between_um,
        importance=float(best.importance.astype(np.float64).mean()),
        patches=best,
    )


def split(
    rows: Sequence[FrameRow], turns: Sequence[int], seed: int = 0
) -> tuple[list[FrameRow], ...]:
    """The rows dealt out by slide, never by frame; parts 0..max(turns).

    Within each condition and group the slides are shuffled and take `turns` in turn: (0, 1) are
    halves, (0, 0, 1) two thirds and one.
    """
    group_of = {(row.condition, row.slide): row.group for row in reversed(rows)}
    slides: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for slide in dict.fromkeys((row.condition, row.slide) for row in rows):
        slides.setdefault((slide[0], group_of[slide]), []).append(slide)
    part: dict[tuple[str, str], int] = {}
    for number, stratum in enumerate(sorted(slides)):
        order = np.random.default_rng([seed, number]).permutation(len(slides[stratum]))
        # each stratum starts at another turn, else small ones would all miss the same part
        part |= {slides[stratum][i]: turns[(n + number) % len(turns)] for n, i in enumerate(order)}
    return tuple(
        [row for row in rows if part[row.condition, row.slide] == wanted]
        for wanted in range(max(turns) + 1)
    )


def slide_numbers(rows: Sequence[FrameRow]) -> npt.NDArray[np.int64]:
    """(n,) a number per slide; slides of different conditions are different slides."""
    names = {name: i for i, name in enumerate(dict.fromkeys((r.condition, r.slide) for r in rows))}
    return np.array([names[r.condition, r.slide] for r in rows], np.int64)


def k_keys(rows: Sequence[FrameRow], least_slides: int) -> tuple[int, ...]:
    """Numbers of patches that get an entry of their own: from each key to below the next there
    are at least so many slides. A class with too few joins the next larger k, the largest the
    next smaller; one, two and three patches part where there is plenty of each."""
    keys: list[int] = []
    start = CLASSES[0]
    for high in (*CLASSES[1:], 1 << 30):
        if _slides(rows, start, high) >= least_slides:
            keys.append(start)
            start = high
    keys = keys or [1]
    if keys[1:2] == [9] and all(_slides(rows, k, k + 1) >= PLENTY * least_slides for k in FEW):
        keys[:1] = FEW
    return tuple(keys)


def slides_of(rows: Iterable[FrameRow]) -> int:
    """How many slides they come from."""
    return len({(row.condition, row.slide) for row in rows})


def _slides(rows: Sequence[FrameRow], low: int, high: int) -> int:
    return slides_of(row for row in rows if low <= row.k < high)


def frame_of(result: FrameResult) -> FrameRow:
    """Of one frame, as measured or as read."""
    k, error_um = result.k, result.error_um
    importance = _floats(result, "patch_importance", (k,))
    known = {name: getattr(result, name) is not None and k > 0 for name in ("optics", "novelty")}
    patches = PatchDefocus(
        _floats(result, "patch_defocus_um", (k,)), _floats(result, "patch_spread_um", (k,)),
        importance, tuple((0, 0) for _ in range(k)), Sparsity.DENSE, True,
        _floats(result, "optics", (k, 4)) if known["optics"] else None,
        _floats(result, "novelty", (k,)) if known["novelty"] else None,
    )  # fmt: skip
    return FrameRow(
        condition=result.condition,
        group=result.group,
        slide=result.slide,
        k=k,
        error_um=math.nan if error_um is None else abs(error_um),
        found_um=_number(result.found_um),
        network_um=_number(result.network_um),
        between_um=_number(result.between_um),
        importance=float(importance.astype(np.float64).mean()) if k else math.nan,
        patches=patches,
        photometry={n: _number(value) for n, value in (result.photometry or {}).items()},
        true_um=_number(result.true_um),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _floats(result: FrameResult, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    if shape[0] == 0:
        return np.empty(shape, np.float32)
    values = np.array(getattr(result, name), np.float32)
    if values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, not {shape}")
    return values
