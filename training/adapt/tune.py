"""Both networks, from the shipped weights on, tuned to the labelled stacks."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import torch

from edge.measure.preprocess import PatchGrid
from training.augment import rin_batch
from training.export import WEIGHTS, set_depth_share
from training.malloc_tuning import keep_memory
from training.nets import DPN, RIN
from training.novelty import summaries
from training.pool import Pool
from training.run import Run
from training.schedule import Schedule
from training.train import train

DPN_SHARE = 2 / 3  # of the minutes; the RIN's is the rest, beside it
RIN_PART = 8  # a step of the RIN takes as long as so many of the DPN on small pictures
#: the first third on small pictures, which are cheap; the rest as the runtime shows them
CROPS = ((0.35, 128), (1.01, 224))
MUON_LR, ADAM_LR = 2.5e-3, 1e-3  # half of what training from nothing takes
NOVELTY_PATCHES = 1536


@dataclass(frozen=True, slots=True)
class Wishes:
    """How to tune. `mirrored`: the instrument's z has the other sign than the shipped DPN's."""

    minutes: float  # of a core, both networks together
    steps: int  # of the DPN, where not 0: instead of the minutes
    seed: int
    mirrored: bool

    def schedule(self, kind: str) -> Schedule:
        """The DPN gets two thirds of the minutes."""
        share, batch, part = (DPN_SHARE, 64, 1) if kind == "dpn" else (1 - DPN_SHARE, 8, RIN_PART)
        steps = max(1, self.steps // part) if self.steps else 0
        schedule = Schedule(kind, self.seed, self.minutes * share, steps, batch)
        schedule.muon_lr, schedule.adam_lr = MUON_LR, ADAM_LR
        return schedule


def start(kind: str, grid: PatchGrid, schedule: Schedule | None = None) -> Run:
    """A run that begins with the shipped weights."""
    run = Run(schedule or Schedule(kind, steps=1))
    run.begin_from(WEIGHTS / f"{kind}.pt")
    for net in (run.net, run.average):
        if isinstance(net, RIN):
            net.take_shape(grid.small_px, (grid.rows, grid.columns))
    return run


@torch.no_grad()
def mirror(run: Run) -> None:
    """Negate what a DPN answers: its bins are even about 0, so their order is turned round."""
    for net in (run.net, run.average):
        assert isinstance(net, DPN)
        net.head.weight.copy_(net.head.weight.flip(0))
        net.head.bias.copy_(net.head.bias.flip(0))


def tune(dpn: Pool, rin: Pool, grid: PatchGrid, wishes: Wishes, folder: Path) -> tuple[Run, Run]:
    """The DPN here and the RIN in a process beside it: (rin, dpn)."""
    context = multiprocessing.get_context("spawn")
    arguments = rin.folder, grid, wishes, folder / "rin"
    beside = context.Process(target=_tune_rin, args=arguments)
    beside.start()
    try:
        tuned = _tune_dpn(dpn, wishes, folder / "dpn")
    finally:
        if beside.is_alive() and not (folder / "dpn" / "checkpoint.pt").exists():
            beside.terminate()  # this side failed: nobody waits for the other
        beside.join()
    if beside.exitcode:
        raise RuntimeError(f"tuning the RIN ended with {beside.exitcode}")
    run = Run.load(folder / "rin" / "checkpoint.pt")
    for net in (run.net, run.average):
        assert isinstance(net, RIN)
        net.take_shape(grid.small_px, (grid.rows, grid.columns))
    return run, tuned


def _tune_dpn(pool: Pool, wishes: Wishes, out: Path) -> Run:
    schedule = wishes.schedule("dpn")
    tile = pool.images.shape[1]
    schedule.crops = tuple((share, min(px, tile // 32 * 32)) for share, px in CROPS)
    run = start("dpn", PatchGrid(), schedule)
    if wishes.mirrored:
        mirror(run)
    _train(run, pool, out)
    assert isinstance(run.average, DPN)
    features = summaries(run.average.eval(), pool, NOVELTY_PATCHES)
    run.average.novelty.fit(features)
    set_depth_share(run, 0.0)  # the thickness was not tuned: it tells nothing here
    return run


def _tune_rin(folder: Path, grid: PatchGrid, wishes: Wishes, out: Path) -> None:
    run = start("rin", grid, wishes.schedule("rin"))
    run.make = partial(rin_batch, grid=(grid.rows, grid.columns))
    _train(run, Pool.open(folder), out)


def _train(run: Run, pool: Pool, out: Path) -> None:
    torch.set_num_threads(1)  # one core each
    cv2.setNumThreads(1)
    keep_memory()
    out.mkdir(parents=True, exist_ok=True)
    if not train(run, pool, out):
        raise KeyboardInterrupt
