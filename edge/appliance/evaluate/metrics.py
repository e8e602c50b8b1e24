"""The paper's metrics on measured frames, and what it leaves out: intervals, silence, false moves.

MAE, DoF accuracy and direction are those of the paper (section 2.2, Eq. 1, 2, 4). A frame
without an estimate has no error; it is counted as unanswered and never dropped.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from edge.appliance.evaluate.bootstrap import F64, RESAMPLES, Mask, Range, SlideBootstrap
from edge.appliance.frame_result import FrameResult
from edge.decide.conduct import NEAR_UM

#: the paper's depth of field: its error tables invert to |error| < 0.63 um for "1 DoF"
PAPER_DOF_UM = 0.63
#: DoF accuracy at 1/n of the depth of field
PARTS = {"": 1, "_half": 2, "_third": 3}
#: below this a wrong direction does no harm, and the truth itself may be on the other side
CLEAR_UM = 1.0
DISTANCES_UM = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
ALL = "all"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table: shares in 0..1, lengths in um, and their 95 % ranges over slides."""

    condition: str
    group: str
    distance: str  # "all" or "5-10": um between the objective and best focus
    frames: int
    slides: int
    answered: int
    values: Mapping[str, float | None]
    ranges: Mapping[str, Range | None]
    reasons: Mapping[str, int] = field(default_factory=dict)  # why frames were not answered

    def as_json(self) -> dict[str, Any]:
        """The line as plain JSON: every value, its range as `<name>_95`."""
        names = ("condition", "group", "distance", "frames", "slides", "answered")
        out: dict[str, Any] = {name: getattr(self, name) for name in names}
        for name, value in self.values.items():
            out[name] = value
            if name in self.ranges:
                bounds = self.ranges[name]
                out[f"{name}_95"] = None if bounds is None else list(bounds)
        return {**out, "reasons": dict(self.reasons)}


def direction_right(true_um: F64, found_um: F64) -> Mask:
    """Eq. 4 by its text: where the frame is in focus already (true 0) either answer is right;
    elsewhere the signs must agree, and an answer of exactly 0 names no direction."""
    return np.asarray((true_um == 0.0) | (true_um * found_um > 0.0), np.bool_)


def distance_of(true_um: float) -> str:
    """The 5 um bin of a distance from focus: "0-5" holds 0 and not 5; 25 itself is in the last."""
    far = abs(true_um)
    for low, high in itertools.pairwise(DISTANCES_UM):
        if low <= far < high or far == high == DISTANCES_UM[-1]:
            return f"{low:g}-{high:g}"
    return f">{DISTANCES_UM[-1]:g}"


def tables(
    rows: Iterable[FrameResult], dof_um: float, resamples: int = RESAMPLES, seed: int = 0
) -> list[Line]:
    """Every line: per condition all groups together and each group, all distances and each."""
    lines = []
    scored = [row for row in rows if row.scored]
    for condition, mine in _by(scored, lambda row: row.condition).items():
        for group, some in {ALL: mine, **_by(mine, lambda row: row.group)}.items():
            near = _by(some, lambda row: distance_of(row.true_um or 0.0))
            for distance in (ALL, *sorted(near, key=start_of)):
                part = some if distance == ALL else near[distance]
                lines.append(_line((condition, group, distance), part, dof_um, resamples, seed))
    return lines


def start_of(distance: str) -> float:
    """Where a bin of `distance_of` begins, to sort by."""
    return float(distance.lstrip(">").split("-")[0]) + distance.startswith(">")


def _by(rows: Iterable[FrameResult], key: Any) -> dict[str, list[FrameResult]]:
    parts: dict[str, list[FrameResult]] = {}
    for row in rows:
        parts.setdefault(key(row), []).append(row)
    return parts


def _column(rows: Sequence[FrameResult], name: str) -> F64:
    return np.array([np.nan if (v := getattr(r, name)) is None else v for r in rows], np.float64)


def _line(
    key: tuple[str, str, str], rows: Sequence[FrameResult], dof_um: float, resamples: int, seed: int
) -> Line:
    true, answer = _column(rows, "true_um"), _column(rows, "found_um")
    half, size = _column(rows, "interval_um"), np.abs(answer - true)
    known = np.isfinite(size)
    every = np.ones(len(rows), bool)
    moves = np.array([row.moves for row in rows], bool)
    shares: dict[str, tuple[Mask, Mask]] = {
        "answered_share": (known, every),
        "dss": (direction_right(true, answer), known),
        "direction": (direction_right(true, answer), known & (np.abs(true) >= CLEAR_UM)),
        "coverage": (size <= half, known),
        # within it a specimen's phase and softness look like defocus
        "coverage_near": (size <= half, known & (np.abs(true) < NEAR_UM)),
        "moves": (moves, every),
        "worse": (size > np.abs(true), known & moves),
        "alarms": (_column(rows, "shift_alarm") == 1.0, np.isfinite(_column(rows, "shift_alarm"))),
    }
    for name, part in PARTS.items():
        shares[f"dof{name}"] = (size < dof_um / part, known)
        shares[f"dof{name}_of_all"] = (size < dof_um / part, every)
        shares[f"paper_dof{name}"] = (size < PAPER_DOF_UM / part, known)
    means = {"mae_um": size, "bias_um": answer - true}
    quantiles = {"median_um": (size, 0.5), "p95_um": (size, 0.95), "interval_um": (half, 0.5)}
    sharpness = _column(rows, "sharpness")
    sharp = {"sharpness": 0.5, "sharpness_p10": 0.1}
    drawn = SlideBootstrap([row.slide for row in rows], resamples, seed)
    values: dict[str, float | None] = {"sd_um": _over(np.std, size[known])}
    ranges: dict[str, Range | None] = {}
    for name, (is_true, counted) in shares.items():
        values[name] = _over(np.mean, is_true[counted])
        ranges[name] = drawn.share(is_true, counted)
    for name, value in means.items():
        values[name], ranges[name] = _over(np.mean, value[known]), drawn.mean(value, known)
    for name, (value, q) in quantiles.items():
        values[name] = _over(partial(np.quantile, q=q), value[known])
        ranges[name] = drawn.quantile(value, known, q)
    finite = np.isfinite(sharpness)
    for name, q in sharp.items():
        values[name] = _over(partial(np.quantile, q=q), sharpness[finite])
        ranges[name] = drawn.quantile(sharpness, finite, q)
    reasons = Counter(row.reason for row in rows if row.found_um is None)
    return Line(*key, len(rows), drawn.slides, int(known.sum()), values, ranges, reasons)


def _over(statistic: Callable[..., Any], values: F64 | Mask) -> float | None:
    return float(statistic(values)) if len(values) else None


@dataclass(frozen=True, slots=True)
class BlankLine:
    """Fields with nothing to focus on: every move there is a false one."""

    condition: str
    group: str
    frames: int
    slides: int
    answered: int
    false_moves: int
    share: float
    share_95: Range | None
    largest_um: float | None  # |defocus| of the largest false move


def blanks(
    rows: Iterable[FrameResult], resamples: int = RESAMPLES, seed: int = 0
) -> list[BlankLine]:
    """False moves per condition and group of frames without content."""
    lines = []
    for condition, mine in _by((r for r in rows if r.blank), lambda row: row.condition).items():
        for group, some in _by(mine, lambda row: row.group).items():
            moved = np.array([row.moves for row in some], bool)
            drawn = SlideBootstrap([row.slide for row in some], resamples, seed)
            span = drawn.share(moved, np.ones(len(some), bool))
            sizes = [abs(r.found_um) for r in some if r.moves and r.found_um is not None]
            answered = sum(row.found_um is not None for row in some)
            lines.append(
                BlankLine(condition, group, len(some), drawn.slides, answered, int(moved.sum()),
                          float(moved.mean()), span, max(sizes, default=None))
            )  # fmt: skip
    return lines


def worst(rows: Iterable[FrameResult], count: int = 10) -> list[FrameResult]:
    """The scored frames with the largest errors, worst first."""
    known = [row for row in rows if row.scored and row.error_um is not None]
    return sorted(known, key=lambda row: -abs(row.error_um or 0.0))[:count]
