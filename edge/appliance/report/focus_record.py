"""What is kept of each focused field: numbers for scripts, pictures for people.

The JSON names are those of the command line's documentation. Truth (z_focus, errors) exists
only where somebody knows it: on the simulated microscope, or against a recorded z-stack.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.loop import Outcome
from edge.measure.training_range import DomainShift

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class View:
    """A frame as a person wants to see it, and what the networks said of it.

    `picture` is the centre crop, RGB, scaled down to `side` px on its longer side; `outcome`
    carries scores, chosen cells and their defocus.
    """

    picture: U8
    outcome: Outcome
    title: str


@dataclass(slots=True)
class FieldRecord:
    """One field, from its first frame to the last. Heights are the objective's, in um, + = up."""

    number: int
    kind: str
    sparsity: str  # the specimen's true class
    z_start_um: float
    z_focus_um: float | None  # None: nothing to focus on, or unknown
    z_after_first_um: float
    z_final_um: float
    outcomes: list[Outcome] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    #: (seconds since the field began, objective height in um)
    trace: list[tuple[float, float]] = field(default_factory=list)
    start_ns: int | None = None  # monotonic, when the trace begins
    #: of each outcome, the objective's true height at mid-exposure; None where no frame came, and
    #: the list is empty where nobody knows
    heights_um: list[float | None] = field(default_factory=list)
    #: gradient energy of the content over that of the sharpest plane, after one shot and at the
    #: end, 0..1; None where there is no content or no truth
    sharpness_first: float | None = None
    sharpness_final: float | None = None
    #: a part of the last picture at the sensor's own pixels, and the same part of the sharpest
    #: plane's picture: (h, w, 3) uint8 RGB each
    end_detail: U8 | None = None
    sharpest_detail: U8 | None = None

    @property
    def last(self) -> Outcome:
        """How the field ended."""
        return self.outcomes[-1]

    @property
    def shots(self) -> int:
        """Frames that were measured."""
        return sum(outcome.measurement is not None for outcome in self.outcomes)

    @property
    def k(self) -> int:
        """Patches measured on the first frame."""
        first = self.outcomes[0].measurement
        return first.ranked.k if first else 0

    def error_um(self, z_um: float) -> float | None:
        """Distance from best focus; None where there is none."""
        return None if self.z_focus_um is None else abs(z_um - self.z_focus_um)

    @property
    def direction_right(self) -> bool | None:
        """Whether the first estimate pointed at focus; None without an estimate or truth."""
        estimate = self.outcomes[0].estimate
        defocus = getattr(estimate, "defocus_um", None)
        if defocus is None or self.z_focus_um is None:
            return None
        wanted = self.z_focus_um - self.z_start_um
        return wanted == 0 or math.copysign(1.0, defocus) == math.copysign(1.0, wanted)

    def as_json(self) -> dict[str, Any]:
        """The field's row in the report's JSON."""
        return {
            "number": self.number,
            "kind": self.kind,
            "sparsity": self.sparsity,
            "z_start_um": self.z_start_um,
            "z_focus_um": self.z_focus_um,
            "z_final_um": self.z_final_um,
            "start_error_um": self.error_um(self.z_start_um),
            "first_error_um": self.error_um(self.z_after_first_um),
            "final_error_um": self.error_um(self.z_final_um),
            "first_sharpness": self.sharpness_first,
            "final_sharpness": self.sharpness_final,
            "decision": self.last.decision.value,
            "reason": self.last.reason,
            "shots": self.shots,
            "k": self.k,
            "moves": sum(outcome.move is not None for outcome in self.outcomes),
            "frames": [_frame_json(outcome) for outcome in self.outcomes],
        }


@dataclass(slots=True)
class SessionRecord:
    """Everything one `simulate` run found. `half_depth_um` is the |error| that counts as sharp,
    `period_ms` the frame period that a capture-to-move must beat."""

    fields: list[FieldRecord]
    half_depth_um: float
    deadband_um: float
    period_ms: float
    title: str
    facts: dict[str, str] = field(default_factory=dict)
    shutdown_reason: str | None = None

    @property
    def latencies_ms(self) -> list[float]:
        """Capture-to-command time of every measured frame, from arrival to the decision."""
        return [
            outcome.latency_ms["total"]
            for record in self.fields
            for outcome in record.outcomes
            if outcome.latency_ms and "total" in outcome.latency_ms
        ]

    def summary(self) -> dict[str, Any]:
        """The summary row of the JSON; means over the fields whose focus is known."""
        rows = [f.as_json() for f in self.fields]
        first = [r["first_error_um"] for r in rows if r["first_error_um"] is not None]
        final = [r["final_error_um"] for r in rows if r["final_error_um"] is not None]
        reached = [f.sharpness_final for f in self.fields if f.sharpness_final is not None]
        right = [f.direction_right for f in self.fields if f.direction_right is not None]
        latency = self.latencies_ms
        refused = sum(o.decision.value == "REFUSE" for f in self.fields for o in f.outcomes)
        return {
            "fields": len(rows),
            "mae_first_um": _mean(first),
            "mae_final_um": _mean(final),
            "within_dof": _mean([float(e <= self.half_depth_um) for e in final]),
            "dof_um": self.half_depth_um,
            "sharpness_median": float(np.median(reached)) if reached else None,
            "sharpness_p10": float(np.quantile(reached, 0.1)) if reached else None,
            "dss": _mean([float(r) for r in right]),
            "latency_ms": {
                "p50": float(np.percentile(latency, 50)) if latency else None,
                "p99": float(np.percentile(latency, 99)) if latency else None,
                "max": max(latency) if latency else None,
            },
            "deadline_misses": sum(ms > self.period_ms for ms in latency),
            "moves_refused": refused,
            "shutdown": self.shutdown_reason,
        }

    def as_json(self) -> dict[str, Any]:
        """The whole report for a script."""
        return {"fields": [f.as_json() for f in self.fields], "summary": self.summary()}


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def shift_json(shift: DomainShift | None) -> dict[str, Any] | None:
    """How far a frame lies outside the training, for a script; null when it was not measured."""
    if shift is None:
        return None
    return {"score": shift.score, "feature": shift.feature, "alarm": shift.alarm}


def _frame_json(outcome: Outcome) -> dict[str, Any]:
    estimate = outcome.estimate
    return {
        "frame_id": outcome.frame_id,
        "decision": outcome.decision.value,
        "reason": outcome.reason,
        "defocus_um": _finite(getattr(estimate, "defocus_um", None)),
        "interval_um": _finite(getattr(estimate, "interval_um", None)),
        "interval_with_scale_um": _finite(outcome.interval_um),
        "scale": asdict(outcome.scale) if outcome.scale else None,
        "target_um": outcome.move.target_um if outcome.move else None,
        "shift": shift_json(outcome.measurement.shift if outcome.measurement else None),
        "latency_ms": dict(outcome.latency_ms) if outcome.latency_ms else None,
    }
