"""The pools that the networks are tuned from, cut out of labelled stacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.preprocess import PATCH_PX, Layout
from edge.zstack import read_pixels
from simulator.specimen import DETAIL_SCALE
from training.adapt.label import Labels
from training.adapt.material import Material
from training.augment import RECOLOURED, Batch, recolour, relight, turn
from training.pool import BLOCK_PX, FIELD_PX, HEAD, Pool

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
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
    labels = np.full((len(images), HEAD + 2 * blocks * blocks), np.nan, np.float32)
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
            pool.write(taken, image, _truth(delta, stack.labels, part))
            taken += 1
    return pool


def _places(labels: Labels, blocks: int, rng: Rng, count: int) -> list[Place]:
    """Of tiles of `blocks` x `blocks`: those with the most content more often."""
    rows, columns = labels.energy.shape
    tops = np.unique(np.linspace(0, rows - blocks, 2 * -(-rows // blocks)).astype(int))
    lefts = np.unique(np.linspace(0, columns - blocks, 2 * -(-columns // blocks)).astype(int))
    found, value = [], []
    patch = min(PATCH_PX // BLOCK_PX, blocks)
    best = cv2.blur(labels.energy, (patch, patch))
    for top in tops:
        for left in lefts:
            inside = best[top : top + blocks, left : left + blocks]
            richness = 1.0 - np.exp(-float(inside.max()) / DETAIL_SCALE)
            if richness > LEAST_RICHNESS:
                found.append((int(top), int(left)))
                value.append(richness)
    if not found:
        return []
    share = np.array(value) / sum(value)
    chosen = rng.choice(len(found), min(count, len(found)), replace=False, p=share)
    return [found[i] for i in chosen]


def _truth(delta_um: float, labels: Labels, part: tuple[slice, slice]) -> F32:
    """As training.pool.pack_truth; optics and thickness of a real slide are not known."""
    energy = labels.energy[part]
    head = np.array([delta_um, np.nan, np.nan, np.nan], np.float32)
    moment = energy * labels.height_um[part]
    return np.concatenate([head, energy.ravel(), moment.ravel()]).astype(np.float32)


def rin_pool(material: Material, folder: Path) -> Pool:
    """The RIN's picture of every taught plane within 30 um of focus, and W* of its patches."""
    planes = [
        (s, p) for s in material.taught for p in s.planes if abs(s.defocus_um(p)) <= RIN_REACH_UM
    ]
    layout = material.layout
    images = np.empty((len(planes), *layout.small_px, 3), np.uint8)
    labels = np.empty((len(planes), 1 + layout.rows * layout.columns), np.float32)
    for slot, (stack, plane) in enumerate(planes):
        images[slot] = small_of(read_pixels(plane), layout)
        labels[slot, 0] = -stack.defocus_um(plane)
        labels[slot, 1:] = stack.labels.richness.ravel()
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    return Pool.open(folder)


def small_of(plane: U8, layout: Layout) -> U8:
    """(h, w, 3) RGB -> the RIN's picture, as edge.preprocess makes it."""
    height, width = layout.crop_px
    top, left = (plane.shape[0] - height) // 2, (plane.shape[1] - width) // 2
    crop = plane[top : top + height, left : left + width]
    half = cv2.resize(crop, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    small = layout.small_px[::-1]
    return np.asarray(cv2.resize(half, small, interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)


def rin_batch_for(
    layout: Layout,
) -> Callable[[Pool, npt.NDArray[np.int64], Rng, int, int], Batch]:
    """As training.augment.rin_batch, on another grid: only a square one is laid on its side."""
    grid = layout.rows, layout.columns
    quarters = range(4) if layout.rows == layout.columns else (0, 2)

    def batch(pool: Pool, ready: npt.NDArray[np.int64], rng: Rng, size: int, crop: int) -> Batch:
        images = np.empty((size, *pool.images.shape[1:]), np.uint8)
        importance = np.empty((size, *grid), np.float32)
        for place, slot in enumerate(rng.choice(ready, size)):
            image = np.array(pool.images[slot])
            if rng.uniform() < RECOLOURED:
                image = recolour(image, rng)
            quarter, mirror = int(rng.choice(quarters)), bool(rng.integers(2))
            images[place] = turn(relight(image, rng), quarter, mirror)
            importance[place] = turn(pool.labels[slot, 1:].reshape(grid), quarter, mirror)
        return images, importance

    return batch
