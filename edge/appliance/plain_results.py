"""What a frame said and how it ended: plain values that stay the same from version to version."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from edge.loop import Outcome as LoopOutcome
from edge.measure.aggregate import FocusEstimate
from edge.measure.sensor import Measurement


@dataclass(frozen=True, slots=True)
class Estimate:
    """The defocus that one picture shows, or why it shows none.

    `defocus_um`: raise the objective by so much to reach focus (negative: lower it), None without
    an estimate, and then `reason` says why ("blank", "outside-range", ...). `interval_um`:
    half-width of the 95 % interval. `sparsity`: "dense", "sparse", "ex-sparse" or "blank";
    `patches`: how many were measured. `outside`: what of the picture lies outside the models'
    training, "" when nothing.
    """

    defocus_um: float | None
    interval_um: float | None
    reason: str
    sparsity: str
    patches: int
    outside: str

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, for JSON; the keys are the fields."""
        return asdict(self)

    @classmethod
    def of(cls, measurement: Measurement, interval_um: float | None = None) -> Estimate:
        """From the runtime's own; an `interval_um` given here is wider than the picture's."""
        estimate, ranked, shift = measurement.estimate, measurement.ranked, measurement.shift
        outside = shift.feature if shift is not None and shift.alarm else ""
        defocus_um = width_um = None
        reason = ""
        if isinstance(estimate, FocusEstimate):
            defocus_um = estimate.defocus_um
            width_um = estimate.interval_um if interval_um is None else interval_um
        else:
            reason = estimate.reason.value
        return cls(defocus_um, width_um, reason, ranked.sparsity.value, ranked.k, outside)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one frame ended.

    `decision`: "MOVE", "VERIFY" (a large move: the next frame decides whether it stands),
    "IN_FOCUS", "PREDICT" (over nothing, by the fields before), "HOLD" (not known well enough to
    move), "REFUSE" (the guard, the driver or the controller said no; nothing moved) or "SHUTDOWN"
    (no more moves until a person restarts); `reason` says why. `moved_to_um`: where the stage was
    sent, None when it was not. `estimate`, `frame_id` and the exposure's times (CLOCK_MONOTONIC,
    ns) are None when no frame came. `age_ms`: from mid-exposure to the end. `latency_ms`: by stage
    of the frame's way.
    """

    decision: str
    reason: str
    estimate: Estimate | None
    moved_to_um: float | None
    frame_id: int | None
    exposure_start_ns: int | None
    exposure_end_ns: int | None
    age_ms: float | None
    latency_ms: Mapping[str, float]

    @property
    def in_focus(self) -> bool:
        """Whether the frame was sharp, as far as it told."""
        return self.decision == "IN_FOCUS"

    def as_dict(self) -> dict[str, Any]:
        """Plain numbers and texts, for JSON; the keys are the fields."""
        values = {name: getattr(self, name) for name in self.__slots__}
        estimate = None if self.estimate is None else self.estimate.as_dict()
        return {**values, "estimate": estimate, "latency_ms": dict(self.latency_ms)}

    @classmethod
    def of(cls, outcome: LoopOutcome) -> Outcome:
        """From the runtime's own."""
        measurement, move = outcome.measurement, outcome.move
        estimate = None if measurement is None else Estimate.of(measurement, outcome.interval_um)
        return cls(
            decision=outcome.decision.value,
            reason=outcome.reason,
            estimate=estimate,
            moved_to_um=None if move is None else move.target_um,
            frame_id=outcome.frame_id,
            exposure_start_ns=outcome.exposure_start_ns,
            exposure_end_ns=outcome.exposure_end_ns,
            age_ms=None if outcome.age_ms is None else _finite(outcome.age_ms),
            latency_ms=dict(outcome.latency_ms or {}),
        )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
