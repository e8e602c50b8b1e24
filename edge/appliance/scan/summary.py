"""The numbers of a scan, from its records; against the truth, where somebody knows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge.wsi.focus_map import FocusMap
from edge.wsi.grade import Grade
from edge.wsi.path import Field
from edge.wsi.scan_folder import FieldRecord, ScanFolder

#: how far above its focus a field was taken at a height, um; None = nothing lies there
Truth = Callable[[Field, float], float | None]


def numbers(
    folder: ScanFolder,
    half_depth_um: float,
    pass_share: float,
    seconds: float,
    truth: Truth | None,
    focus_map: FocusMap,
) -> dict[str, Any]:
    """`summary` and `fields` as plain values. `verdict`: "pass" where enough of the fields with
    content are not blurred and none is lost."""
    records = list(folder.records.values())
    rows = [_row(folder, record, truth) for record in records]
    content = [r for r in records if r.grade not in (Grade.EMPTY.value,)]
    bad = sum(r.grade in (Grade.BLURRED.value, Grade.LOST.value) for r in content)
    lost = sum(r.grade == Grade.LOST.value for r in content)
    share = 1.0 - bad / len(content) if content else 1.0
    summary: dict[str, Any] = {
        "fields": len(records),
        "tissue_fields": len(content),
        "blank": len(records) - len(content),
        "lost": lost,
        "retaken": sum(r.tries > 1 for r in records),
        "grades": {grade.value: sum(r.grade == grade.value for r in records) for grade in Grade},
        "anchors": len(focus_map.anchors),
        "seconds": round(seconds, 1),
        "verdict": "pass" if share >= pass_share and not lost else "fail",
    }
    errors = [abs(row["error_um"]) for row in rows if row.get("error_um") is not None]
    if errors:
        summary |= {
            "half_depth_um": half_depth_um,
            "within_half_dof": float(np.mean(np.array(errors) <= half_depth_um)),
            "p50_um": float(np.quantile(errors, 0.5)),
            "p95_um": float(np.quantile(errors, 0.95)),
            "worst_um": float(max(errors)),
        }
    return {"summary": summary, "fields": rows}


def _row(folder: ScanFolder, record: FieldRecord, truth: Truth | None) -> dict[str, Any]:
    row: dict[str, Any] = {
        name: getattr(record, name)
        for name in ("id", "x_um", "y_um", "z_um", "defocus_um", "interval_um", "grade", "tries")
    }
    blank = record.grade == Grade.EMPTY.value
    if truth is not None and record.z_um is not None and not blank:
        field = folder.walk.plan.by_id[record.id]
        row["error_um"] = truth(field, record.z_um - record.offset_um)
    return row


def sentence(summary: dict[str, Any]) -> str:
    """For a person."""
    text = (
        f"{summary['fields']} fields in {summary['seconds']:.0f} s of the scanner, "
        f"{summary['blank']} blank, {summary['retaken']} taken more than once, "
        f"{summary['lost']} lost: {summary['verdict']}"
    )
    if "p95_um" in summary:
        text += (
            f"; {100 * summary['within_half_dof']:.1f} % within {summary['half_depth_um']:.2f} um "
            f"of the true focus, p50 {summary['p50_um']:.2f}, p95 {summary['p95_um']:.2f} um"
        )
    return text
