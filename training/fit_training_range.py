"""The bounds of the training range: narrow enough to see foreign optics, wide enough to stay quiet.

Two kinds of features. Light and colour come first: their bounds are the whole range of the
calibration frames, widened by what training varied on top of it, so they hardly ever alarm
inside. The witnesses of the DPN (spherical aberration, axial colour, novelty) share the false
alarms that are left: how wide each is against the others, or whether it is of any use, is searched
for where frames with foreign optics are known too, and the common scale is cross-conformal as in
`fit_interval`: each half of the slides is judged by a shape that was searched on the other half, so
that a frame of a new slide inside the range alarms with 1 % at most; per number of patches where
there are slides enough for that.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.measure.photometry import PHOTOMETRY
from edge.measure.training_range import (
    ACTIONS,
    COMBINE,
    NOVELTY,
    OPTICS,
    WORST,
    DomainShift,
    TrainingRange,
    features,
)
from training.augment import BRIGHTNESS, CONTRAST, SATURATION
from training.conformal import F64, Slides, slide_quantile
from training.frame_rows import FrameRow, k_keys, slide_numbers

FALSE = 0.008  # below 1 %: few patches at the corners of the range must keep that too
UNEVEN = 0.02  # in one condition alone: of few slides the worst 1 % is one frame
WITNESSES = (*OPTICS, NOVELTY)
LEFT_OUT = 1e3  # a witness that only costs false alarms
SLACKS = (1.0, 1.2, 1.5, 2.0, LEFT_OUT)  # half-widths that the search tries, before the scale
PER_SD = (0.0, 1.0, 2.0, 3.0)
NARROWEST = 0.02  # half-width in waves or um: finer than the estimates are
LEAST_SLIDES = 300  # per entry: three times what a promise of 1 % needs to be more than the worst
#: what training varies on top of a slide (training.augment): factor at the lower and upper end
AUGMENTED = {
    "background": BRIGHTNESS,
    "colour": SATURATION,
    "contrast": CONTRAST,
    "saturated": (1.0, 2.0),
    "black": (1.0, 2.0),
}
BALANCE = SATURATION[1]  # saturation widens both colour balances about grey
LEAST_SHARE = 0.05  # of burnt-out or black values that is never an alarm
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Witnesses:
    """The witnesses of frames: feature -> value and standard deviation, (n,), NaN if unknown."""

    value: Mapping[str, F64]
    sd: Mapping[str, F64]
    slides: Slides
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Shape:
    """Middle, half-width and per_sd of each witness; the middle of novelty is 0."""

    middle: Mapping[str, float]
    half: Mapping[str, float]
    per_sd: Mapping[str, float]

    def scores(self, witnesses: _Witnesses) -> Mapping[str, F64]:
        """(n,) per witness, as `Bound.score` gives them."""
        return {
            name: np.abs(witnesses.value[name] - self.middle[name])
            / (half + self.per_sd[name] * witnesses.sd[name])
            for name, half in self.half.items()
        }


@dataclass(frozen=True, slots=True)
class TrainingRangeFit:
    """calibration.envelope of a manifest, and remarks for a person."""

    training_range: Json
    remarks: tuple[str, ...]


def fit_training_range(
    inside: tuple[Sequence[FrameRow], Sequence[FrameRow]],
    outside: Sequence[FrameRow],
    action: str = "warn",
) -> TrainingRangeFit:
    """From frames inside the range, in two halves that share no slide, and frames outside.

    Without frames outside nothing is searched for: all witnesses are equally wide. ValueError
    when no frame inside has patches.
    """
    if action not in ACTIONS:
        raise ValueError(f"action {action!r} is none of {ACTIONS}")
    halves = [[row for row in half if row.k] for half in inside]
    if not all(halves):
        raise ValueError("there are no frames inside the range with patches in them")
    both = [*halves[0], *halves[1]]
    away = [row for row in outside if row.k]
    keys = k_keys(both, LEAST_SLIDES)
    bounds: dict[str, Any] = _light([*inside[0], *inside[1]])
    remarks: list[str] = []
    tried = {combine: _search(combine, keys, both, away) for combine in COMBINE}
    combine = max(COMBINE, key=lambda name: tried[name][0])
    searched = [_search(combine, keys, half, away)[1] for half in halves]
    for low, high in _spans(keys):
        shape = tried[combine][1][low]
        if not shape.half:
            continue
        witnesses = [
            _witnesses_of([row for row in half if low <= row.k < high], combine) for half in halves
        ]
        strange = [
            _stacked(other[low], part).max(axis=0)
            for other, part in zip(searched[::-1], witnesses, strict=True)
        ]
        factor, remark = _limit(np.concatenate(strange), _joined(*witnesses))
        remarks += [f"k >= {low}: {remark}"] if remark else []
        for name, entry in _entries(shape, factor).items():
            bounds.setdefault(name, {})[str(low)] = entry
    if not bounds:
        raise ValueError("the rows have neither photometry nor optics nor novelty")
    return TrainingRangeFit(
        {"action": action, "combine": combine, "bounds": bounds}, tuple(remarks)
    )


def judge(training_range: TrainingRange, rows: Sequence[FrameRow]) -> list[DomainShift | None]:
    """What the runtime would say of each row."""
    return [
        training_range.judge(features(row.photometry, row.patches, training_range.combine), row.k)
        for row in rows
    ]


def _light(rows: Sequence[FrameRow]) -> dict[str, Any]:
    known = [row.photometry for row in rows if row.photometry]
    bounds: dict[str, Any] = {}
    for name in PHOTOMETRY if known else ():
        values = [photometry[name] for photometry in known]
        low, high = min(values), max(values)
        if name in ("saturated", "black"):
            bounds[name] = round(max(LEAST_SHARE, AUGMENTED[name][1] * high), 4)
            continue
        if name in AUGMENTED:
            low, high = low * AUGMENTED[name][0], high * AUGMENTED[name][1]
        else:
            low, high = min(low, BALANCE * low), max(high, BALANCE * high)
        pad = 0.01 * max(abs(low), abs(high)) + 1e-3
        bounds[name] = [round(low - pad, 4), round(high + pad, 4)]
    return bounds


def _spans(keys: Sequence[int]) -> list[tuple[int, int]]:
    """From each key to below the next; the first also takes what is below it."""
    return list(zip(keys, (*keys[1:], 1 << 30), strict=True))


def _search(
    combine: str, keys: Sequence[int], inside: Sequence[FrameRow], outside: Sequence[FrameRow]
) -> tuple[float, dict[int, _Shape]]:
    """The best shape per number of patches, and the least detection that any of them reaches."""
    worst, shapes = math.inf, {}
    for low, high in _spans(keys):
        here = _witnesses_of([row for row in inside if low <= row.k < high], combine)
        away = _witnesses_of([row for row in outside if low <= row.k < high], combine)
        tried = [_best(here, away, per_sd) for per_sd in PER_SD]
        best, shapes[low] = max(tried, key=lambda each: each[0])
        worst = min(worst, best)
    return worst, shapes


def _best(inside: _Witnesses, outside: _Witnesses, per_sd: float) -> tuple[float, _Shape]:
    plain = _shape(inside, per_sd)
    names = list(plain.half)
    if not names or not outside.conditions:
        return -1.0, plain
    here, away = _stacked(plain, inside), _stacked(plain, outside)
    conditions = np.array(outside.conditions, object)
    each_condition = [conditions == name for name in sorted(set(outside.conditions))]
    best, best_slack, best_limit = -1.0, np.ones(len(names)), 1.0
    for slacks in itertools.product(SLACKS, repeat=len(names)):
        if min(slacks) > 1.0:
            continue  # only the ratios count
        slack = np.array(slacks)[:, None]
        limit, _ = _limit((here / slack).max(axis=0), inside)
        rings = (away / slack).max(axis=0) > limit
        shares = [float(rings[mine].mean()) for mine in each_condition]
        value = float(np.mean(shares))  # not the least: one condition may be beyond sight
        if value > best:
            best, best_slack, best_limit = value, slack[:, 0], limit
    kept = best_slack < LEFT_OUT
    # so wide that its own slides stay inside: shapes of different slides can be compared
    factor = {n: f * best_limit for n, f, k in zip(names, best_slack, kept, strict=True) if k}
    half = {name: each * plain.half[name] for name, each in factor.items()}
    widen = {name: each * plain.per_sd[name] for name, each in factor.items()}
    return best, _Shape(plain.middle, half, widen)


def _stacked(shape: _Shape, witnesses: _Witnesses) -> F64:
    return np.array(list(shape.scores(witnesses).values()))


def _shape(witnesses: _Witnesses, per_sd: float) -> _Shape:
    """Each witness as wide as its own 99 % of the frames inside need."""
    middle, half = {}, {}
    for name, values in witnesses.value.items():
        if not len(values) or np.isnan(values).any():
            continue
        low = slide_quantile(values, witnesses.slides, FALSE / 2, new=0)
        high = slide_quantile(values, witnesses.slides, 1 - FALSE / 2, new=0)
        middle[name] = 0.0 if name == NOVELTY else (low + high) / 2
        reach = np.abs(values - middle[name]) - per_sd * witnesses.sd[name]
        half[name] = max(slide_quantile(reach, witnesses.slides, 1 - FALSE, new=0), NARROWEST)
    return _Shape(middle, half, dict.fromkeys(half, per_sd))


def _limit(score: F64, witnesses: _Witnesses) -> tuple[float, str]:
    """The score that 1 % of a new slide's frames exceed, and 2 % of every condition's seen."""
    conditions = np.array(witnesses.conditions, object)
    plain = [
        slide_quantile(
            score[conditions == name], witnesses.slides[conditions == name], 1 - UNEVEN, new=0
        )
        for name in sorted(set(conditions))
    ]
    promised = slide_quantile(score, witnesses.slides, 1 - FALSE)
    if math.isfinite(promised):
        return max(promised, *plain), ""
    slides = len(np.unique(witnesses.slides))
    return float(score.max()), f"{slides} slides, 100 are needed for 1 %: the worst frame is inside"


def _joined(one: _Witnesses, other: _Witnesses) -> _Witnesses:
    """Two parts that share no slide."""
    return _Witnesses(
        {name: np.append(each, other.value[name]) for name, each in one.value.items()},
        {name: np.append(each, other.sd[name]) for name, each in one.sd.items()},
        np.append(one.slides, other.slides + 1 + max(one.slides, default=0)),
        (*one.conditions, *other.conditions),
    )


def _entries(shape: _Shape, factor: float) -> dict[str, Any]:
    """The bounds as a manifest writes them, all half-widths times `factor`."""
    entries: dict[str, Any] = {}
    for name, half in shape.half.items():
        middle, reach = shape.middle[name], max(half * factor, 1 / WORST)
        if name == NOVELTY:
            entries[name] = _up(reach)
        else:
            widen = shape.per_sd[name] * factor
            entries[name] = [-_up(reach - middle), _up(middle + reach), _up(widen)]
    return entries


def _up(value: float) -> float:
    """To four digits, upwards: rounding must not put the frame at the bound outside."""
    return math.ceil(value * 1e4) / 1e4


def _witnesses_of(rows: Sequence[FrameRow], combine: str) -> _Witnesses:
    witnesses = [features({}, row.patches, combine) for row in rows]
    unknown = (math.nan, math.nan)
    table = {name: np.array([each.get(name, unknown) for each in witnesses]) for name in WITNESSES}
    value, sd = ({n: t.reshape(-1, 2)[:, i] for n, t in table.items()} for i in (0, 1))
    return _Witnesses(value, sd, slide_numbers(rows), tuple(row.condition for row in rows))
