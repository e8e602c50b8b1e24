"""How far a frame lies outside of what its DPN was trained and calibrated on.

A network answers on any picture, and its own spread was learned inside the training range. So
three witnesses are asked that the defocus does not depend on: the slide's optics as the DPN sees
them, the novelty of its features, and the light and colour of the frame. Each is compared with
bounds that calibration found (calibration.envelope of the DPN's manifest); the worst decides.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge.measure.by_patches import ByPatches, by_patches, value_for
from edge.measure.defocus import PatchDefocus
from edge.measure.photometry import PHOTOMETRY
from engines.manifest import EngineRejected, Manifest

NOVELTY = "novelty"
#: feature -> its column in the DPN's `optics`, its standard deviation is the next; and the least
#: standard deviation (waves, um) that a patch is believed
OPTICS = {"spherical aberration": (0, 0.03), "axial colour": (2, 0.05)}
FEATURES = (*OPTICS, NOVELTY, *PHOTOMETRY)
ACTIONS = ("warn", "hold")
COMBINE = ("weighted", "median")
WORST = 1e6  # no score is above this: it must fit into JSON

#: feature -> value of the frame and its standard deviation (0 where none is known)
Features = Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class DomainShift:
    """score <= 1: inside; above: that many half-widths from the middle. `feature` is furthest out.

    `hold`: the frame is outside and its model asks not to move on such frames.
    """

    score: float
    feature: str
    alarm: bool
    hold: bool = False


def worse(one: DomainShift | None, other: DomainShift | None) -> DomainShift | None:
    """Of two, the one to be told: a hold before an alarm before none, then the greater score."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda shift: (shift.hold, shift.alarm, shift.score))


@dataclass(frozen=True, slots=True)
class Bound:
    """One feature's range. Without `low` only large values are outside, and `high` is > 0.

    per_sd: how far the range is widened on both sides per standard deviation of the value, so
    that a vague estimate does not alarm.
    """

    high: float
    low: float | None = None
    per_sd: float = 0.0

    @classmethod
    def of(cls, value: Any) -> Bound:
        """From JSON: high, [low, high] or [low, high, per_sd]; ValueError for anything else."""
        if isinstance(value, list) and len(value) in (2, 3) and all(map(_is_number, value)):
            low, high, *per_sd = value
            if high - low >= 1 / WORST and all(w >= 0 for w in per_sd):
                return cls(float(high), float(low), *map(float, per_sd))
        elif _is_number(value) and value >= 1 / WORST:
            return cls(float(value))
        raise ValueError(f"{str(value)[:60]} is not high > 0, [low, high] or [low, high, per_sd]")

    def score(self, value: float, sd: float) -> float:
        """0 in the middle, 1 at the bound; `WORST` also for what is not a number."""
        if self.low is None:
            score = value / self.high
        else:
            half = (self.high - self.low) / 2 + self.per_sd * sd
            score = abs(value - (self.low + self.high) / 2) / half
        return score if score <= WORST else WORST  # NaN lands here too


@dataclass(frozen=True, slots=True)
class TrainingRange:
    """The bounds of a model. Without any, nothing is measured and nothing alarms."""

    bounds: Mapping[str, ByPatches[Bound]] = field(default_factory=dict)
    hold: bool = False
    combine: str = "weighted"

    @classmethod
    def of(cls, manifest: Manifest) -> TrainingRange:
        """From a DPN's calibration.envelope; EngineRejected names what is impossible in it.

        {"action": "warn" or "hold", "combine": "weighted" or "median",
         "bounds": {feature: bound, or an object of least k -> bound}}
        """
        given = manifest.calibration.get("envelope")
        if given is None:
            return cls()
        where = f"{manifest.file}: calibration.envelope"
        if not isinstance(given, dict) or set(given) != {"action", "combine", "bounds"}:
            raise EngineRejected(f"{where} must have action, combine and bounds")
        for key, words in (("action", ACTIONS), ("combine", COMBINE)):
            if given[key] not in words:
                raise EngineRejected(f"{where}.{key} = {given[key]!r} must be one of {words}")
        bounds = given["bounds"]
        if not isinstance(bounds, dict) or not bounds:
            raise EngineRejected(f"{where}.bounds must be an object with at least one feature")
        outputs = {output.name for output in manifest.outputs}
        read = {name: _bounds(name, value, where, outputs) for name, value in bounds.items()}
        return cls(read, given["action"] == "hold", given["combine"])

    def __call__(
        self, photometry: Mapping[str, float], patches: PatchDefocus
    ) -> DomainShift | None:
        """Judge one frame by its photometry and its patches; None: nothing could be compared."""
        return self.judge(features(photometry, patches, self.combine), len(patches.cells))

    def judge(self, values: Features, k: int) -> DomainShift | None:
        """The worst of the features `values` on a frame of `k` patches."""
        scores = {
            name: value_for(table, k).score(*values[name])
            for name, table in self.bounds.items()
            if name in values
        }
        if not scores:
            return None
        worst = max(scores, key=lambda name: scores[name])
        alarm = not scores[worst] <= 1
        return DomainShift(scores[worst], worst, alarm, alarm and self.hold)


def features(photometry: Mapping[str, float], patches: PatchDefocus, combine: str) -> Features:
    """What is known of a frame: its photometry, and what the DPN says besides the defocus."""
    values = {name: (value, 0.0) for name, value in photometry.items()}
    if patches.optics is not None and len(patches.optics):
        optics = patches.optics.astype(np.float64)
        for name, (column, least_sd) in OPTICS.items():
            values[name] = _combined(optics[:, column], optics[:, column + 1], least_sd, combine)
    if patches.novelty is not None and len(patches.novelty):
        values[NOVELTY] = float(np.median(patches.novelty)), 0.0
    return values


def _combined(
    values: np.ndarray[Any, np.dtype[np.float64]],
    sds: np.ndarray[Any, np.dtype[np.float64]],
    least_sd: float,
    combine: str,
) -> tuple[float, float]:
    """The patches' common value, and the standard deviation of a typical patch.

    Not that of the mean: patches of one field err together, and how little more of them help is
    in the bounds, which depend on k.
    """
    variance = sds**2 + least_sd**2
    if combine == "median":
        return float(np.median(values)), math.sqrt(float(np.median(variance)))
    weights = 1 / variance
    if not weights.all():  # a deviation that is not finite: nothing is known
        return math.nan, math.nan
    mean = float(weights @ values) / float(weights.sum())
    return mean, 1 / math.sqrt(float(weights.mean()))


def _bounds(name: str, value: Any, where: str, outputs: set[str]) -> ByPatches[Bound]:
    if name not in FEATURES:
        raise EngineRejected(f"{where}.bounds.{name} is no feature; there are {FEATURES}")
    needs = "optics" if name in OPTICS else name
    if name not in PHOTOMETRY and needs not in outputs:
        raise EngineRejected(f"{where}.bounds.{name} needs the output {needs!r}")
    try:
        return by_patches(value, Bound.of)
    except ValueError as error:
        raise EngineRejected(f"{where}.bounds.{name}: {error}") from error


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < WORST
    )  # NaN and infinity are not below it
