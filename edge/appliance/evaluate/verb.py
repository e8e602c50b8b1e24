"""`sparsefocus evaluate MANIFEST...`: the paper's metrics on z-stacks whose focus is known.

Every frame goes the way it goes on the instrument (`edge.measure.sensor.measure`): the patches are
those that RIN chooses, the class is the one it finds. The true distance is used to score, for
nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edge.appliance.evaluate.bootstrap import RESAMPLES
from edge.appliance.evaluate.evaluation import Evaluation
from edge.appliance.evaluate.examiner import Examiner, where
from edge.appliance.evaluate.metrics import PAPER_DOF_UM, blanks, tables, worst
from edge.appliance.evaluate.page import write_page
from edge.appliance.evaluate.rows_file import rows_file
from edge.appliance.evaluate.text import blank_text, condition_text, unscored_text, worst_text
from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.frame_result import FrameResult
from edge.appliance.objective import AskedObjective, add_objective, objective_of
from edge.appliance.progress import Progress
from edge.appliance.report.report import check_folder
from edge.errors import ConfigError
from edge.images.image_file import printable
from edge.images.zstack import Exposure, read_manifest, read_pixels
from edge.measure.importance import ClassRule
from edge.open_sensor import build_sensor
from edge.optics import SAME, Objective
from edge.settings import ModelSettings
from engines.engine import MODELS
from engines.manifest import Manifest

MAX_DOF_UM = 1000.0
CLUSTER = "training.cluster"  # where the extra `train` is installed
#: an exposure, and what it counts as where its manifest does not say
Item = tuple[Exposure, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("manifests", nargs="+", type=Path, metavar="MANIFEST", help="manifest.csv of z-stacks")
    add("--models", type=Path, default=MODELS, metavar="DIR", help="rin.json and dpn.json")
    add_objective(parser)
    add("--split", metavar="NAME", help="only rows whose column `split` says so, as in test")
    add("--limit", type=int, metavar="N", help="at most N frames, evenly over the manifests")
    dof = "|error| that counts as 1 DoF (default: half the objective's depth of field)"
    add("--dof-um", type=float, metavar="X", help=dof)
    add_json(parser, "the tables")
    add("--rows", type=Path, metavar="FILE", help="write a CSV row per frame")
    add("--report", type=Path, metavar="DIR", help="write a page with plots there")
    add("--workers", type=int, metavar="N", help="local processes (default: this one)")
    add("--scheduler", metavar="ADDRESS", help="of Dask, such as tcp://10.0.0.2:8786")
    add("--quiet", action="store_true", help="no progress, no tables")


def run(options: argparse.Namespace) -> int:
    """0 when every frame was measured; what cannot be used is a ConfigError."""
    if options.limit is not None and not options.limit >= 1:
        raise ConfigError(f"--limit {options.limit} must be at least 1")
    if options.dof_um is not None and not 0.0 < options.dof_um <= MAX_DOF_UM:
        raise ConfigError(f"--dof-um {options.dof_um} must be above 0 and at most {MAX_DOF_UM:g}")
    if options.report is not None:
        check_folder(options.report)
    items = _chosen(options.manifests, options.split, options.limit)
    models = ModelSettings(rin=options.models / "rin.json", dpn=options.models / "dpn.json")
    asked = objective_of(options, models.dpn)
    objective = asked.objective
    _check_scale(options.um_per_px, items)
    rows = _measure(items, models, objective, options)
    evaluation = _evaluation(rows, options, models, asked)
    _publish(evaluation, options)
    return 0


def _chosen(manifests: Sequence[Path], split: str | None, limit: int | None) -> list[Item]:
    """The exposures to measure, in the manifests' order, stack by stack."""
    items: list[Item] = []
    for path in manifests:
        exposures = read_manifest(path)
        if split is not None and not any("split" in e.extra for e in exposures):
            raise ConfigError(f"{path}: --split {split} needs the column `split`, there is none")
        named = path.resolve().parent.name or "frames"
        items += [(e, named) for e in exposures if split in (None, e.extra.get("split"))]
    if not items:
        raise ConfigError(f"--split {split}: no row of the manifests says so")
    if limit is not None and limit < len(items):
        chosen = np.linspace(0, len(items) - 1, limit).round().astype(int)
        items = [items[i] for i in chosen]
    return items


def _check_scale(asked: float | None, items: Sequence[Item]) -> None:
    """ConfigError where an option contradicts a manifest."""
    for exposure, _ in items:
        given = exposure.um_per_px
        if asked is not None and given is not None and not abs(asked - given) <= SAME * given:
            raise ConfigError(
                f"{where(exposure)}: um_per_px = {given:g} contradicts --um-per-px {asked:g}"
            )


def _of_stack(group: Sequence[Item], objective: Objective) -> Objective:
    """The objective with the pixel size that the stack's manifest tells."""
    um_per_px = group[0][0].um_per_px
    return objective if um_per_px is None else replace(objective, um_per_px=um_per_px)


def _measure(
    items: Sequence[Item], models: ModelSettings, objective: Objective, options: argparse.Namespace
) -> list[FrameResult]:
    """Stack by stack, here or on the workers that were asked for; the rows are the same."""
    groups = [list(group) for _, group in itertools.groupby(items, _stack)]
    progress = Progress(len(groups), options.quiet)
    rows: list[FrameResult] = []
    jobs = [(group, models, _of_stack(group, objective)) for group in groups]
    try:
        with (
            contextlib.closing(_measured(jobs, options)) as measured,
            rows_file(options.rows) as keep,
        ):
            for results in measured:
                for result in results:
                    keep(result)
                rows += results
                progress.done(f"{rows[-1].condition}, {rows[-1].group}")
    finally:
        _examiner.cache_clear()
    return rows


def _measured(
    jobs: list[tuple[Any, ...]], options: argparse.Namespace
) -> Generator[list[FrameResult], None, None]:
    if options.workers is None and options.scheduler is None:
        yield from (measure_stack(*job) for job in jobs)
        return
    try:
        cluster = importlib.import_module(CLUSTER)
    except ImportError as error:
        raise ConfigError(
            f"--workers needs the extra `train`: pip install 'sparsefocus-edge[train]' ({error})"
        ) from error
    one_thread = [(group, replace(models, threads=1), optics) for group, models, optics in jobs]
    yield from cluster.in_order(measure_stack, one_thread, options.workers, options.scheduler)


def measure_stack(
    items: Sequence[Item], models: ModelSettings, objective: Objective
) -> list[FrameResult]:
    """The result of every exposure; needs the files, writes nothing."""
    examiner = _examiner(models, objective)
    return [examiner.examine(e, read_pixels(e), condition) for e, condition in items]


@lru_cache(maxsize=4)
def _examiner(models: ModelSettings, objective: Objective) -> Examiner:
    """Once per process: opening the networks takes longer than measuring a frame."""
    sensor, _ = build_sensor(models, objective, ClassRule())
    return Examiner(sensor, objective)


def _stack(item: Item) -> tuple[str, str]:
    exposure, condition = item
    return condition, exposure.stack_id


def _evaluation(
    rows: list[FrameResult],
    options: argparse.Namespace,
    models: ModelSettings,
    asked: AskedObjective,
) -> Evaluation:
    dof_um = asked.objective.half_depth_um if options.dof_um is None else options.dof_um
    hashes = {name: Manifest.read(getattr(models, name)).sha256[:12] for name in ("rin", "dpn")}
    facts = {
        "manifests": ", ".join(map(str, options.manifests)),
        "models": ", ".join(f"{name} {value}" for name, value in hashes.items()),
        "objective": asked.sentence,
        "split": options.split or "all rows",
        "depth of field": f"{dof_um:.3f} um is 1 DoF; the paper's tables fit {PAPER_DOF_UM:g} um",
        "95 % ranges": f"{RESAMPLES} resamples of slides, seed 0",
    }
    unscored = Counter(r.condition for r in rows if not r.scored and not r.blank)
    return Evaluation(
        rows, tables(rows, dof_um), blanks(rows), worst(rows), unscored, dof_um, facts
    )


def _publish(evaluation: Evaluation, options: argparse.Namespace) -> None:
    write_json(evaluation.as_json(), options.json)
    if not options.quiet and not is_standard(options.json):
        print(_text(evaluation))
    if options.report is not None:
        page = write_page(evaluation, options.report)
        if not is_standard(options.json):
            print(f"report: {printable(page)}")


def _text(evaluation: Evaluation) -> str:
    parts = [condition_text(evaluation, name) for name in evaluation.conditions]
    if evaluation.blanks:
        parts.append("\n".join(map(blank_text, evaluation.blanks)))
    if evaluation.unscored:
        parts.append(unscored_text(evaluation.unscored))
    if evaluation.worst:
        parts.append(worst_text(evaluation.worst[:5]))
    return "\n\n".join(parts)
