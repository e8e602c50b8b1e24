"""Teach a DPN's features the order of red and blue: `python -m training.colour_order CHECKPOINT`.

Patches of a pool are shown to the network as they are and with red and blue exchanged; a small
perceptron over its features learns to tell them apart and goes into the checkpoint's averaged
weights. Run it between training.novelty and training.export. It prints how often one patch is
told rightly on fields that it was not fitted to.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.augment import PATCH_PX, dpn_batch
from training.nets import DPN, density_table
from training.pool import Pool
from training.run import Run, look_up

SEED = 950
BATCH = 16
#: slots of the pool that lie side by side show one slide: whole blocks of them are kept to judge
BLOCK, KEPT = 200, 5


@torch.no_grad()
def both_ways(
    net: DPN, pool: Pool, ready: npt.NDArray[np.int64], count: int, seed: int
) -> tuple[Tensor, Tensor]:
    """(count, n) features of random patches, as they are and with red and blue exchanged."""
    rng, table = np.random.default_rng(seed), density_table()
    right: list[Tensor] = []
    exchanged: list[Tensor] = []
    for _ in range(0, count, BATCH):
        images, _ = dpn_batch(pool, ready, rng, BATCH, PATCH_PX)
        for rows, shown in ((right, images), (exchanged, images[..., ::-1])):
            rows.append(torch.cat(net.summaries(look_up(np.ascontiguousarray(shown), table)), 1))
    return torch.cat(right)[:count], torch.cat(exchanged)[:count]


def fit(net: DPN, pool: Pool, count: int) -> float:
    """Fit the head of `net` in place, in `count` patches; returns the share of others that it tells
    rightly, by the difference that exchanging makes."""
    ready = pool.ready()
    kept = (ready // BLOCK) % KEPT == 0
    if not kept.any() or kept.all():
        kept = np.arange(len(ready)) % KEPT == 0
    width = len(net.colour_order.mean) - net.novelty.mean.shape[0]
    net.colour_order.fit(*both_ways(net, pool, ready[~kept], count, SEED))
    right, exchanged = both_ways(net, pool, ready[kept], max(count // 8, BATCH), SEED + 1)
    parts = [len(net.novelty.mean), width]
    told = net.colour_order(*right.split(parts, 1)) > net.colour_order(*exchanged.split(parts, 1))
    return float(told.float().mean())


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--pool", type=Path, required=True, help="a DPN's, of training.pool")
    parser.add_argument("--patches", type=int, default=40000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    run = Run.load(options.checkpoint)
    if not isinstance(run.average, DPN):
        raise SystemExit(f"{options.checkpoint}: the order of colours belongs to a DPN")
    share = fit(run.average.eval(), Pool.open(options.pool), options.patches)
    run.save(options.checkpoint)
    print(f"{options.patches} patches; {share:.1%} of others told rightly")


if __name__ == "__main__":
    main()
