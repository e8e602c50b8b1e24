"""Renders one stack: its pictures into files, its rows of the manifest and of its patches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.appliance.evaluate.sharpness_curve import OFFSETS_UM, curve_text
from simulator.field_truth import FieldTruth
from simulator.microscope import SENSOR
from simulator.optics import NOMINAL, Instrument
from simulator.photograph import Photographs
from training.cases import CALIBRATION, TEST, Case, Field, load, stage_z_um
from training.pool import TRAINING, VALIDATION
from training.stack_folder import in_one_piece
from training.tiff_pages import TiffPages

DOMAINS = {
    "training": TRAINING,
    "validation": VALIDATION,
    "calibration": CALIBRATION,
    "test": TEST,
}
SPLIT_OF_DOMAIN = {"training": "train", "validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class Job:
    """What a run makes; all but the number of slides is fixed for a folder."""

    domain: str
    seed: int
    planes: int | str | None  # None = as the case has it
    split: bool
    photographs: Photographs | None = None
    shape: tuple[int, int] = SENSOR
    instrument: Instrument = NOMINAL
    workers: int = 1
    near: int = 0  # pictures more within 3 um of focus
    reversed_z: bool = False  # the stage's z rises as the objective sinks

    @property
    def up(self) -> int:
        """Sign of the stage's z where the objective rises."""
        return -1 if self.reversed_z else 1

    def planes_of(self, case: Case) -> int | str:
        """Number of heights of each field, or "all"."""
        return case.planes if self.planes is None else self.planes

    def split_of(self, case: Case, slide: int) -> str:
        """8:1:1 by slide within each group if asked for, else what the domain is for."""
        if not self.split:
            return SPLIT_OF_DOMAIN.get(self.domain, "")
        turn = slide // len(case.groups) % 10
        return "train" if turn < 8 else ("validation", "test")[turn - 8]


def slides(case: Case, count: int | None) -> Iterator[tuple[int, str]]:
    """Slide numbers with their group, `count` slides per group, the groups in turn."""
    for number in range(case.slides if count is None else count):
        for turn, group in enumerate(case.groups):
            yield number * len(case.groups) + turn, group


def render(
    folder: Path, job: Job, case: Case, slide: int, group: str
) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Render one stack's pictures into the folder; its rows of the manifest and of the patches.

    May be run again: pictures take their names in one piece, and are the same each time.
    """
    domain, planes = DOMAINS[job.domain], job.planes_of(case)
    field = load(
        case, job.seed, slide, group, domain, job.photographs, job.shape, job.instrument,
        job.workers,
    )  # fmt: skip
    heights = stage_z_um(case, job.seed, slide, planes, field.truth.z_focus_um, domain, job.near)
    stack_id = f"{case.name}-{slide:04d}"
    rows = []
    common = _common(job, case, slide, group, field)
    for page, (name, z_um) in enumerate(_write(folder, case, slide, planes, field, heights)):
        rows.append({
            "file": name, "page": str(page) if planes == "all" else "", "stack_id": stack_id,
            "z_um": f"{job.up * z_um:.4f}", **common,
        })  # fmt: skip
    return rows, _patches(stack_id, field.truth, job.up)


def _write(
    folder: Path, case: Case, slide: int, planes: int | str, field: Field,
    heights: list[float],
) -> Iterator[tuple[str, float]]:  # fmt: skip
    """Write every frame; yields the name of its file and its z."""
    files = [heights] if planes == "all" else [[z_um] for z_um in heights]
    for index, pages in enumerate(files):
        name = f"{case.name}/{slide:04d}{'' if planes == 'all' else f'_{index:02d}'}.tif"
        with in_one_piece(folder / name) as path, TiffPages(path) as tiff:
            for z_um in pages:
                tiff.add(field.picture(z_um))
        yield from ((name, z_um) for z_um in pages)


def _common(job: Job, case: Case, slide: int, group: str, field: Field) -> dict[str, str]:
    variation, forced = field.variation, case.dirt_of(slide)
    focus_um = field.truth.z_focus_um
    curve = field.truth.sharpness_at(focus_um + job.up * np.array(OFFSETS_UM))
    return {
        # nothing is in focus where there is nothing
        "focus_z_um": "" if group == "blank" else f"{job.up * field.truth.z_focus_um:.4f}",
        "um_per_px": f"{job.instrument.um_per_px:g}",
        "group": group,
        "condition": case.name,
        "slide": str(slide),
        "split": job.split_of(case, slide),
        "w040_waves": f"{variation.optics.w040_waves:.4f}",
        "axial_colour_um": f"{variation.optics.axial_colour_um:.4f}",
        "tilt_um_per_mm": f"{math.hypot(*variation.tilt_um_per_mm):.3f}",
        "thickness_um": f"{variation.thickness_um:.3f}",
        "phase_share": f"{variation.phase_share:.3f}",
        "softness_um": f"{variation.softness_um:.3f}",
        "sharpness": "" if curve is None else curve_text(curve.tolist()),
        "dirt": "by chance" if forced is None else "+".join(forced),
    }


def _patches(stack_id: str, truth: FieldTruth, up: int) -> list[dict[str, str]]:
    return [
        {"stack_id": stack_id, "row": str(row), "column": str(column),
         "richness": f"{truth.richness[row, column]:.4f}",
         "focus_z_um": f"{up * truth.focus_um[row, column]:.4f}"}
        for row in range(truth.richness.shape[0])
        for column in range(truth.richness.shape[1])
    ]  # fmt: skip
