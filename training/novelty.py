"""Fit a DPN's novelty to fresh patches: `python -m training.novelty CHECKPOINT`.

The mean and whitening of its features on fresh validation slides, relit as in training, go into
the checkpoint's averaged weights; run it between training and export.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from simulator.photograph import Photographs
from training.augment import PATCH_PX, dpn_batch
from training.fields import dpn_fields
from training.nets import DPN
from training.pool import VALIDATION, Pool
from training.run import Run

SEED = 900
PER_FIELD = 4  # patches of each picture


def validation_pool(folder: Path, fields: int, photographs: Photographs | None) -> Pool:
    """`fields` pictures of slides that no training saw, as a pool."""
    pool = Pool.create(folder, fields, "dpn")
    written = slide = 0
    while written < fields:
        rng = np.random.default_rng([VALIDATION, SEED, slide])
        for image, label in dpn_fields(rng, photographs):
            if written < fields:
                pool.write(written, image, label)
                written += 1
        slide += 1
    return pool


@torch.no_grad()
def summaries(net: DPN, pool: Pool, count: int) -> torch.Tensor:
    """(count, width) features of random patches of `pool`."""
    rng, rows = np.random.default_rng(SEED), []
    ready = pool.ready()
    for _ in range(0, count, 32):
        images, _ = dpn_batch(pool, ready, rng, 32, PATCH_PX)
        rows.append(net.summaries(torch.from_numpy(images))[0])
    return torch.cat(rows)[:count]


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--fields", type=int, default=600)
    parser.add_argument("--textures", type=Path)
    parser.add_argument("--hold-out", nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    run = Run.load(options.checkpoint)
    if not isinstance(run.average, DPN):
        raise SystemExit(f"{options.checkpoint}: novelty belongs to a DPN")
    photographs = None
    if options.textures:
        photographs = Photographs.open(options.textures, "train", options.hold_out)
    with tempfile.TemporaryDirectory() as folder:
        pool = validation_pool(Path(folder), options.fields, photographs)
        features = summaries(run.average.eval(), pool, options.fields * PER_FIELD)
    run.average.novelty.fit(features)
    run.save(options.checkpoint)
    again = run.average.novelty(features)
    print(f"{len(features)} patches; novelty median {again.median():.2f}, "
          f"99 % below {again.quantile(0.99):.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
