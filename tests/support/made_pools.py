"""A small pool without a renderer."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from simulator.slide import draw_variation
from training.labels import BLOCKS, pack_label, sharpness_at
from training.pool import Pool


def noisy_pool(folder: Path) -> Pool:
    """Six noisy fields whose grey tells their distance."""
    rng = np.random.default_rng(0)
    made = Pool.create(folder, 6, "dpn")
    energy = np.full((BLOCKS, BLOCKS), 0.01, np.float32)
    sharpness = sharpness_at(energy, 0.0)
    slide = draw_variation(np.random.default_rng(1))
    for index in range(6):
        image = rng.integers(20 * index, 20 * index + 60, (512, 512, 3), dtype=np.uint8)
        made.write(index, image, pack_label(8.0 * index - 20.0, energy, sharpness, slide))
    return made
