"""The coefficients of the interval: a shape from one set of slides, its factors from another.

The shape is `edge.measure.interval.IntervalModel.interval_um`. It is fitted as the 95 % quantile of
the error given what is known at run time, by quantile regression on log |error| (so that near and
far, sure and vague frames count alike), and leaned towards equal coverage in every group and
condition, which are not known at run time, but here they are, and near and far. Few, more and 31
patches have coefficients of their own where there are slides enough: many that agree say more than
the network's own spread, few do not. Its factors per number of patches are conformal: each fifth of
the slides is judged by an interval fitted on the others, and the interval fitted on all is made as
much wider as that showed (cross-conformal, Vovk 2015: no slide judges itself, none is wasted).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from edge.measure.by_patches import ByPatches, NumberByPatches, value_for
from edge.measure.interval import IntervalModel, interval_logs
from training.conformal import F64, slide_quantile, weights
from training.frame_rows import CLASSES, FrameRow, k_keys, slide_numbers, slides_of, split

LEVEL = 0.95
EXPONENTS = ("network", "patches", "distance", "importance", "colour", "background")
DENSE_ONLY = ("colour", "background")  # of dense frames alone
DOUBT = ("network", "patches", "importance", "background")  # never narrow an interval
GREATEST = 4.0  # size of an exponent
#: steeper, coefficients drawn from far frames makes those in focus unreadable; above 0, too narrow
DISTANCE = (-0.4, 0.0)
#: a network that is not sure of what it says widens every interval, also where the slides at hand
#: are as well explained without: of strange ones it may be all that tells
NETWORK = (0.25, GREATEST)
SLIDES_EACH = 250  # per k: seven numbers, evened over a dozen groups and conditions
BANDS_UM = (3.0, 10.0)  # of |found|, near, between and far
EVENED_SLIDES = 15  # a group of fewer is chance
LEAST_SLIDES = 40  # per factor: twice what its quantile needs to exist
MANY_SLIDES = 400  # so many tell an interval that is too wide, too
PARTS = 5  # of the slides; of halves the coefficients would be fitted on fewer than what ships
REPEATS = 9  # ways to deal them, of which the median counts
LEAST_UM = 1e-3  # errors below are as good as this one
EVEN = 300.0  # how strongly unequal coverage of the groups counts
SOFT, BLUR = 0.02, 0.1  # of the pinball's edge and of being covered, in log um
CALM = 1e-3  # what a large exponent costs
LEAST_SPREAD = 0.05  # of a logarithm; one that hardly varies explains nothing


def fit_interval(
    fit: Sequence[FrameRow],
    conform: Sequence[FrameRow],
    start: IntervalModel,
    keep_shape: bool = False,
) -> IntervalModel:
    """Fitted on two halves that share no slide; what is not fitted stays as in `start`.

    `keep_shape`: the default shape, and only the factors from both. ValueError when either half
    has too few slides with estimates.
    """
    if keep_shape:
        plain = IntervalModel(start.range_um)
        both = _answered([*fit, *conform], "conformal")
        return dataclasses.replace(plain, factors=factors(both, plain))
    both = [*_answered(fit, "fit"), *_answered(conform, "conformal")]
    whole = _fitted(both, start)
    wider = [_wider(split(both, range(PARTS), seed), start) for seed in range(REPEATS)]
    # of few slides never narrower: that would be luck
    least = 0.0 if slides_of(both) >= MANY_SLIDES else 1.0
    candidates = tuple(
        (k, round(factor * max(least, float(np.median([value_for(each, k) for each in wider]))), 4))
        for k, factor in whole.factors
    )
    return dataclasses.replace(whole, factors=candidates)


def _wider(parts: Sequence[Sequence[FrameRow]], start: IntervalModel) -> ByPatches[float]:
    """By how much each part's errors exceed what was fitted on the others, by number of patches."""
    strange = []
    for rows in parts:
        others = [row for part in parts if part is not rows for row in part]
        strange.append(_ratios(rows, _fitted(others, start)))
    return _quantiles(np.concatenate(strange), [row for part in parts for row in part])


def _fitted(rows: Sequence[FrameRow], start: IntervalModel) -> IntervalModel:
    """Shape and factors from the same slides: right for them, too narrow for others."""
    shaped = shape(rows, start)
    return dataclasses.replace(shaped, factors=factors(rows, shaped))


def shape(rows: Sequence[FrameRow], start: IntervalModel) -> IntervalModel:
    """The exponents and the scale; the scale is only a first guess at the factors."""
    parts = [
        (low, [row for row in rows if low <= row.k < high])
        for low, high in pairwise((*CLASSES, 1 << 30))
    ]
    left_out: tuple[str, ...] = ()
    if any(slides_of(part) < SLIDES_EACH for _, part in parts):
        parts = [(CLASSES[0], list(rows))]
        if slides_of(rows) < SLIDES_EACH:  # what only dense frames tell would be chance
            left_out = DENSE_ONLY
    by_k = [(low, _coefficients(part, left_out)) for low, part in parts]
    names = ("scale_um", *EXPONENTS)
    by_name = {
        name: _by_k([(low, coefficients[name]) for low, coefficients in by_k]) for name in names
    }
    return dataclasses.replace(start, factors=((1, 1.0),), **by_name)


def _by_k(table: Sequence[tuple[int, float]]) -> Any:
    return table[0][1] if len(table) == 1 else tuple(table)


def _coefficients(rows: Sequence[FrameRow], left_out: Sequence[str] = ()) -> dict[str, float]:
    """Exponents and scale, the same for every k of `rows`; those of `left_out` are 0."""
    logs = _logs(rows)
    mean, unit = logs.mean(axis=0), np.maximum(logs.std(axis=0), LEAST_SPREAD)
    given = np.column_stack([(logs - mean) / unit, np.ones(len(rows))])
    error = np.log(np.maximum([row.error_um for row in rows], LEAST_UM))
    share, belongs = _group_shares(rows)

    def loss(parameters: F64) -> tuple[float, F64]:
        above = error - given @ parameters
        pinball = LEVEL * above + SOFT * np.logaddexp(0.0, -above / SOFT)
        inside = expit(-above / BLUR)
        uneven = belongs @ inside - LEVEL
        calm = parameters[:-1]
        value = share @ pinball + EVEN * (uneven**2).mean() + CALM * (calm**2).sum()
        slope = share * (LEVEL - expit(-above / SOFT))
        slope -= 2 * EVEN / len(uneven) * (uneven @ belongs) * inside * (1 - inside) / BLUR
        return float(value), -slope @ given + 2 * CALM * np.append(calm, 0.0)

    size = float(np.quantile(error, LEVEL))
    limits = {**dict.fromkeys(DOUBT, (0.0, GREATEST)), "network": NETWORK, "distance": DISTANCE}
    limits |= dict.fromkeys(left_out, (0.0, 0.0))
    signs = [limits.get(name, (-GREATEST, GREATEST)) for name in EXPONENTS]
    bounds = [(low * step, high * step) for (low, high), step in zip(signs, unit, strict=True)]
    free = [*bounds, (None, None)]

    def fall(begin: F64) -> Any:
        return minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=free)

    begins = [np.append(np.zeros(len(EXPONENTS)), size + more) for more in (-0.5, 0.0, 0.5)]
    best = min((fall(begin) for begin in begins), key=lambda result: float(result.fun)).x
    powers = best[:-1] / unit
    result = {name: round(float(p), 4) + 0.0 for name, p in zip(EXPONENTS, powers, strict=True)}
    scale_um = float(np.exp(best[-1] - powers @ mean))
    return {"scale_um": _rounded(scale_um), **result}


def factors(rows: Sequence[FrameRow], shaped: IntervalModel) -> ByPatches[float]:
    """One conformal factor per number of patches that has enough slides."""
    plain = dataclasses.replace(shaped, factors=((1, 1.0),))
    return _quantiles(_ratios(rows, plain), rows)


def _ratios(rows: Sequence[FrameRow], interval_model: IntervalModel) -> F64:
    """(n,) error over half-width, without the least half-width."""
    plain = dataclasses.replace(interval_model, least_um=0.0)
    return np.array([row.error_um for row in rows]) / np.maximum(intervals(rows, plain), LEAST_UM)


def _quantiles(ratios: F64, rows: Sequence[FrameRow]) -> ByPatches[float]:
    slides = slide_numbers(rows)
    keys = k_keys(rows, LEAST_SLIDES)
    quantiles = []
    for low, high in zip(keys, (*keys[1:], 1 << 30), strict=True):
        mine = np.array([low <= row.k < high for row in rows])
        quantiles.append((low, round(slide_quantile(ratios[mine], slides[mine], LEVEL), 4)))
    return tuple(quantiles)


def intervals(rows: Sequence[FrameRow], interval_model: IntervalModel) -> F64:
    """(n,) um: what the runtime would claim for each row."""
    return np.array(
        [
            interval_model.interval_um(
                r.found_um,
                r.network_um,
                r.between_um,
                r.k,
                r.importance,
                r.photometry,
                r.patches.left_out,
            )
            for r in rows
        ]
    )


def as_json(interval_model: IntervalModel) -> dict[str, object]:
    """calibration.interval of a manifest."""
    table = {str(k): factor for k, factor in interval_model.factors}
    names = ("scale_um", *EXPONENTS, "least_um")
    plain = {name: _plain(getattr(interval_model, name)) for name in names}
    if math.isfinite(interval_model.single_patch_um):  # not fitted, and not to be lost
        plain |= {
            name: getattr(interval_model, name)
            for name in ("single_patch_um", "single_patch_relative")
        }
    if interval_model.few_importance > 0.0:
        plain |= {name: getattr(interval_model, name) for name in ("few_importance", "few_um")}
    return {**plain, "factors": table}


def _plain(value: NumberByPatches) -> object:
    return value if isinstance(value, float) else {str(k): each for k, each in value}


def _answered(rows: Sequence[FrameRow], name: str) -> list[FrameRow]:
    chosen = [row for row in rows if row.answered]
    slides = slides_of(chosen)
    if slides < LEAST_SLIDES:
        raise ValueError(f"{slides} slides for the {name} part, {LEAST_SLIDES} are the least")
    return chosen


def _logs(rows: Sequence[FrameRow]) -> F64:
    """(n, exponents) what each exponent of EXPONENTS is multiplied by."""
    return np.array(
        [
            interval_logs(r.found_um, r.network_um, r.between_um, r.k, r.importance, r.photometry)
            for r in rows
        ]
    )


def _rounded(value: float) -> float:
    """Four significant digits."""
    return float(f"{value:.4g}")


def _group_shares(rows: Sequence[FrameRow]) -> tuple[F64, F64]:
    """Weight of each frame in the loss (n,), all groups, conditions and distances alike; and per
    group, condition and band of distance (each, n)."""
    weight = weights(slide_numbers(rows))
    kinds = [
        np.array([row.group for row in rows]),
        np.array([row.condition for row in rows]),
        np.digitize([abs(row.found_um) for row in rows], BANDS_UM),
    ]
    members = [names == name for names in kinds for name in dict.fromkeys(names.tolist())]
    slides = [slides_of(row for row, m in zip(rows, mine, strict=True) if m) for mine in members]
    least = min(EVENED_SLIDES, max(slides))
    belongs = np.stack(
        [
            np.where(mine, weight, 0.0)
            for mine, count in zip(members, slides, strict=True)
            if count >= least
        ]
    )
    belongs /= belongs.sum(axis=1, keepdims=True)
    return np.asarray(belongs.mean(axis=0)), belongs
