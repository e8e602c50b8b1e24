"""Where focus lies over a slide: one map, from measured places alone, sure of what it says.

`add` takes anchors: a place where focus was measured, with its interval. A prediction is never an
anchor. `at` says where focus is expected and how well that is known, as FocusSurface does along
a line; where the map does not know, it says why. Heights wander with time, too (a stand warms up):
anchors carry their time, and a place that is visited again shows the drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from enum import Enum
from typing import Any

import numpy as np

from edge.decide.focus_surface import SD_PER_INTERVAL, Expected
from edge.wsi.focus_priors import F64, PRIORS, GaussianProcess, Prior
from edge.wsi.loo_gate import Judged, judge

_FORMAT = 1  # of the JSON
_MINUTE_NS = 60e9
DEFAULT_PRIOR: Prior = GaussianProcess()
MOST_ANCHORS = 4000  # more would be minutes of arithmetic


class Refusal(str, Enum):
    """Why the map says nothing of a place."""

    INSUFFICIENT = "insufficient-support"  # too few anchors around it
    OUTSIDE = "outside-support"  # too far from the nearest
    DISCONTINUITY = "support-discontinuity"  # the anchors beside it contradict each other


@dataclass(frozen=True, slots=True)
class Unknown(Expected):
    """Expected nowhere, with infinite doubt: every comparison with it fails."""

    z_um: float = math.nan
    interval_um: float = math.inf
    why: Refusal = Refusal.INSUFFICIENT


@dataclass(frozen=True, slots=True)
class Anchor:
    """Focus was measured at (`x_um`, `y_um`): z at mid-exposure plus the defocus, within a 95 %
    half-width. `source`: by what. ValueError for what is not a number."""

    x_um: float
    y_um: float
    z_um: float
    interval_um: float
    time_ns: int
    source: str = "one-shot"

    def __post_init__(self) -> None:
        place = (self.x_um, self.y_um, self.z_um)
        if not (all(map(math.isfinite, place)) and 0 < self.interval_um < math.inf):
            raise ValueError(f"no anchor: {self}")


@dataclass(frozen=True, slots=True)
class MapLimits:
    """`reach_um`: no place farther from its nearest anchor is answered for; `support` anchors
    must lie within `support_um`; nearer than `neighbour_um` are neighbours: they may stand by each
    other against the rest, and where they do, the surface between is not known. `drift_um`: how
    far the stand may wander in a minute, sd; `nearest`: a place is told by so many anchors around
    it, None = by all (milliseconds each from some hundreds on)."""

    reach_um: float = 3000.0
    support: int = 4
    support_um: float = 6000.0
    neighbour_um: float = 1200.0
    drift_um: float = 0.05
    nearest: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """An anchor, how far it is from what the others say, and whether it counts."""

    anchor: Anchor
    kept: bool
    off_um: float  # NaN for one that was dropped
    sd_um: float


@dataclass(frozen=True, slots=True)
class _Solution:
    judged: Judged
    places: F64  # of the anchors that count, mm from the middle
    minutes: F64  # their times
    weights: F64
    middle_um: F64
    mean_um: float
    doubtful: F64  # places, mm


class FocusMap:
    """One slide's map. Not thread-safe; solved anew after each anchor, when it is next asked."""

    def __init__(self, prior: Prior = DEFAULT_PRIOR, limits: MapLimits = MapLimits()) -> None:
        self.prior, self.limits = prior, limits
        self.anchors: list[Anchor] = []
        self._solved: _Solution | None = None

    def add(self, anchor: Anchor) -> None:
        """A place was measured. ValueError above MOST_ANCHORS."""
        if len(self.anchors) >= MOST_ANCHORS:
            raise ValueError(f"a map holds at most {MOST_ANCHORS} anchors")
        self.anchors.append(anchor)
        self._solved = None

    def at(self, x_um: float, y_um: float, time_ns: int | None = None) -> Expected:
        """Focus at a place, or Unknown with the reason; without a time, at that of the newest
        anchor."""
        if len(self.anchors) < self.limits.support:
            return Unknown()
        solution = self._solution_at(x_um, y_um)
        place = (np.array([[x_um, y_um]]) - solution.middle_um) / 1e3
        why = self._refusal(solution, place)
        if why is not None:
            return Unknown(why=why)
        minutes = self._minutes([time_ns]) if time_ns is not None else self._newest_minutes()
        cross = self.prior.covariance(place, solution.places) + self._drift(
            minutes, solution.minutes
        )
        own = self.prior.covariance(place, place) + self._drift(minutes, minutes)
        return self._expected(cross[0], float(own[0, 0]) + self.prior.relief_um**2, solution)

    def drift(self, time_ns: int) -> Expected:
        """How far the stand has wandered since the first anchor."""
        if len(self.anchors) < self.limits.support:
            return Unknown()
        solution, minutes = self._solution(), self._minutes([time_ns])
        cross, own = self._drift(minutes, solution.minutes), self._drift(minutes, minutes)
        expected = self._expected(cross[0], float(own[0, 0]), solution)
        return Expected(expected.z_um - solution.mean_um, expected.interval_um)

    def verdicts(self) -> list[Verdict]:
        """Of every anchor, in the order they came."""
        if not self.anchors:
            return []
        judged = self._solution().judged
        row_of = {int(k): i for i, k in enumerate(judged.kept)}
        return [
            Verdict(anchor, True, float(judged.off_um[row_of[k]]), float(judged.sd_um[row_of[k]]))
            if k in row_of
            else Verdict(anchor, False, math.nan, math.nan)
            for k, anchor in enumerate(self.anchors)
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values; `map_of_json` reads them back."""
        prior = self.prior
        values = {name: getattr(prior, name) for name in type(prior).__dataclass_fields__}  # type: ignore[attr-defined]
        return {
            "format": _FORMAT,
            "prior": {"name": prior.name, **values},
            "limits": list(astuple(self.limits)),
            "anchors": [list(astuple(anchor)) for anchor in self.anchors],
        }

    # ---- how it is calculated --------------------------------------------------------------------

    def _solution(self) -> _Solution:
        if self._solved is None:
            self._solved = self._solve(self.anchors)
        return self._solved

    def _solution_at(self, x_um: float, y_um: float) -> _Solution:
        """Of all anchors, or of those around a place."""
        count = self.limits.nearest
        if count is None or len(self.anchors) <= count:
            return self._solution()
        away = [math.hypot(a.x_um - x_um, a.y_um - y_um) for a in self.anchors]
        around = np.argsort(away, kind="stable")[:count]  # NaN last: refused later
        return self._solve([self.anchors[i] for i in sorted(around)])

    def _solve(self, anchors: Sequence[Anchor]) -> _Solution:
        xy = np.array([[anchor.x_um, anchor.y_um] for anchor in anchors])
        middle = xy.mean(axis=0)
        places, minutes = (xy - middle) / 1e3, self._minutes([a.time_ns for a in anchors])
        noise = np.array([anchor.interval_um for anchor in anchors]) * SD_PER_INTERVAL
        covariance = self.prior.covariance(places, places) + self._drift(minutes, minutes)
        covariance += np.diag(noise**2 + self.prior.relief_um**2)
        z = np.array([anchor.z_um for anchor in anchors])
        mean = float(np.median(z))
        apart = np.hypot(*(xy[:, None] - xy[None, :]).transpose(2, 0, 1))
        judged = judge(z - mean, covariance, apart, self.limits.neighbour_um)
        kept = judged.kept
        weights = judged.inverse @ (z[kept] - mean)
        return _Solution(
            judged, places[kept], minutes[kept], weights, middle, mean, places[judged.doubtful]
        )

    def _refusal(self, solution: _Solution, place: F64) -> Refusal | None:
        away_um = 1e3 * np.hypot(*(solution.places - place).T)
        if not away_um.min() <= self.limits.reach_um:  # NaN lands here too
            return Refusal.OUTSIDE
        if np.count_nonzero(away_um <= self.limits.support_um) < self.limits.support:
            return Refusal.INSUFFICIENT
        doubtful_um = 1e3 * np.hypot(*(solution.doubtful - place).T)
        if (doubtful_um <= self.limits.neighbour_um).any():
            return Refusal.DISCONTINUITY
        return None

    def _expected(self, cross: F64, own: float, solution: _Solution) -> Expected:
        variance = own - float(cross @ solution.judged.inverse @ cross)
        sd = math.sqrt(max(variance, 0.0))
        return Expected(solution.mean_um + float(cross @ solution.weights), sd / SD_PER_INTERVAL)

    def _drift(self, a: F64, b: F64) -> F64:
        """A random walk since the first anchor."""
        return self.limits.drift_um**2 * np.minimum(a[:, None], b[None, :])

    def _minutes(self, times_ns: Sequence[int]) -> F64:
        first = min(anchor.time_ns for anchor in self.anchors)
        return np.array([max(0, time_ns - first) / _MINUTE_NS for time_ns in times_ns])

    def _newest_minutes(self) -> F64:
        return self._minutes([max(anchor.time_ns for anchor in self.anchors)])


def map_of_json(value: Any) -> FocusMap:
    """The map that `as_json` wrote. ValueError for anything else."""
    try:
        if value["format"] != _FORMAT:
            raise ValueError(f"a map of format {value['format']!r}, not {_FORMAT}")
        fields = dict(value["prior"])
        prior = PRIORS[fields.pop("name")](**fields)
        focus_map = FocusMap(prior, MapLimits(*value["limits"]))
        for row in value["anchors"]:
            focus_map.add(Anchor(*row))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a focus map: {error!r}") from error
    return focus_map


def farthest_first(places: Iterable[tuple[float, float]], count: int) -> list[tuple[float, float]]:
    """Key points: `count` of the places, each as far as can be from those chosen before; the first
    is the one nearest to the middle of all."""
    left = sorted(set(places))
    if not left or count < 1:
        return []
    xy = np.array(left)
    chosen = [int(np.argmin(np.hypot(*(xy - xy.mean(axis=0)).T)))]
    nearest = np.hypot(*(xy - xy[chosen[0]]).T)
    while len(chosen) < min(count, len(left)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, np.hypot(*(xy - xy[chosen[-1]]).T))
    return [left[i] for i in chosen]
