"""What models are worth on stacks, measured as the instrument would use them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.appliance.evaluate.examiner import Examiner
from edge.appliance.frame_result import FrameResult
from edge.images.zstack import Exposure, read_pixels
from edge.measure.importance import ClassRule
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import ModelSettings
from engines.manifest import Manifest
from training.adapt.material import CLEAR_UM, Stack


@dataclass(frozen=True, slots=True)
class Score:
    """Over frames. `left_um`: mean distance from focus after one shot, a frame without an answer
    staying where it is; `mae_um` of the answered; `direction` for |d| >= 1 um, of all frames;
    `coverage` of the 95 % interval; `alarms`: share of frames outside the training range. None
    where there is nothing to take the mean of."""

    frames: int
    answered: int
    away_um: float
    left_um: float
    mae_um: float | None
    direction: float | None
    coverage: float | None
    interval_um: float | None
    alarms: float | None


def examined(models: Path, stacks: Iterable[Stack]) -> list[FrameResult]:
    """Every plane of the stacks through the networks in `models`; truth is the stacks' labels."""
    optics = Manifest.read(models / "dpn.json").optics
    objective = Objective(optics.na, optics.magnification, optics.um_per_px)
    files = ModelSettings(rin=models / "rin.json", dpn=models / "dpn.json", backend="cpu")
    sensor, nets = build_sensor(files, objective, ClassRule())
    examiner = Examiner(sensor, objective)
    results = []
    try:
        for stack in stacks:
            for plane in stack.planes:
                results.append(examiner.examine(_known(stack, plane), read_pixels(plane), "stacks"))
    finally:
        for net in nets:
            net.close()
    return results


def _known(stack: Stack, plane: Exposure) -> Exposure:
    return replace(plane, focus_z_um=stack.labels.focus_um)


def score(results: Sequence[FrameResult]) -> Score:
    """See Score."""
    true = np.array([r.true_um for r in results], np.float64)
    answers = np.array([math.nan if r.found_um is None else r.found_um for r in results])
    half = np.array([math.nan if r.interval_um is None else r.interval_um for r in results])
    known = np.isfinite(answers)
    error = np.abs(answers - true)
    far = np.abs(true) >= CLEAR_UM
    return Score(
        frames=len(results),
        answered=int(known.sum()),
        away_um=_mean(np.abs(true)) or 0.0,
        left_um=_mean(np.where(known, error, np.abs(true))) or 0.0,
        mae_um=_mean(error[known]),
        direction=_mean((answers * true > 0)[far]),
        coverage=_mean((error <= half)[known]),
        interval_um=float(np.median(half[known])) if known.any() else None,
        alarms=_mean([r.shift_alarm for r in results if r.shift_alarm is not None]),
    )


def _mean(values: Any) -> float | None:
    return float(np.mean(values)) if len(values) else None


def signs(results: Sequence[FrameResult], least_um: float) -> list[bool]:
    """Of frames so far out of focus, whether their medians have the true sign, believed or not;
    frames without a median are left out."""
    pairs = []
    for result in results:
        answer = result.found_um if result.found_um is not None else result.rejected_um
        true_um = result.true_um
        if answer is not None and true_um is not None and abs(true_um) >= least_um:
            pairs.append(answer * true_um > 0)
    return pairs
