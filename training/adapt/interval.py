"""The interval and the training range of adapted models, from stacks that did not teach.

A handful of stacks is far below what `training.calibrate` asks for, so nothing is shaped here: the
interval keeps the shipped form, made wider by one factor, the largest that any kept stack needs for
95 % of its frames, but at most twice what all of them together need: of a stack of a few planes its
single worst frame says how wide. The training range holds every kept frame, novelty half as much
again, and the light and colours that the shipped models were trained on besides: tuning varies them
in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge.appliance.frame_result import FrameResult
from edge.measure.interval import IntervalModel
from edge.measure.photometry import PHOTOMETRY
from training.adapt.material import AdaptRefused
from training.fit_interval import LEVEL, as_json, intervals
from training.fit_training_range import fit_training_range
from training.frame_rows import FrameRow, frame_of

NOVELTY_ROOM = 1.5
LEAST = 0.5  # of the factor: few frames may all be good ones
MOST = 2.0  # times what the kept frames need together: a wider interval holds moves for nothing


def fit_few(
    results: Sequence[FrameResult], shipped: IntervalModel, photometry: Mapping[str, Any]
) -> dict[str, Any]:
    """calibration of a DPN's manifest; `photometry`: the shipped range's bounds. AdaptRefused when
    no kept frame has an answer."""
    rows = [frame_of(result) for result in results]
    known = [
        (result.stack_id, row) for result, row in zip(results, rows, strict=True) if row.answered
    ]
    if not known:
        raise AdaptRefused(
            f"none of {len(rows)} planes that did not teach has an answer: the interval cannot be "
            "told; more planes or more stacks"
        )
    stacks, answered = np.array([name for name, _ in known]), [row for _, row in known]
    plain = replace(shipped, least_um=0.0)
    ratio = np.array([row.error_um for row in answered]) / np.maximum(
        intervals(answered, plain), 1e-3
    )
    worst = max(_upper(ratio[stacks == name]) for name in dict.fromkeys(stacks.tolist()))
    worst = min(worst, MOST * _upper(ratio))
    factors = tuple((k, round(max(worst, LEAST) * factor, 4)) for k, factor in shipped.factors)
    calibration = replace(shipped, factors=factors)
    return {"interval": as_json(calibration), "envelope": _training_range(rows, photometry)}


def _upper(ratios: Any) -> float:
    """The least that 95 % of a stack's frames do not exceed; one more is counted as the worst."""
    at = math.ceil((len(ratios) + 1) * LEVEL) - 1
    return float(np.sort(ratios)[min(at, len(ratios) - 1)])


def _training_range(rows: Sequence[FrameRow], photometry: Mapping[str, Any]) -> dict[str, Any]:
    # the optics were not tuned: what they say of another instrument means nothing
    bare = [replace(row, patches=replace(row.patches, optics=None)) for row in rows if row.k]
    halves = (bare[::2], bare[1::2]) if len(bare) > 1 else (bare, bare)
    training_range = fit_training_range(halves, ()).training_range
    bounds = training_range["bounds"]
    if novelty := bounds.get("novelty"):
        bounds["novelty"] = {k: round(NOVELTY_ROOM * v, 4) for k, v in novelty.items()}
    for name in bounds.keys() & photometry.keys() & set(PHOTOMETRY):
        bounds[name] = _wider(bounds[name], photometry[name])
    return training_range


def _wider(one: Any, other: Any) -> Any:
    """The hull of two bounds [low, high], or the higher of two that are only high."""
    if isinstance(one, list) and isinstance(other, list):
        return [min(one[0], other[0]), max(one[1], other[1])]
    return max(one, other)
