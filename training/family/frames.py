"""Frames of a row: rendered once and kept on disk, measured once per pair of models."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from edge.appliance.evaluate.examiner import Examiner
from edge.appliance.evaluate.rows_file import read_rows, rows_file
from edge.appliance.frame_result import FrameResult
from edge.appliance.progress import Progress
from edge.errors import EngineRejected
from edge.images.zstack import read_manifest, read_pixels
from edge.measure.importance import ClassRule
from edge.open_sensor import build_sensor
from edge.optics import Objective
from edge.settings import ModelSettings
from engines.manifest import Family, Manifest
from training.family.instruments import Row
from training.judge.specimens import GROUPS
from training.judge.stacks import Job, fill
from training.stack_folder import MANIFEST

#: of the nominal axis
RANGE_UM = 26.0
CONTENT = tuple(group for group in GROUPS if group != "blank")
#: wider than any row: what the networks would say where the manifest's range refuses
EVERY_OBJECTIVE = Family(na=(0.02, 0.99), pixel=(0.05, 5.0), refractive_index=(1.0, 1.6))


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of each row: slides per group, planes of each, the test's seed."""

    slides: int
    planes: int
    seed: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A row's frames. `refused` is what the runtime says to the objective, "" where it takes it:
    the frames are measured all the same, with the range lifted."""

    row: Row
    frames: list[FrameResult]
    refused: str


def measured(row: Row, plan: Plan, models: Path, out: Path, workers: int | None) -> Measured:
    """Render what is missing, measure what is missing."""
    job = Job(row.bench(), plan.seed, CONTENT, plan.planes, RANGE_UM * row.unit, condition=row.name)
    folder = out / "sets" / row.name
    fill(folder, job, plan.slides, quiet=False, workers=workers)
    exposures = read_manifest(folder / MANIFEST)
    key = Manifest.read(models / "dpn.json").sha256[:12]
    kept = out / "rows" / key / f"{row.name}.csv"
    kept.parent.mkdir(parents=True, exist_ok=True)
    before = {r.file: r for r in read_rows(kept)} if kept.exists() else {}
    refused = refusal(models, row.objective)
    frames = [before[str(e.path)] for e in exposures if str(e.path) in before]
    left = [e for e in exposures if str(e.path) not in before]
    if left:
        lifted = without_range(models, out / "models" / key)
        sensor, engines = build_sensor(_settings(lifted), row.objective, ClassRule())
        examiner, progress = Examiner(sensor, row.objective), Progress(len(left), False)
        for exposure in left:
            frames.append(examiner.examine(exposure, read_pixels(exposure), row.name))
            progress.done(f"{row.name}: measured")
        for engine in engines:
            engine.close()
        with rows_file(kept) as keep:
            for frame in frames:
                keep(frame)
    return Measured(row, frames, refused)


def refusal(models: Path, objective: Objective) -> str:
    """What the runtime says to this objective, "" where it takes it."""
    try:
        _, engines = build_sensor(_settings(models), objective, ClassRule())
    except EngineRejected as error:
        return str(error).split(": ", 1)[-1]
    for engine in engines:
        engine.close()
    return ""


def without_range(models: Path, copy: Path) -> Path:
    """The same models, said to be for every objective; returns their folder."""
    copy.mkdir(parents=True, exist_ok=True)
    for name in ("rin", "dpn"):
        manifest = Manifest.read(models / f"{name}.json")
        shutil.copyfile(models / manifest.file, copy / manifest.file)
        optics = replace(manifest.optics, family=EVERY_OBJECTIVE)
        replace(manifest, optics=optics).write(copy / f"{name}.json")
    return copy


def _settings(models: Path) -> ModelSettings:
    return ModelSettings(rin=models / "rin.json", dpn=models / "dpn.json", threads=1, backend="cpu")
