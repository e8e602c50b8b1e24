"""Fresh clean slides under every method: rendered, judged, and forgotten but for the answers.

Each slide is a job of its own with a file of its own, so a run that was broken off goes on where
it was. The slides are those of the test set `clean` (`training.cases`), which nothing was trained
or calibrated on.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from edge.appliance.progress import Progress
from training.cases import CASES, TEST, load, stage_z_um
from training.cluster import in_order
from training.fields import STEP_UM
from training.paper.answers import Answers, Methods, save
from training.paper.answers import load as load_answers
from training.stack_render import slides

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
    domain: int = TEST
    near: int = 0  # pictures more within 3 um of focus

    def path(self, slide: int) -> Path:
        """The file of a slide's answers."""
        return self.folder / f"slide-{slide:04d}.npz"


def judge(
    job: Job, workers: int | None = None, scheduler: str | None = None, quiet: bool = False
) -> list[Answers]:
    """All answers, slide by slide; on several processes as training.cluster has it."""
    job.folder.mkdir(parents=True, exist_ok=True)
    wanted = list(slides(CASE, job.count))
    open_jobs = [(slide, group) for slide, group in wanted if not job.path(slide).exists()]
    progress = Progress(len(open_jobs), quiet)
    jobs = [(job, *each) for each in open_jobs]
    for words in in_order(judge_slide, jobs, workers, scheduler):
        progress.done(words)
    return [answer for slide, _ in wanted for answer in load_answers(job.path(slide))]


def judge_slide(job: Job, slide: int, group: str) -> str:
    """Render and judge one slide; returns a line for people. May be run again."""
    methods = _methods(job.models, job.weights)
    field = load(CASE, job.seed, slide, group, job.domain)
    truth = field.truth
    rows = []
    for z_um in stage_z_um(
        CASE, job.seed, slide, job.planes, truth.z_focus_um, job.domain, job.near
    ):
        first, second = field.picture(z_um), field.picture(z_um + STEP_UM)
        true_um = truth.z_focus_um - z_um
        rows.append(methods(first, second, true_um, truth.richness, group, slide))
    save(job.path(slide), rows)
    return f"{group} {slide}"


@lru_cache(maxsize=1)
def _methods(models: Path, weights: Path) -> Methods:
    """Loaded once per process."""
    return Methods(models, weights)
