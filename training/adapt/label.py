"""What a stack says of itself: where it is in focus, how it lies, and where it has content.

The same truth that the simulator keeps for its slides (training.labels), measured: detail per block
of 16 px and the height of its focus; importance W* per patch of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.measure.preprocess import PATCH_PX, PatchGrid
from simulator.slide import INFORMATIVE
from simulator.specimen import DETAIL_SCALE
from training.adapt.sharpness import (
    Place,
    block_energy,
    locate,
    noise_floor,
    octaves_for,
)
from training.conformal import quantile
from training.labels import BLOCK_PX

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

NEAR_UM = 2.0  # detail counts where it is seen this near to focus
#: energy of detail, against that of the noise, of a patch with W* = 1 - 1/e; set so that patches
#: above 0.8 are those of the simulator's truth (docs/adaptation.md)
WORTH = 6.0
BLOCKS = PATCH_PX // BLOCK_PX
TILT_PATCHES = 8  # a plane needs that many patches
TILT_UM = 0.3  # across the frame: below it a stack counts as flat
FLAT_UM = 1.0  # patches that scatter more about their plane do not lie in one


@dataclass(frozen=True, slots=True)
class Labels:
    """Of one stack. `focus_um`: stage z in focus, at the middle of the content; `measured_um`: what
    the pictures say of it, NaN where they say nothing; `energy` (rows, columns) of blocks, as
    `training.labels` has it; `height_um` of the same blocks over `focus_um`; `richness` W* (grid);
    `origin`: of block (0, 0) in the frame, px."""

    focus_um: float
    measured_um: float
    own: bool  # whether the manifest named focus_um
    edge: bool
    reversed_contrast: bool
    tilt_um: float  # across the frame
    energy: F32
    height_um: F32
    richness: F32
    origin: tuple[int, int]

    @property
    def informative(self) -> int:
        """Patches with W* above 0.8."""
        return int((self.richness > INFORMATIVE).sum())


def label(
    z_um: Sequence[float],
    read: Callable[[int], U8],
    grid: PatchGrid,
    focus_um: float | None,
) -> Labels:
    """Measure a stack of planes at rising `z_um`; `read(i)` gives plane i, (h, w, 3) uint8 RGB."""
    heights = np.array(z_um, np.float64)
    first = read(0)
    top, left = ((size - crop) // 2 for size, crop in zip(first.shape, grid.crop_px, strict=False))
    planes = [block_energy(first, top, left)]
    planes += [block_energy(read(i), top, left) for i in range(1, len(heights))]
    octaves = [np.stack(each) for each in zip(*planes, strict=True)]
    fine, coarse = (octaves[i] for i in octaves_for(octaves))
    corner = top // BLOCK_PX, left // BLOCK_PX
    place, local = _foci(heights, _patches(fine, corner, grid), noise_floor(fine))
    focus = place.z_um if focus_um is None else focus_um
    energy, floor = coarse, noise_floor(coarse)
    near = _near(heights, focus)
    visible = _visible(energy, near, floor)
    richness = _richness(_patches(visible[None], corner, grid)[0])
    height, tilt_um = _heights(local, richness, corner, energy.shape[1:])
    return Labels(
        focus_um=focus,
        measured_um=place.z_um,
        own=focus_um is not None,
        edge=place.edge,
        reversed_contrast=place.reversed_contrast,
        tilt_um=tilt_um,
        energy=np.asarray(visible, np.float32),
        height_um=height,
        richness=np.asarray(richness, np.float32),
        origin=(top % BLOCK_PX, left % BLOCK_PX),
    )


def _patches(energy: F32, corner: tuple[int, int], grid: PatchGrid) -> F64:
    """(n, blocks) -> (n, rows, columns) means over the patches of the grid."""
    rows, columns = grid.rows * BLOCKS, grid.columns * BLOCKS
    part = energy[:, corner[0] : corner[0] + rows, corner[1] : corner[1] + columns]
    shape = len(energy), grid.rows, BLOCKS, grid.columns, BLOCKS
    return np.asarray(part.reshape(shape).mean(axis=(2, 4)), np.float64)


def _foci(z_um: F64, patches: F64, floor: float) -> tuple[Place, F64]:
    """The stack's focus, and that of each patch (grid), NaN where a patch has none.

    The stack's is the median of its patches, each weighed by how far it stands out, three times the
    noise at most: a lump of dust on another plane is one patch among many, however strong.
    """
    curves = np.maximum(patches.reshape(len(z_um), -1) - floor, 0.0)
    weight = np.minimum(curves.max(axis=0) / floor, 3.0)
    weight[weight < 0.5] = 0.0
    if not weight.any():
        return Place(float("nan"), edge=False, reversed_contrast=False), np.full(
            patches.shape[1:], np.nan
        )
    shape = curves / np.maximum(curves.max(axis=0), 1e-12)
    common = locate(z_um, shape @ weight)
    places = [locate(z_um, curves[:, i]) if w else None for i, w in enumerate(weight)]
    same = np.array([
        p is not None and not p.edge and p.reversed_contrast == common.reversed_contrast
        for p in places
    ])  # fmt: skip
    local = np.full(len(places), np.nan)
    local[same] = [p.z_um for p, use in zip(places, same, strict=True) if use and p]
    if not same.any():
        return common, local.reshape(patches.shape[1:])
    median = quantile(local[same], weight[same], weight[same].sum() / 2)
    place = Place(median, common.edge and same.mean() < 0.5, common.reversed_contrast)
    return place, local.reshape(patches.shape[1:])


def _near(z_um: F64, focus_um: float) -> npt.NDArray[np.intp]:
    """Planes that show what is in focus: within 2 um, and the nearest in any case."""
    away = np.abs(z_um - focus_um)
    return np.flatnonzero(away <= max(NEAR_UM, float(away.min())))


def _visible(energy: F32, near: npt.NDArray[np.intp], floor: float) -> F32:
    """Detail per block as the pool's truth has it: DETAIL_SCALE is what makes W* 1 - 1/e.

    Blocks that are twice as sharp elsewhere hold something that lies on another plane.
    """
    here, anywhere = energy[near].max(axis=0), energy.max(axis=0)
    detail = np.maximum(here - floor, 0.0)
    detail[anywhere - floor > 2.0 * np.maximum(detail, floor)] = 0.0
    return np.asarray(detail * np.float32(DETAIL_SCALE / (WORTH * floor)), np.float32)


def _richness(energy: F64) -> F64:
    return np.asarray(1.0 - np.exp(-energy / DETAIL_SCALE))


def _heights(
    local_um: F64, richness: F64, corner: tuple[int, int], shape: tuple[int, ...]
) -> tuple[F32, float]:
    """Height of each block's focus over the stack's: a plane through the patches, or 0; and how far
    it rises across the frame."""
    flat = np.zeros(shape, np.float32), 0.0
    rows, columns = np.nonzero(np.isfinite(local_um) & (richness > INFORMATIVE))
    if len(rows) < TILT_PATCHES or np.ptp(rows) < 1 or np.ptp(columns) < 1:
        return flat
    y = corner[0] + (rows + 0.5) * BLOCKS
    x = corner[1] + (columns + 0.5) * BLOCKS
    values, weight = local_um[rows, columns], np.ones(len(rows))
    given = np.column_stack([y, x, np.ones(len(rows))])
    for _ in range(8):  # Huber: patches on another plane do not tilt this one
        root = np.sqrt(weight)[:, None]
        plane = np.linalg.lstsq(given * root, values * root[:, 0], rcond=None)[0]
        residual = np.abs(values - given @ plane)
        scale = max(1.4826 * float(np.median(residual)), 0.05)
        weight = np.minimum(1.0, 1.5 * scale / np.maximum(residual, 1e-9))
    rise = abs(float(plane[0])) * shape[0] + abs(float(plane[1])) * shape[1]
    by_chance = 3.0 * 2.0 * scale * float(np.sqrt(12.0 / len(values)))  # 3 sd of two slopes
    if scale > FLAT_UM or rise < max(TILT_UM, by_chance):
        return flat
    median = float(np.median(given @ plane))
    grid = np.mgrid[0 : shape[0], 0 : shape[1]] + 0.5
    height = plane[0] * grid[0] + plane[1] * grid[1] + plane[2] - median
    return np.asarray(height, np.float32), rise
