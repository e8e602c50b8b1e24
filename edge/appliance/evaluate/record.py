"""One exposure of a z-stack through the frame's way, and the record that is kept of it.

The record holds all that a later tool needs to fit an interval or a bound without measuring
again. It goes to a file as it is (`evaluation_csv`), and the tables are made from the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import monotonic_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.appliance.evaluate.metrics import Row
from edge.appliance.evaluate.sharpness_curve import COLUMN, reached
from edge.appliance.files import json_safe
from edge.camera import Frame, PixelFormat
from edge.decide.controllers import SingleFrame
from edge.errors import ConfigError
from edge.images.zstack import Exposure
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus, median_and_spread
from edge.measure.sensor import Measurement, Measurer, measure
from edge.optics import Objective
from edge.settings import LoopSettings

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Record = dict[str, Any]
_OWN_COLUMN = ("condition", "group", "slide", "split", COLUMN)


class Examiner:
    """Measures frames and says what the controller would do with each, taken alone."""

    def __init__(self, sensor: Measurer, objective: Objective) -> None:
        self._sensor = sensor
        self._alone = SingleFrame(LoopSettings(), objective)

    def record(self, exposure: Exposure, pixels: U8, condition: str) -> Record:
        """The record of one frame, `pixels` (h, w, 3) uint8 RGB; ConfigError when it is too small.

        `condition` is what the frame counts as where its manifest does not say.
        """
        now = monotonic_ns()
        try:
            seen = measure(self._sensor, Frame(pixels, PixelFormat.RGB8, 1, now, now), Lap())
        except ConfigError as error:
            raise ConfigError(f"{where(exposure)}: {error}") from error
        plan = self._alone.plan(seen.estimate)
        record = {**_identity(exposure, condition), **_answer(seen)}
        return {
            **record,
            "sharpness": _sharpness(exposure, record),
            "decision": plan.decision.value,
        }


def where(exposure: Exposure) -> str:
    """The file and page, as an error names them."""
    return str(exposure.path) if exposure.page is None else f"{exposure.path} page {exposure.page}"


def _identity(exposure: Exposure, condition: str) -> Record:
    extra = exposure.extra
    true = None if exposure.focus_z_um is None else exposure.focus_z_um - exposure.z_um
    return {
        "condition": extra.get("condition") or condition,
        "group": extra.get("group") or "frames",
        "slide": extra.get("slide") or exposure.stack_id,
        "split": extra.get("split") or "",
        "stack_id": exposure.stack_id,
        "file": str(exposure.path),
        "page": exposure.page,
        "z_um": exposure.z_um,
        "focus_z_um": exposure.focus_z_um,
        "extra": {name: value for name, value in extra.items() if name not in _OWN_COLUMN},
        # a difference of two heights is 0 to a picometre at best: 0 must be 0 for Eq. 4
        "true_um": None if true is None else round(true, 6) + 0.0,
    }


def _sharpness(exposure: Exposure, record: Record) -> float | None:
    """Reached after one shot, where the manifest tells how sharp the field is at which height."""
    true, answer = record["true_um"], record["found_um"]
    if true is None or answer is None:
        return None
    return reached(exposure.extra.get(COLUMN, ""), answer - true, where(exposure))


def _answer(seen: Measurement) -> Record:
    patches = seen.patches
    shift = getattr(seen, "shift", None)
    weights = patches.importance.astype(np.float64)
    record: Record = {
        **_answer_of(seen.estimate),
        "sparsity": seen.ranked.sparsity.value,
        "k": seen.ranked.k,
        "network_um": _median(patches.spread_um),
        # as the interval takes it
        "between_um": median_and_spread(patches)[1] if patches.finite and patches.cells else None,
        "importance_min": weights.min() if len(weights) else None,
        "importance_median": _median(patches.importance),
        "shift": getattr(shift, "score", None),
        "shift_feature": getattr(shift, "feature", ""),
        "shift_alarm": getattr(shift, "alarm", None),
        "patch_importance": _list(patches.importance),
        "patch_defocus_um": _list(patches.defocus_um),
        "patch_spread_um": _list(patches.spread_um),
        "optics": _list(getattr(patches, "optics", None)),
        "novelty": _list(getattr(patches, "novelty", None)),
        "photometry": getattr(seen, "photometry", None),
    }
    plain: Record = json_safe(record)
    return plain


def _answer_of(estimate: FocusEstimate | NoFocus) -> Record:
    if isinstance(estimate, NoFocus):
        return {"found_um": None, "interval_um": None, "rejected_um": estimate.rejected_um,
                "reason": estimate.reason.value}  # fmt: skip
    return {"found_um": estimate.defocus_um, "interval_um": estimate.interval_um,
            "rejected_um": None, "reason": ""}  # fmt: skip


def _median(values: F32) -> float | None:
    return float(np.median(values.astype(np.float64))) if len(values) else None


def _list(values: npt.NDArray[Any] | None) -> list[Any] | None:
    """A plain list with six digits, far below what the networks know."""
    if values is None:
        return None
    six = np.vectorize(lambda v: float(f"{v:.6g}"), otypes=[float])
    numbers: list[Any] = (six(values) if values.size else values).tolist()
    return numbers


def row_of(record: Mapping[str, Any]) -> Row:
    """What the metrics need of a record."""
    number = {
        name: record[name] for name in ("true_um", "found_um", "interval_um", "shift")
    }  # as measured or as read
    return Row(
        condition=record["condition"],
        group=record["group"],
        slide=record["slide"],
        **number,
        reason=record["reason"],
        k=record["k"],
        moves=record["decision"] in ("MOVE", "VERIFY"),
        alarm=record["shift_alarm"],
        sharpness=record["sharpness"],
        name=f"{record['stack_id']} at z {record['z_um']:.2f} um",
    )
