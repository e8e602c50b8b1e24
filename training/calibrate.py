"""The interval and the training range of a DPN, from frames measured on slides it has not seen.

    sparsefocus evaluate runs/calibration/*/manifest.csv --rows rows.csv
    python -m training.calibrate rows.csv --manifest engines/models/dpn.json [--write]

Four fifths of the slides are fitted on, in two halves (see `fit_interval` and
`fit_training_range`), and the result is looked at on the last fifth; with `--check OTHER.csv` all
are fitted on, and the other file is looked at. Below some two hundred slides the coefficients
follow chance; `--keep-shape` leaves them alone. Coverage and alarms are shares of frames in which
every slide counts once, with their standard error over slides.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from edge.appliance.files import write_json
from edge.errors import ConfigError
from edge.measure.budget import GROUPS
from edge.measure.interval import IntervalModel
from edge.measure.training_range import ACTIONS, TrainingRange
from engines.engine import MODELS
from engines.manifest import EngineRejected, Manifest
from training.conformal import slide_share
from training.fit_interval import BANDS_UM, as_json, fit_interval, intervals
from training.fit_training_range import fit_training_range, judge
from training.frame_rows import FrameRow, best_of, read_frames, slide_numbers, split

#: of both generators (training.judge), since an interval calibrated on one is proved for one. No
#: photographs: a few dozen slides of three sources count as much as hundreds of painted ones
#: there, and lean the shape until tissue is outside (docs/ablations.md)
INTERVAL_ON = (
    "everyday", "lone", "clean", "thick", "tilted", "dusty", "pen", "edge",
    "judge-everyday", "judge-near",
)  # fmt: skip
INSIDE = ("everyday", "clean", "edge", "thick", "tilted", "dusty", "judge-everyday", "judge-near")
OUTSIDE = "outside-"
COUNTS = (1, 2, 3, 4, 9, 20, 31, 32)  # of patches, each up to the next
Line = dict[str, Any]


def interval_table(rows: Sequence[FrameRow], interval_model: IntervalModel) -> list[Line]:
    """Coverage and width of all, by group, by number of patches and by distance; and of frames of
    which only the best patches would have been measured, as a latency budget has it."""
    known = [row for row in rows if row.answered]
    if not known:
        return []
    group, k = np.array([row.group for row in known]), np.array([row.k for row in known])
    far = np.abs([row.found_um for row in known])
    masks = {"all": np.ones(len(known), bool)}
    masks |= {name: group == name for name in dict.fromkeys(group.tolist())}
    masks |= {f"k = {_span(a, b)}": (a <= k) & (k < b) for a, b in pairwise(COUNTS)}
    edges = (0.0, *BANDS_UM, math.inf)
    masks |= {f"from {a:g} um": (a <= far) & (far < b) for a, b in pairwise(edges)}
    parts = {name: [row for row, is_in in zip(known, mine, strict=True) if is_in]
             for name, mine in masks.items()}  # fmt: skip
    for best in GROUPS[:-1]:
        parts[f"best {best} of more"] = [best_of(row, best) for row in known if row.k > best]
    return [_covered(name, part, interval_model) for name, part in parts.items() if part]


def _covered(name: str, rows: Sequence[FrameRow], interval_model: IntervalModel) -> Line:
    half, slides = intervals(rows, interval_model), slide_numbers(rows)
    error = np.array([row.error_um for row in rows])
    share, se = slide_share(error <= half, slides)
    return {"rows": name, "frames": len(rows), "slides": len(set(slides)), "coverage": share,
            "se": se, "interval_um": float(np.median(half)),
            "error_um": float(error.mean())}  # fmt: skip


def alarm_table(rows: Sequence[FrameRow], training_range: TrainingRange) -> list[Line]:
    """Share of alarms per condition, and what the estimates of loud and silent frames are worth."""
    shifts = judge(training_range, rows)
    alarm = np.array([shift is not None and shift.alarm for shift in shifts], bool)
    slides = slide_numbers(rows)
    lines = []
    for condition in dict.fromkeys(row.condition for row in rows):
        groups = dict.fromkeys(r.group for r in rows if r.condition == condition)
        for group in (None, *(groups if condition.startswith(OUTSIDE) else ())):
            mine = np.array([
                row.condition == condition and row.k > 0 and group in (None, row.group)
                for row in rows
            ])  # fmt: skip
            if not mine.any():
                continue
            share, se = slide_share(alarm[mine], slides[mine])
            features = [s.feature for s, m in zip(shifts, mine, strict=True) if m and s and s.alarm]
            lines.append({"rows": condition if group is None else f"{condition}, {group}",
                          "frames": int(mine.sum()), "slides": len(set(slides[mine])),
                          "alarms": share, "se": se,
                          "error_loud_um": _mean_error(rows, mine & alarm),
                          "error_silent_um": _mean_error(rows, mine & ~alarm),
                          "by": _counts(features)})  # fmt: skip
    return lines


def calibrate(
    rows: Sequence[FrameRow],
    check: Sequence[FrameRow],
    manifest: Manifest,
    interval_on: Sequence[str] = INTERVAL_ON,
    action: str = "warn",
    keep_shape: bool = False,
) -> tuple[Manifest, Line]:
    """The manifest with both fits, and the tables on `check`, or on a fifth of `rows`.

    `keep_shape`: the interval keeps the default coefficients and only its factors are fitted, on
    all slides but those looked at. ValueError when there are too few slides.
    """
    fit, scale, *rest = split(rows, (0, 1) if check else (0, 1, 0, 1, 2))
    looked_at = check or rest[0]
    start = IntervalModel.of(manifest)
    on = [[row for row in part if row.condition in interval_on] for part in (fit, scale)]
    interval_model = fit_interval(on[0], on[1], start, keep_shape)
    inside = [[row for row in part if row.condition in INSIDE] for part in (fit, scale)]
    outside = [row for row in (*fit, *scale) if row.condition.startswith(OUTSIDE)]
    fitted_range = fit_training_range((inside[0], inside[1]), outside, action)
    interval = {**manifest.calibration.get("interval", {}), **as_json(interval_model)}
    fitted: Line = {"interval": interval, "envelope": fitted_range.training_range}
    changed = dataclasses.replace(manifest, calibration={**manifest.calibration, **fitted})
    # what the runtime reads is what is judged
    interval_model, training_range = IntervalModel.of(changed), TrainingRange.of(changed)
    judged = [row for row in looked_at if row.condition in interval_on]
    report: Line = {
        **fitted,
        "interval_on": list(interval_on),
        "slides": [len({(r.condition, r.slide) for r in part}) for part in (fit, scale, looked_at)],
        "coverage": interval_table(judged, interval_model),
        "alarms": alarm_table(looked_at, training_range),
        "remarks": list(fitted_range.remarks),
    }
    return changed, report


def _span(low: int, high: int) -> str:
    return str(low) if high == low + 1 else f"{low} to {high - 1}"


def _mean_error(rows: Sequence[FrameRow], mask: Any) -> float | None:
    errors = [row.error_um for row, m in zip(rows, mask, strict=True) if m and row.answered]
    return float(np.mean(errors)) if errors else None


def _counts(names: Sequence[str]) -> dict[str, int]:
    return {name: names.count(name) for name in dict.fromkeys(names)}


def _print(report: Line) -> None:
    print("slides in the two halves and in the look:", *report["slides"])
    print("interval", json.dumps(report["interval"]))
    print("envelope", json.dumps(report["envelope"]))
    for name in ("coverage", "alarms"):
        print(f"\n{name}")
        for line in report[name]:
            words = (f"{key} {_word(value)}" for key, value in list(line.items())[1:])
            print(f"  {line['rows']:<28}", "  ".join(words))
    for remark in report["remarks"]:
        print("note:", remark)


def _word(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "-" if value is None else str(value)


def main(words: Sequence[str] | None = None) -> int:
    """0, or 2 with one line when files or slides do not do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="+", type=Path, help="CSV of sparsefocus evaluate --rows")
    parser.add_argument("--manifest", type=Path, default=MODELS / "dpn.json")
    parser.add_argument("--check", nargs="+", type=Path, default=[], help="CSV to judge it on")
    parser.add_argument("--conditions", nargs="+", default=INTERVAL_ON,
                        help="what the interval is fitted on")  # fmt: skip
    parser.add_argument("--keep-shape", action="store_true",
                        help="few slides: fit the interval's factors alone")  # fmt: skip
    parser.add_argument("--action", choices=ACTIONS, default="warn", help="of the alarm")
    parser.add_argument("--json", type=Path, help="write fits and tables")
    parser.add_argument("--write", action="store_true", help="write into the manifest")
    options = parser.parse_args(words)
    try:
        rows, check = read_frames(options.rows), read_frames(options.check)
        manifest = Manifest.read(options.manifest)
        changed, report = calibrate(
            rows, check, manifest, options.conditions, options.action, options.keep_shape
        )
    except (ConfigError, EngineRejected, ValueError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    _print(report)
    try:
        write_json(report, options.json)
        if options.write:
            changed.write(options.manifest)
            print(f"\nwritten to {options.manifest}")
    except (ConfigError, OSError) as error:
        print(f"calibrate: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
