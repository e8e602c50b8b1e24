"""Fresh clean slides under every method: rendered, judged, and forgotten but for the answers.

Each slide is a job of its own with a file of its own, so a run that was broken off goes on where
it was. The slides are those of the test set `clean` (`training.cases`), which nothing was trained
or calibrated on.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2

from edge.appliance.progress import Progress
from training.cases import CASES, load, stage_z_um
from training.paper.answers import Answers, Methods, save
from training.paper.answers import load as load_answers
from training.pool import STEP_UM
from training.stacks import slides

CASE = CASES["clean"]


@dataclass(frozen=True, slots=True)
class Job:
    """What is judged: `count` slides per group, `planes` heights each, files into `folder`."""

    folder: Path
    models: Path
    weights: Path
    count: int
    planes: int
    seed: int = 1

    def path(self, slide: int) -> Path:
        """The file of a slide's answers."""
        return self.folder / f"slide-{slide:04d}.npz"


def judge(job: Job, workers: int, quiet: bool = False) -> list[Answers]:
    """All answers, slide by slide, from `workers` processes or, with 0, from this one."""
    job.folder.mkdir(parents=True, exist_ok=True)
    wanted = list(slides(CASE, job.count))
    open_jobs = [(slide, group) for slide, group in wanted if not job.path(slide).exists()]
    progress = Progress(len(open_jobs), quiet)
    for words in _run(job, open_jobs, workers):
        progress.done(words)
    return [answer for slide, _ in wanted for answer in load_answers(job.path(slide))]


def _run(job: Job, open_jobs: list[tuple[int, str]], workers: int) -> Iterator[str]:
    if workers == 0 and open_jobs:
        methods = Methods(job.models, job.weights)
        yield from (judge_slide(methods, job, *each) for each in open_jobs)
    if workers == 0 or not open_jobs:
        return
    # spawned, not forked: threads of OpenCV and PyTorch do not survive a fork
    with ProcessPoolExecutor(workers, get_context("spawn"), _load_methods, (job,)) as pool:
        pending = [pool.submit(_work, job, *each) for each in open_jobs]
        try:
            for done in as_completed(pending):
                yield done.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def judge_slide(methods: Methods, job: Job, slide: int, group: str) -> str:
    """Render and judge one slide; returns a line for people."""
    field = load(CASE, job.seed, slide, group)
    truth = field.truth
    rows = []
    for z_um in stage_z_um(CASE, job.seed, slide, job.planes, truth.z_focus_um):
        first, second = field.picture(z_um), field.picture(z_um + STEP_UM)
        true_um = truth.z_focus_um - z_um
        rows.append(methods(first, second, true_um, truth.richness, group, slide))
    save(job.path(slide), rows)
    return f"{group} {slide}"


_methods: Methods | None = None


def _load_methods(job: Job) -> None:
    global _methods
    cv2.setNumThreads(1)
    _methods = Methods(job.models, job.weights)


def _work(job: Job, slide: int, group: str) -> str:
    assert _methods is not None
    return judge_slide(_methods, job, slide, group)
