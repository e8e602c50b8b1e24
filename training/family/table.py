"""What the frames of a row say, all together and by group: errors in um, in nominal um and in
depths of focus, and whether the answers deserve belief."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from edge.appliance.frame_result import FrameResult
from edge.decide.evidence import Change
from edge.decide.reading_scale import LEAST_TRAVEL_UM, ReadingScale
from training.family.frames import Measured
from training.family.instruments import Row

ALL = "all"
CLEAR_UNITS = 1.6  # nearer, a wrong direction does no harm
WRONG_UNITS, WRONG_INTERVALS = 1.0, 3.0  # off by more than both, and not held: confidently wrong
AFTER = 0.5  # a look after a move is at most so far from focus as the look before, times this


@dataclass(frozen=True, slots=True)
class Cell:
    """One group of one row; shares 0 to 1, lengths um, None where there is nothing to say.

    `after_move`: nominal um of error where a first look and the look after one move of that slide
    tell the scale (edge.decide.reading_scale); `interval_scale`: share of answers inside of the
    interval that the loop tells while nothing is known of the scale. `alarm_auc`: how well the
    alarm's score tells answers outside their interval from those inside.
    """

    row: str
    group: str
    slides: int
    frames: int
    answered: float
    mean_um: float | None
    mean_nominal: float | None
    median_nominal: float | None
    mean_depths: float | None
    direction: float | None
    coverage: float | None
    interval_scale: float | None
    wrong: float | None
    slope: float | None
    after_move: float | None
    after_coverage: float | None
    alarms: float | None
    alarm_auc: float | None

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return asdict(self)


def cells(measured: Measured) -> list[Cell]:
    """All groups together, then each."""
    scored = [frame for frame in measured.frames if frame.scored]
    groups = list(dict.fromkeys(frame.group for frame in scored))
    return [
        cell(measured.row, name, [f for f in scored if name in (ALL, f.group)])
        for name in (ALL, *groups)
    ]


def cell(row: Row, group: str, frames: Sequence[FrameResult]) -> Cell:
    """The numbers of some frames of one row."""
    unit = row.unit
    known = [f for f in frames if f.error_um is not None]
    true = _column(known, lambda f: f.true_um)
    readings = _column(known, lambda f: f.found_um)
    half = _column(known, lambda f: f.interval_um)
    size = np.abs(readings - true)
    held = np.array([f.decision == "HOLD" for f in known], bool)
    wrong = (size > WRONG_UNITS * unit) & (size > WRONG_INTERVALS * half) & ~held
    clear = np.abs(true) > CLEAR_UNITS * unit
    unknown = ReadingScale(unit=unit).summary
    wide = np.array([unknown.interval_um(d, h) for d, h in zip(readings, half, strict=True)])
    after, inside = after_one_move(row, known)
    alarms = [bool(f.shift_alarm) for f in frames if f.shift_alarm is not None]
    scores = _column(known, lambda f: 0.0 if f.shift is None else f.shift)
    return Cell(
        row=row.name,
        group=group,
        slides=len({f.slide for f in frames}),
        frames=len(frames),
        answered=len(known) / max(len(frames), 1),
        mean_um=_mean(size),
        mean_nominal=_mean(size / unit),
        median_nominal=float(np.median(size)) / unit if len(size) else None,
        mean_depths=_mean(size / row.objective.depth_of_field_um),
        direction=_mean(true[clear] * readings[clear] > 0),
        coverage=_mean(size <= half),
        interval_scale=_mean(size <= wide),
        wrong=_mean(wrong),
        slope=_slope(true[clear], readings[clear]),
        after_move=_mean(np.array(after)),
        after_coverage=_mean(np.array(inside)),
        alarms=_mean(np.array(alarms, float)),
        alarm_auc=area_under_curve(scores, size > half),
    )


def after_one_move(row: Row, known: Sequence[FrameResult]) -> tuple[list[float], list[bool]]:
    """Of each pair of looks at one slide, the second as near to focus as a move brings it: error
    (nominal um) of the second once the pair told the scale, and whether its interval holds it."""
    errors: list[float] = []
    inside: list[bool] = []
    for slide in dict.fromkeys(f.slide for f in known):
        looks = [f for f in known if f.slide == slide]
        for first in looks:
            for second in looks:
                error = _after(row, first, second)
                if error is not None:
                    errors.append(error[0])
                    inside.append(error[1])
    return errors, inside


def _after(row: Row, first: FrameResult, second: FrameResult) -> tuple[float, bool] | None:
    values = [first.true_um, first.found_um, first.interval_um, first.z_um,
              second.true_um, second.found_um, second.interval_um, second.z_um]  # fmt: skip
    if any(value is None for value in values):
        return None
    far, read, half, z0, near, again, half_again, z1 = (float(v or 0.0) for v in values)
    travel = abs(z1 - z0)
    if travel < LEAST_TRAVEL_UM * row.unit or abs(near) > AFTER * abs(far):
        return None
    scale = ReadingScale(unit=row.unit)
    right = (read - again) * (1.0 if z1 > z0 else -1.0)
    scale.learn(Change(travel, right, float(np.hypot(half, half_again))), 0.0)
    error = abs(again / scale.value - near)
    return error / row.unit, error <= scale.summary.interval_um(again, half_again)


def area_under_curve(scores: Any, bad: Any) -> float | None:
    """How often a bad one's score is above a good one's; None without both."""
    scores, bad = np.asarray(scores, float), np.asarray(bad, bool)
    ours, others = scores[bad], scores[~bad]
    if not len(ours) or not len(others):
        return None
    above = (ours[:, None] > others[None, :]).mean()
    return float(above + 0.5 * (ours[:, None] == others[None, :]).mean())


def _column(frames: Sequence[FrameResult], value: Callable[[FrameResult], Any]) -> Any:
    return np.array([value(frame) for frame in frames], np.float64)


def _mean(values: Any) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _slope(true: Any, read: Any) -> float | None:
    """um told for each um, robustly: the median of the ratios."""
    return float(np.median(read / true)) if len(true) else None
