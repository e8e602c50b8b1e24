"""What one frame said, as numbers and words: the one form from a measurement to tables and files.

`sparsefocus focus` prints it, `evaluate` keeps it in a CSV (`evaluate.rows_file`) and makes its
tables of it, and the fits of training read it. It holds all that a later fit needs, so that nothing
is measured twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.decide.decision import Plan
from edge.measure.aggregate import NoFocus, median_and_spread
from edge.measure.sensor import Measurement

F32 = npt.NDArray[np.float32]
Numbers = Sequence[float | None]  # None: not finite


@dataclass(frozen=True, slots=True)
class FrameResult:
    """One frame. Lengths in um; `true_um` and `found_um` are corrections, positive = raise the
    objective.

    true_um is None where nobody knows the focus; found_um and interval_um (half-width, 95 %) are
    None where there is no estimate: then `reason` says why, and rejected_um is the median that was
    not believed. `decision` and `decision_reason`: what the controller would do with the frame,
    taken alone. `shift` is how far the frame lies outside the training range (above 1 = outside),
    None where that was not measured. network_um: the network's own spread, between_um: that between
    patches, as the interval takes them. Of each chosen patch, best first: importance, defocus,
    spread, (spherical aberration, its deviation, axial colour, its deviation), novelty.
    """

    condition: str = ""
    group: str = "frames"
    slide: str = ""
    true_um: float | None = None
    found_um: float | None = None
    interval_um: float | None = None
    reason: str = ""
    k: int = 0
    decision: str = ""
    decision_reason: str = ""
    sparsity: str = ""
    rejected_um: float | None = None
    network_um: float | None = None
    between_um: float | None = None
    importance_min: float | None = None
    importance_median: float | None = None
    shift: float | None = None
    shift_feature: str = ""
    shift_alarm: bool | None = None
    #: gradient energy reached after one shot, of the sharpest plane's; None where nobody knows
    sharpness: float | None = None
    cells: Sequence[tuple[int, int]] = ()  # row and column of the chosen patches
    patch_importance: Numbers | None = ()
    patch_defocus_um: Numbers | None = ()
    patch_spread_um: Numbers | None = ()
    optics: Sequence[Numbers] | None = None
    novelty: Numbers | None = None
    photometry: Mapping[str, float | None] | None = None
    split: str = ""
    stack_id: str = ""
    file: str = ""
    page: int | None = None
    z_um: float | None = None
    focus_z_um: float | None = None
    extra: Mapping[str, str] | None = field(default_factory=dict)  # further manifest columns

    @classmethod
    def of(cls, measurement: Measurement, plan: Plan) -> FrameResult:
        """What the frame said and what would be done; nothing is known of where it is from."""
        ranked, patches, shift = measurement.ranked, measurement.patches, measurement.shift
        estimate = measurement.estimate
        weights = patches.importance.astype(np.float64)
        whole = patches.finite and len(patches.cells) > 0
        answer: dict[str, Any] = (
            {"rejected_um": finite(estimate.rejected_um), "reason": estimate.reason.value}
            if isinstance(estimate, NoFocus)
            else {"found_um": estimate.defocus_um, "interval_um": estimate.interval_um}
        )
        return cls(
            **answer,
            decision=plan.decision.value,
            decision_reason=plan.reason,
            sparsity=ranked.sparsity.value,
            k=ranked.k,
            network_um=_median(patches.spread_um),
            between_um=median_and_spread(patches)[1] if whole else None,
            importance_min=finite(float(weights.min())) if len(weights) else None,
            importance_median=_median(patches.importance),
            shift=None if shift is None else finite(shift.score),
            shift_feature="" if shift is None else shift.feature,
            shift_alarm=None if shift is None else shift.alarm,
            cells=tuple(ranked.cells),
            patch_importance=_numbers(patches.importance),
            patch_defocus_um=_numbers(patches.defocus_um),
            patch_spread_um=_numbers(patches.spread_um),
            optics=None if patches.optics is None else [_numbers(each) for each in patches.optics],
            novelty=None if patches.novelty is None else _numbers(patches.novelty),
            photometry={name: finite(value) for name, value in measurement.photometry.items()},
        )

    @property
    def name(self) -> str:
        """Of the frame, for people."""
        return self.stack_id if self.z_um is None else f"{self.stack_id} at z {self.z_um:.2f} um"

    @property
    def moves(self) -> bool:
        """Whether the controller would have moved the objective."""
        return self.decision in ("MOVE", "VERIFY")

    @property
    def blank(self) -> bool:
        """A field with nothing to focus on: "blank", "cell blank"."""
        return "blank" in self.group.split()

    @property
    def scored(self) -> bool:
        """Whether there is a truth to compare with."""
        return self.true_um is not None and not self.blank

    @property
    def error_um(self) -> float | None:
        """Found less true; None without either."""
        if self.true_um is None or self.found_um is None:
            return None
        return self.found_um - self.true_um

    @property
    def shift_json(self) -> dict[str, Any] | None:
        """How far the frame lies outside the training, for a script; null where not measured."""
        if self.shift_alarm is None:
            return None
        return {"score": self.shift, "feature": self.shift_feature, "alarm": self.shift_alarm}


def finite(value: float) -> float | None:
    """The number, None for NaN and infinity: JSON and CSV have neither."""
    return float(value) if math.isfinite(value) else None


def _median(values: F32) -> float | None:
    return finite(float(np.median(values.astype(np.float64)))) if len(values) else None


def _numbers(values: F32) -> list[float | None]:
    return [finite(value) for value in values.tolist()]
