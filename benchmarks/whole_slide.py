"""Three pipelines over the same slides, by the same truth (Fig. 7 of the paper), on one page.

python -m benchmarks.whole_slide [--slides 5] [--out report/wsi] [--json FILE]        or `make wsi`

Virtual slides of 15 x 15 mm of tissue and smears in a circle of 13 mm, with the topography of
published parameters. The eye is a MODEL of the networks and of the stage's time
(simulator/virtual_slide.py); no picture is rendered. Hill climbing ends below the networks' focus
by a constant; it is taken out, as a person who knows their instrument would. A field that nobody
took counts as out of focus.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import machine, whole_slide_page
from benchmarks.whole_slide_page import HALF_DOF_UM
from edge.appliance.files import write_result
from edge.wsi.focus_map import FocusMap, MapLimits
from edge.wsi.grid import Grid
from edge.wsi.path import Field, plan_scan
from edge.wsi.pipelines import KeyPoints, OneStep, Pipeline, Taken, TwoStep
from edge.wsi.regions import Box, Mask
from edge.wsi.route import Cell
from edge.wsi.walk import SIDES, Walk
from simulator.topography import Topography, TopographyParameters
from simulator.virtual_slide import EyeParameters, VirtualEye

GRID = Grid(832.32, 696.32, 0.1)  # 2448 x 2048 px of 0.34 um
WINDOW = Box(-9000.0, -9000.0, 9000.0, 9000.0)
START_UM, CELL_UM = 35.0, 200.0
OFFSET_UM = -0.8  # of what hill climbing finds, from the networks' focus
KEY_POINTS = (9, 16, 25, 49, 100)
EYES = {
    "tissue": EyeParameters(search_offset_um=OFFSET_UM),
    "cells": EyeParameters(sd_um=0.25, answered=0.75, search_offset_um=OFFSET_UM),
}
EDGE = 2 / 9
#: few key points lie far apart: their map may say what it says, however far away
WIDE = MapLimits(reach_um=1e6, support=3, support_um=1e6, nearest=100)


def mask_of(slide: Topography, kind: str) -> Mask:
    """Tissue: 55 % of a square of 15 mm. Cells: 80 % of a circle of 13 mm, in patches."""
    size_um = 15_000.0 if kind == "tissue" else 13_000.0
    n = round(size_um / CELL_UM)
    x, y = np.meshgrid(*[(np.arange(n) + 0.5) * CELL_UM - size_um / 2] * 2)
    content = slide.tissue(x, y)
    there = content > np.quantile(content, 0.45 if kind == "tissue" else 0.2)
    if kind == "cells":
        there &= np.hypot(x, y) <= size_um / 2
    return Mask(there, CELL_UM, -size_um / 2, -size_um / 2)


def edges(mask: Mask, field: Field) -> frozenset[Cell]:
    """The sides to whose edge something reaches."""
    box = GRID.box(field.cell)

    def part(low: float, high: float, side: int) -> tuple[float, float]:
        width = (high - low) * EDGE
        return {-1: (low, low + width), 0: (low, high), 1: (high - width, high)}[side]

    reached = []
    for row, column in SIDES:
        (x0, x1), (y0, y1) = part(box.x0_um, box.x1_um, column), part(box.y0_um, box.y1_um, row)
        if mask.content_um2(Box(x0, y0, x1, y1)) > 0:
            reached.append((row, column))
    return frozenset(reached)


@dataclass(slots=True)
class Scanned:
    """One slide by one pipeline: places (n, 2) mm, heights taken and errors, um, of its content."""

    places_mm: npt.NDArray[np.float64]
    z_um: npt.NDArray[np.float64]
    error_um: npt.NDArray[np.float64]
    seconds: float
    focus_s: float

    @property
    def share(self) -> float:
        """Within half the depth of field."""
        return float(np.mean(np.abs(self.error_um) <= HALF_DOF_UM))

    @property
    def cm2_per_min(self) -> float:
        """Area in focus over the time of the scan."""
        area_cm2 = GRID.pitch_x_um * GRID.pitch_y_um / 1e8
        return self.share * len(self.error_um) * area_cm2 / (self.seconds / 60.0)


def scan(make: Callable[[], Pipeline], seed: int, kind: str, roughness: float = 1.0) -> Scanned:
    """The slide of that seed, by that pipeline."""
    slide = Topography(seed, TopographyParameters(roughness=roughness))
    mask = mask_of(slide, kind)
    plan = plan_scan([mask], GRID, WINDOW, columns=True)
    claimed = {field.cell for field in plan}
    eye = VirtualEye(slide, lambda field: field.cell in claimed, seed, EYES[kind],
                     toward=lambda field: edges(mask, field))  # fmt: skip
    pipeline = make()
    limits = WIDE if isinstance(pipeline, KeyPoints) else MapLimits(nearest=48)
    walk, focus_map = Walk(plan), FocusMap(limits=limits)
    taken: dict[int, Taken] = {}
    for event in pipeline.fields(walk, focus_map, eye):
        if isinstance(event, Taken):
            taken[event.field.id] = event
    rows = []
    for field in plan:
        z_um = taken[field.id].z_um
        truth_um = eye.focus_um(field)
        rows.append((field.x_um / 1e3, field.y_um / 1e3, truth_um if z_um is None else z_um,
                     math.inf if z_um is None else z_um - truth_um))  # fmt: skip
    table = np.array(rows)
    return Scanned(table[:, :2], table[:, 2], table[:, 3], eye.now_s, eye.focus_s)


def ways() -> dict[str, Callable[[], Pipeline]]:
    """All that are compared, by name."""
    made: dict[str, Callable[[], Pipeline]] = {
        f"{count} key points": lambda count=count: KeyPoints(  # type: ignore[misc]
            START_UM, count, offset_um=-OFFSET_UM
        )
        for count in KEY_POINTS
    }
    return {**made, "two steps": lambda: TwoStep(START_UM), "one step": lambda: OneStep(START_UM)}


def row_of(name: str, kind: str, scans: list[Scanned]) -> dict[str, Any]:
    """Over all slides."""
    errors = np.abs(np.concatenate([s.error_um for s in scans]))
    return {
        "way": name,
        "kind": kind,
        "p50_um": float(np.quantile(errors, 0.5, method="inverted_cdf")),
        "p95_um": float(np.quantile(errors, 0.95, method="inverted_cdf")),
        "share": float(np.mean(errors <= HALF_DOF_UM)),
        "worst_slide": min(s.share for s in scans),
        "seconds": float(np.mean([s.seconds for s in scans])),
        "focus_s": float(np.mean([s.focus_s for s in scans])),
        "cm2_per_min": float(np.mean([s.cm2_per_min for s in scans])),
    }


def main() -> None:
    """Judge, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("report/wsi"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows, shown = [], {}
    for kind in EYES:
        for name, make in ways().items():
            scans = [scan(make, seed, kind) for seed in range(options.slides)]
            rows.append(row_of(name, kind, scans))
            shown[kind, name] = scans[0]
            print(whole_slide_page.line(rows[-1]), flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    page = options.out / "index.html"
    write_result(whole_slide_page.page(rows, shown, options.slides), page, "--out")
    machine.write(options.json, {"slides": options.slides, "rows": rows})
    print(f"page: {page}")


if __name__ == "__main__":
    main()
