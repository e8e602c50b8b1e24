"""What a stack says of itself: where it is in focus, how it lies, and where it has content.

The same truth that the simulator keeps for its slides (training.labels), measured: detail per block
of 16 px and the height of its focus; importance W* per patch of the grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from edge.measure.preprocess import PATCH_PX, PatchGrid
from simulator.slide import INFORMATIVE
from simulator.specimen import DETAIL_SCALE
from training.adapt.sharpness import (
    OCTAVES,
    STANDS_OUT,
    Place,
    block_energy,
    dip,
    noise_floor,
    octave_for,
    peak,
)
from training.conformal import quantile
from training.labels import BLOCK_PX

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
Find = Callable[[F64, F64], Place | None]

#: detail counts where it is seen this near to focus, or between the two maxima where it reverses
NEAR_UM = 2.0
#: energy of detail in the coarsest octave, against that of the noise, of a patch with W* = 1 - 1/e;
#: set so that patches above 0.8 are those of the simulator's truth (docs/adaptation.md)
WORTH = 45.0
REVERSED_WORTH = 5.0  # of the same specimens without their stain: phase alone shows that much less
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
    octave: int  # that told the focus: 0 = the sensor's own pixel, 1 = half the picture's size, ...
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
    energies = [np.stack([plane.blocks[i] for plane in planes]) for i in range(OCTAVES)]
    floors = [noise_floor(e, [p.noise[i] for p in planes]) for i, e in enumerate(energies)]
    corner = top // BLOCK_PX, left // BLOCK_PX
    patches = [
        np.maximum(_patches(e, corner, grid) - floor, 0.0) / floor
        for e, floor in zip(energies, floors, strict=True)
    ]
    octave = octave_for(patches)
    find: Find = peak
    if dip(heights, _common(patches[-1])) is not None:
        octave, find = OCTAVES - 1, dip
    place, local = _foci(heights, patches[octave], find)
    focus = place.z_um if focus_um is None else focus_um
    near = _near(heights, focus, max(NEAR_UM, place.reach_um))
    visible = _visible(energies[-1], near, floors[-1])
    if place.reversed_contrast:
        visible *= np.float32(WORTH / REVERSED_WORTH)
    richness = _richness(_patches(visible[None], corner, grid)[0])
    height, tilt_um = _heights(local, richness, corner, visible.shape)
    return Labels(
        focus_um=focus,
        measured_um=place.z_um,
        own=focus_um is not None,
        edge=place.edge,
        reversed_contrast=place.reversed_contrast,
        octave=octave,
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


def _weights(curves: F64) -> F64:
    """How far each patch stands out of the noise, three times the noise at most: a lump of dust on
    another plane is one patch among many, however strong."""
    weight = np.minimum(curves.max(axis=0), 3.0)
    weight[weight < STANDS_OUT] = 0.0
    return np.asarray(weight, np.float64)


def _common(curves: F64) -> F64:
    """(planes, rows, columns) over the noise -> (planes,): the patches' curves together, each as
    high as its weight."""
    height = np.maximum(curves.max(axis=0), 1e-12)
    return np.asarray((curves / height * _weights(curves)).sum(axis=(1, 2)))


def _foci(z_um: F64, curves: F64, find: Find) -> tuple[Place, F64]:
    """The stack's focus, and that of each patch (grid), NaN where a patch has none. The stack's is
    the weighted median of its patches."""
    weight, local = _weights(curves).ravel(), np.full(curves[0].size, np.nan)
    nowhere = Place(float("nan"), edge=False, reversed_contrast=False)
    if not weight.any():
        return nowhere, local.reshape(curves.shape[1:])
    common = find(z_um, _common(curves)) or nowhere
    flat = curves.reshape(len(z_um), -1)
    for i in np.flatnonzero(weight):
        place = find(z_um, flat[:, i])
        if place is not None and not place.edge:
            local[i] = place.z_um
    same = np.isfinite(local)
    if not same.any():
        return common, local.reshape(curves.shape[1:])
    half = weight[same].sum() / 2
    # of an even number the mean of the middle two, lest all of them lean downwards
    middle = 0.5 * (quantile(local[same], weight[same], half)
                    - quantile(-local[same], weight[same], half))  # fmt: skip
    place = replace(common, z_um=middle, edge=common.edge and same.mean() < 0.5)
    return place, local.reshape(curves.shape[1:])


def _near(z_um: F64, focus_um: float, reach_um: float) -> npt.NDArray[np.intp]:
    """Planes that show what is in focus: within `reach_um`, and the nearest in any case; all where
    nothing is."""
    if not math.isfinite(focus_um):
        return np.arange(len(z_um))
    away = np.abs(z_um - focus_um)
    return np.flatnonzero(away <= max(reach_um, float(away.min())))


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
