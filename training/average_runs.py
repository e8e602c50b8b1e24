"""Several runs averaged: `python -m training.average_runs OUT CHECKPOINT... --pool P...`.

Runs that began with the same weights and saw other slides end in the same valley; their mean is
better than each (Wortsman et al. 2022, "Model soups"), and each may use a core of its own.
Batch statistics are not weights: those of the mean are measured anew on patches of the pools.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import nn

from training.augment import PATCH_PX
from training.pool import Pool
from training.run import Run, look_up

SEED, BATCH, BATCHES_LOOKED_AT = 77, 64, 120


def average_weights(paths: Sequence[Path]) -> Run:
    """The first run with the mean of all averaged weights, its samples and seconds with what the
    others added; SystemExit where they are not the same network."""
    runs = [Run.load(path) for path in paths]
    first = runs[0]
    for path, run in zip(paths[1:], runs[1:], strict=True):
        same = (
            run.schedule.kind == first.schedule.kind
            and run.schedule.variant == first.schedule.variant
        )
        if not same:
            raise SystemExit(f"{path}: not the same network as {paths[0]}")
        first.samples += run.step * run.schedule.batch
        first.seconds += run.seconds
    states = [run.average.state_dict() for run in runs]
    for name, value in states[0].items():
        if value.is_floating_point():
            value.copy_(torch.stack([state[name] for state in states]).mean(dim=0))
    return first


@torch.no_grad()
def measure_statistics(run: Run, pools: Sequence[Pool], batches: int = BATCHES_LOOKED_AT) -> None:
    """The means and variances of every batch normalisation, over `batches` x 64 patches as in
    training."""
    norms = [each for each in run.average.modules() if isinstance(each, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    for number in range(batches):
        pool = pools[number % len(pools)]
        rng = np.random.default_rng([SEED, number])
        images, _ = run.make(pool, pool.ready(), rng, BATCH, PATCH_PX)
        run.average(look_up(images, run.table))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--pool", type=Path, nargs="+", required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    run = average_weights(options.checkpoints)
    measure_statistics(run, [Pool.open(folder) for folder in options.pool])
    options.out.parent.mkdir(parents=True, exist_ok=True)
    run.save(options.out)
    print(f"{options.out}: {len(options.checkpoints)} runs, {run.samples} samples")


if __name__ == "__main__":
    main()
