"""The shipped pair judged on whole frames, and the interval scaled to what it turned out to be.

    python -m training.frames --fields 8 --json runs/frames.json [--calibrate]

Fresh slides, frames of 2016 x 2016, patches chosen by RIN and the run-time rule, never by an
oracle. `--calibrate` scales the interval's coefficients (one factor) so that 95 % of the errors lie
inside, once on the even and once on the odd fields, tells how each factor covers the other half,
and writes the larger one into the DPN's manifest: with so few fields the halves differ.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from pathlib import Path
from time import monotonic_ns
from typing import Any

import numpy as np

from edge.aggregate import Calibration, FocusEstimate
from edge.appliance.focus_verb import NOMINAL
from edge.appliance.progress import Progress
from edge.camera import Frame, PixelFormat
from edge.importance import ClassRule
from edge.latency import Lap
from edge.loop import FocusSensor, measure
from edge.rig import build_sensor
from edge.settings import ModelSettings
from engines.manifest import Manifest
from simulator.microscope import Microscope
from simulator.slide import KINDS, SPARSITIES

SEED = 77_000  # of slides that nothing was trained on
CROP = (2016, 2016)
RANGE_UM = 25.0
COVERAGE = 0.95
COEFFICIENTS = ("floor_um", "network", "patches", "relative")
Row = dict[str, Any]


def measure_fields(sensor: FocusSensor, fields: int, heights: int, dirt: float) -> list[Row]:
    """`fields` fields per group, each at `heights` random z in +-25 um; a row per frame."""
    groups = [(kind, sparsity) for kind in KINDS for sparsity in (*SPARSITIES, "blank")]
    groups.remove(("tissue", "blank"))
    rng = np.random.default_rng(SEED)
    progress = Progress(fields * len(groups))
    rows: list[Row] = []
    for number in range(fields):
        for kind, sparsity in groups:
            microscope = Microscope(SEED + number, CROP, dirt=dirt)
            truth = microscope.load_field(kind, sparsity, number, slide=number)
            for z_um in rng.uniform(-RANGE_UM, RANGE_UM, heights):
                pixels = microscope.picture(truth.z_focus_um + z_um)
                row = _measure(sensor, pixels)
                rows.append({"field": number, "group": f"{kind} {sparsity}", "d_um": -z_um, **row})
            progress.done(f"{kind} {sparsity}")
    return rows


def _measure(sensor: FocusSensor, pixels: np.ndarray) -> Row:
    now = monotonic_ns()
    seen = measure(sensor, Frame(pixels, PixelFormat.RGB8, 1, now, now), Lap())
    estimate = seen.estimate
    row: Row = {"k": seen.ranked.k, "reason": None, "estimate_um": None}
    if not isinstance(estimate, FocusEstimate):
        return {**row, "reason": estimate.reason.value}
    network = float(np.median(seen.patches.spread_um))
    return {**row, "estimate_um": estimate.defocus_um, "interval_um": estimate.interval_um,
            "spread_um": estimate.spread_um, "network_um": network}  # fmt: skip


def summarise(rows: list[Row]) -> list[Row]:
    """Per group: frames, share answered, MAE, median error, direction for |d| >= 1 um, coverage."""
    table = []
    for group in dict.fromkeys(row["group"] for row in rows):
        mine = [row for row in rows if row["group"] == group]
        known = [row for row in mine if row["estimate_um"] is not None]
        errors = np.array([abs(r["estimate_um"] - r["d_um"]) for r in known])
        far = [r for r in known if abs(r["d_um"]) >= 1.0]
        line: Row = {"group": group, "frames": len(mine), "answered": len(known) / len(mine)}
        if known and "blank" not in group:
            right = [r["estimate_um"] * r["d_um"] > 0 for r in far]
            inside = errors <= [r["interval_um"] for r in known]
            line |= {
                "mae_um": float(errors.mean()),
                "median_um": float(np.median(errors)),
                "direction": float(np.mean(right)) if right else None,
                "coverage": float(np.mean(inside)),
                "interval_um": float(np.median([r["interval_um"] for r in known])),
            }
        table.append(line)
    return table


def conformal_factor(rows: list[Row], calibration: Calibration) -> float:
    """Factor on the interval that covers 95 % of the errors in `rows` (finite-sample quantile)."""
    ratios = sorted(
        abs(r["estimate_um"] - r["d_um"])
        / calibration.interval_um(r["estimate_um"], r["network_um"], r["spread_um"], r["k"])
        for r in rows
        if r["estimate_um"] is not None and "blank" not in r["group"]
    )
    if len(ratios) < 20:
        raise SystemExit(f"{len(ratios)} frames are too few to calibrate on: take more --fields")
    rank = math.ceil((len(ratios) + 1) * COVERAGE)
    return float(ratios[min(rank, len(ratios)) - 1])


def calibrate(rows: list[Row], manifest_path: Path) -> Calibration:
    """Fit on each half of the fields, write the more cautious result into the manifest."""
    manifest = Manifest.read(manifest_path)
    start = Calibration(range_um=manifest.optics.range_um)
    halves = [[r for r in rows if r["field"] % 2 == odd] for odd in (0, 1)]
    factors = [conformal_factor(half, start) for half in halves]
    for factor, other in zip(factors, reversed(halves), strict=True):
        print(f"factor {factor:.3f} covers {covered(other, scaled(start, factor)):.0%} of the rest")
    best = scaled(start, max(factors))
    interval = {name: getattr(best, name) for name in COEFFICIENTS}
    changed = dataclasses.replace(
        manifest, calibration={**manifest.calibration, "interval": interval}
    )
    changed.write(manifest_path)
    return best


def scaled(calibration: Calibration, factor: float) -> Calibration:
    """The same interval, `factor` times as wide."""
    return dataclasses.replace(
        calibration, **{n: round(factor * getattr(calibration, n), 4) for n in COEFFICIENTS}
    )


def covered(rows: list[Row], calibration: Calibration) -> float:
    """Share of the answered frames with content whose error lies inside their interval."""
    lines = with_interval(rows, calibration)
    inside = [
        abs(r["estimate_um"] - r["d_um"]) <= r["interval_um"]
        for r in lines
        if r["estimate_um"] is not None and "blank" not in r["group"]
    ]
    return float(np.mean(inside))


def with_interval(rows: list[Row], calibration: Calibration) -> list[Row]:
    """The rows with the interval that `calibration` gives them."""
    out = []
    for r in rows:
        if r["estimate_um"] is not None:
            interval = calibration.interval_um(
                r["estimate_um"], r["network_um"], r["spread_um"], r["k"]
            )
            r = {**r, "interval_um": interval}
        out.append(r)
    return out


def main() -> None:
    """Measure, print, and on request calibrate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=6, help="fields per group")
    parser.add_argument("--heights", type=int, default=3, help="random z per field")
    parser.add_argument("--dirt", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--calibrate", action="store_true", help="write into the DPN's manifest")
    options = parser.parse_args()
    models = ModelSettings()
    sensor, _ = build_sensor(models, NOMINAL, ClassRule())
    rows = measure_fields(sensor, options.fields, options.heights, options.dirt)
    if options.calibrate:
        rows = with_interval(rows, calibrate(rows, models.dpn))
    table = summarise(rows)
    for line in table:
        numbers = (f"{k} {v:.2f}" if isinstance(v, float) else f"{k} {v}" for k, v in line.items())
        print("  ".join(numbers))
    if options.json:
        options.json.write_text(json.dumps({"groups": table, "frames": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
