"""The judge's z-stacks on disk, in the project's format: what `sparsefocus evaluate` reads.

`focus_z_um` is the sharpest plane of the field, `patches.csv` has that of every patch. Further
columns say what was drawn, where absorption alone would be in focus (`absorption_z_um`) and, where
asked for, where other measures have their best.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from edge.appliance.progress import Progress
from training.cluster import in_order
from training.judge.canvas import F32
from training.judge.field import DOMAIN, JudgeField, JudgeInstrument
from training.judge.instrument import RGB
from training.judge.picture import LUMINANCE
from training.judge.sharpness import laplacian, octave_coarser, variance
from training.judge.specimens import GROUPS
from training.stack_folder import StackFolder, in_one_piece
from training.tiff_pages import TiffPages

Rows = list[dict[str, str]]

ALL_STEP_UM = 0.5
NEAR_UM = 3.0  # where a specimen's own phase and softness look like defocus
#: further measures, what is taken of the picture, and of which sum of the colours
OTHERS: dict[str, tuple[Callable[[F32], F32], RGB]] = {
    "octave_z_um": (octave_coarser, LUMINANCE),
    "green_laplacian_z_um": (laplacian, (0.0, 1.0, 0.0)),
    "grey_variance_z_um": (variance, (1 / 3, 1 / 3, 1 / 3)),
}
OTHER_COLUMNS = tuple(OTHERS)
EXTRA = (
    "group", "condition", "slide", "split", "w040_waves", "axial_colour_um", "tilt_um_per_mm",
    "thickness_um", "dirt", "absorption_z_um", "phase", "softness", "stain", "exact", "content",
    *OTHER_COLUMNS,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Job:
    """What a run makes. `planes`: one even draw from each of N strata of +-range, or "all"; or
    heights above the sharpest plane in `at_um`. `near`: pictures more within NEAR_UM.
    `others`: find the other measures' best, too."""

    instrument: JudgeInstrument = field(default_factory=JudgeInstrument)
    seed: int = 0
    groups: tuple[str, ...] = GROUPS
    planes: int | str = 4
    range_um: float = 25.0
    at_um: tuple[float, ...] = ()
    condition: str = "judge"
    others: bool = False
    near: int = 0


def offsets_um(job: Job, group: str, number: int) -> list[float]:
    """Heights of a field's pictures above its sharpest plane, ascending."""
    if job.at_um:
        return sorted(job.at_um)
    if job.planes == "all":
        count = round(2 * job.range_um / ALL_STEP_UM) + 1
        return [float(z) for z in np.linspace(-job.range_um, job.range_um, count)]
    rng = np.random.default_rng([DOMAIN, job.seed, GROUPS.index(group), number, 2])
    wide = 2 * job.range_um / int(job.planes)
    even = [float(-job.range_um + wide * (n + rng.uniform())) for n in range(int(job.planes))]
    return sorted([*even, *(float(z) for z in rng.uniform(-NEAR_UM, NEAR_UM, job.near))])


def slides(job: Job, count: int) -> Iterator[tuple[str, int]]:
    """Group and number of each field, the groups in turn."""
    for number in range(count):
        for group in job.groups:
            yield group, number


def stack_id(job: Job, group: str, number: int) -> str:
    """The name of a field's stack."""
    return f"{job.condition}-{group.replace(' ', '-')}-{number:04d}"


def render(folder: Path, job: Job, group: str, number: int) -> tuple[Rows, Rows]:
    """Render a field's pictures into the folder; its rows of the manifest and of the patches. The
    same each time; the pictures take their names in one piece."""
    field = JudgeField(job.instrument, job.seed, number, group)
    name = stack_id(job, group, number)
    focus_um = round(field.sharpest.field_um, 4)
    heights = [round(focus_um + offset, 4) for offset in offsets_um(job, group, number)]
    common = _common(job, field, name, focus_um)
    paged = job.planes == "all" and not job.at_um
    rows: Rows = []
    for index, pages in enumerate([heights] if paged else [[z_um] for z_um in heights]):
        file = f"{job.condition}/{name}{'' if paged else f'_{index:02d}'}.tif"
        with in_one_piece(folder / file) as path, TiffPages(path) as tiff:
            for z_um in pages:
                tiff.add(field.picture(z_um))
        for page, z_um in enumerate(pages):
            rows.append({
                "file": file, "page": str(page) if paged else "", "z_um": f"{z_um:.4f}", **common,
            })  # fmt: skip
    return rows, _patches(name, field)


def _common(job: Job, field: JudgeField, name: str, focus_um: float) -> dict[str, str]:
    slide, blank = field.slide, field.group == "blank"
    return {
        "stack_id": name,
        "focus_z_um": "" if blank else f"{focus_um:.4f}",
        "um_per_px": f"{job.instrument.scope.um_per_px:g}",
        "group": field.group,
        "condition": job.condition,
        "slide": name,
        "split": "",
        "w040_waves": f"{slide.w040_waves:.4f}",
        "axial_colour_um": f"{slide.axial_um:.4f}",
        "tilt_um_per_mm": f"{math.hypot(*slide.tilt_um_per_mm):.3f}",
        "thickness_um": f"{slide.thickness_um:.3f}",
        "dirt": f"{slide.dirt:g}",
        "absorption_z_um": "" if blank else f"{field.surface_um:.4f}",
        "phase": f"{slide.phase:.3f}",
        "softness": f"{slide.softness:.3f}",
        "stain": slide.stain,
        "exact": str(int(field.exact)),
        "content": str(field.content),
        **_iris(job, field),
        **_others(job, field),
    }


def _iris(job: Job, field: JudgeField) -> dict[str, str]:
    """As drawn for the slide; older folders have no such column."""
    if job.instrument.iris is None:
        return {}
    return {"condenser": f"{field.instrument.scope.condenser:.4f}"}


def _others(job: Job, field: JudgeField) -> dict[str, str]:
    if not job.others or field.group == "blank":
        return dict.fromkeys(OTHER_COLUMNS, "")
    best = {name: f"{field.best_by(*other):.4f}" for name, other in OTHERS.items()}
    return dict.fromkeys(OTHER_COLUMNS, "") | best


def _patches(name: str, field: JudgeField) -> Rows:
    return [
        {"stack_id": name, "row": str(row), "column": str(column),
         "richness": f"{field.richness[row, column]:.4f}",
         "focus_z_um": f"{field.sharpest.patch_um[row, column]:.4f}"}
        for row in range(field.grid.rows)
        for column in range(field.grid.columns)
    ]  # fmt: skip


def fill(
    out: Path,
    job: Job,
    count: int,
    quiet: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
) -> int:
    """Render what is still missing of `count` slides per group; returns the frames. On several
    processes: the same files. ConfigError for a folder made with other settings or in use."""
    extra = EXTRA if job.instrument.iris is None else (*EXTRA, "condenser")
    with StackFolder(out, _settings(job), extra) as folder:
        left = [w for w in slides(job, count) if stack_id(job, *w) not in folder.done]
        progress, frames = Progress(len(left), quiet), 0
        jobs = [(out.resolve(), job, *each) for each in left]
        rendered = in_order(render, jobs, workers, scheduler)
        for (group, number), (rows, patches) in zip(left, rendered, strict=True):
            folder.add(rows, patches)
            frames += len(rows)
            progress.done(f"{group} {number}")
    return frames


def _settings(job: Job) -> dict[str, object]:
    bench = asdict(job.instrument)
    if job.instrument.iris is None:
        del bench["iris"]  # older folders do not say
    return {
        "seed": job.seed,
        "planes": job.planes,
        "range_um": job.range_um,
        "at_um": list(job.at_um),
        "condition": job.condition,
        "others": job.others,
        **({"near": job.near} if job.near else {}),  # older folders do not say
        "bench": _listed(bench),
    }


def _listed(value: object) -> object:
    """As JSON reads it again."""
    if isinstance(value, dict):
        return {name: _listed(each) for name, each in value.items()}
    return [_listed(each) for each in value] if isinstance(value, (tuple, list)) else value


def some_groups(names: Sequence[str]) -> tuple[str, ...]:
    """Groups by name; "cell" is all of cells, "tissue" all of tissue. ValueError for another."""
    chosen: list[str] = []
    for name in names:
        groups = [group for group in GROUPS if name in (group, group.split(" ")[0])]
        if not groups:
            raise ValueError(f"group {name!r} must be cell, tissue or one of {', '.join(GROUPS)}")
        chosen += [group for group in groups if group not in chosen]
    return tuple(chosen) or GROUPS
