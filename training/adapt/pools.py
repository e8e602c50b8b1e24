"""The pools that the networks are tuned from, cut out of labelled stacks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge.camera import Frame, PixelFormat
from edge.images.zstack import read_pixels
from edge.measure.preprocess import PATCH_PX, CpuPreprocessor
from simulator.specimen import DETAIL_SCALE
from training.adapt.label import Labels
from training.adapt.material import Material
from training.labels import BLOCK_PX, FIELD_PX, HEAD, PARTS, pack_label, sharpness_at
from training.pool import Pool

Rng = np.random.Generator
Place = tuple[int, int]  # of a tile, in blocks

MOST_TILES = 2400  # 1.9 GB on disk
LEAST_RICHNESS = 0.05  # of the best window of a tile that is kept
RIN_REACH_UM = 30.0  # the RIN is asked no further from focus


def dpn_pool(material: Material, folder: Path, rng: Rng) -> Pool:
    """Tiles of the taught planes where there is content, with its truth on blocks."""
    side = min(FIELD_PX, *(px // BLOCK_PX * BLOCK_PX for px in material.frame_px))
    # blocks start at the grid's corner: a frame may be a few px short of whole blocks from there
    side = min(side, *(BLOCK_PX * n for s in material.taught for n in s.labels.energy.shape))
    planes = [(s, p) for s in material.taught for p in s.planes]
    each = max(1, MOST_TILES // len(planes))
    blocks = side // BLOCK_PX
    images = np.lib.format.open_memmap(
        folder / "images.npy", "w+", np.uint8, (each * len(planes), side, side, 3)
    )
    labels = np.full((len(images), HEAD + PARTS * blocks * blocks), np.nan, np.float32)
    pool = Pool(folder, images, labels)
    taken = 0
    for stack, plane in planes:
        places = _places(stack.labels, blocks, rng, each)
        if not places:
            continue
        pixels = read_pixels(plane)
        delta = -stack.defocus_um(plane)
        for row, column in places:
            top, left = (
                o + BLOCK_PX * n for o, n in zip(stack.labels.origin, (row, column), strict=True)
            )
            image = pixels[top : top + side, left : left + side]
            part = slice(row, row + blocks), slice(column, column + blocks)
            energy = stack.labels.energy[part]
            sharpness = sharpness_at(energy, stack.labels.height_um[part])
            label = pack_label(delta, energy, sharpness, None)
            pool.write(taken, image, label)
            taken += 1
    return pool


def _places(labels: Labels, blocks: int, rng: Rng, count: int) -> list[Place]:
    """Of tiles of `blocks` x `blocks`: those with the most content more often."""
    rows, columns = labels.energy.shape
    tops = np.unique(np.linspace(0, rows - blocks, 2 * -(-rows // blocks)).astype(int))
    lefts = np.unique(np.linspace(0, columns - blocks, 2 * -(-columns // blocks)).astype(int))
    places, value = [], []
    patch = min(PATCH_PX // BLOCK_PX, blocks)
    best = cv2.blur(labels.energy, (patch, patch))
    for top in tops:
        for left in lefts:
            inside = best[top : top + blocks, left : left + blocks]
            richness = 1.0 - np.exp(-float(inside.max()) / DETAIL_SCALE)
            if richness > LEAST_RICHNESS:
                places.append((int(top), int(left)))
                value.append(richness)
    if not places:
        return []
    share = np.array(value) / sum(value)
    chosen = rng.choice(len(places), min(count, len(places)), replace=False, p=share)
    return [places[i] for i in chosen]


def rin_pool(material: Material, folder: Path) -> Pool:
    """The RIN's picture of every taught plane within 30 um of focus, and W* of its patches."""
    planes = [
        (s, p) for s in material.taught for p in s.planes if abs(s.defocus_um(p)) <= RIN_REACH_UM
    ]
    grid = material.grid
    images = np.empty((len(planes), *grid.small_px, 3), np.uint8)
    labels = np.empty((len(planes), 1 + grid.rows * grid.columns), np.float32)
    prepare = CpuPreprocessor(grid=grid)
    for slot, (stack, plane) in enumerate(planes):
        frame = Frame(read_pixels(plane), PixelFormat.RGB8, slot, 0, 0)
        images[slot] = prepare(frame).small[0]
        labels[slot, 0] = -stack.defocus_um(plane)
        labels[slot, 1:] = stack.labels.richness.ravel()
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    return Pool.open(folder)
