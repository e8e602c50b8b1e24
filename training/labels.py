"""A training label: what is true of a field, kept on blocks of 16 px, and of any window of it.

A DPN's label tells how much content each block holds and how sharp it is at each height, so that
a trainer may cut any aligned window and know where that window is sharpest (the definition of
focus: `simulator.sharpness`); a RIN's is the W* of each patch of a whole crop.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from edge.measure.sharpness import gradient_energy
from simulator.render import Renderer
from simulator.sharpness import peak_um, planes_um
from simulator.slide import SlideVariation
from simulator.specimen import DETAIL_SCALE, GRID, Specimen, detail_energy

F32 = npt.NDArray[np.float32]

FIELD_PX = 512
BLOCK_PX = 16
BLOCKS = FIELD_PX // BLOCK_PX
#: heights at which a label tells the sharpness of each block: those of the thickest sections
PLANES_UM = planes_um((-2.0, 2.0))
#: a DPN label: delta, W040, axial colour, thickness, energy of blocks, sharpness of blocks at
#: each plane; a RIN label: delta, W*
HEAD = 4
PARTS = 1 + len(PLANES_UM)
LABELS = {"dpn": HEAD + PARTS * BLOCKS * BLOCKS, "rin": 1 + GRID * GRID}
LABELS["pairs"] = LABELS["dpn"]


def block_label(specimen: Specimen, renderer: Renderer) -> tuple[F32, F32]:
    """Mean detail energy of 16 px blocks (32, 32) and their mean gradient energy at each of
    `PLANES_UM` (planes, 32, 32), 0 where the specimen is never sharp."""
    energy = np.zeros((BLOCKS, BLOCKS), np.float32)
    heights = []
    for z_um, detail in detail_energy(specimen):
        energy += _blocks(detail)
        heights.append(z_um)
    sharpness = np.zeros((len(PLANES_UM), BLOCKS, BLOCKS), np.float32)
    for z_um in planes_um(heights):
        plane = round((z_um - PLANES_UM[0]) / (PLANES_UM[1] - PLANES_UM[0]))
        if 0 <= plane < len(PLANES_UM):
            sharpness[plane] = _blocks(gradient_energy(renderer.luminance(float(z_um))))
    return energy, sharpness


def _blocks(plane: F32) -> F32:
    return np.asarray(plane.reshape(BLOCKS, BLOCK_PX, BLOCKS, BLOCK_PX).mean((1, 3)), np.float32)


def sharpness_at(energy: F32, height_um: F32 | float) -> F32:
    """Sharpness of blocks whose height of focus is known instead, as of a real slide: a parabola
    over `PLANES_UM`, so that a window is sharpest at the mean height weighted by `energy`."""
    away = PLANES_UM[:, None, None] - np.asarray(height_um, np.float64)
    reach = 4.0 * max(float(np.abs(PLANES_UM).max()), float(np.abs(height_um).max()))
    return np.asarray(energy * (1.0 - (away / reach) ** 2), np.float32)


def pack_label(delta_um: float, energy: F32, sharpness: F32, slide: SlideVariation | None) -> F32:
    """Flatten to a label: delta, W040, axial colour, thickness (NaN of a real slide, which tells
    none of these: None), energy of blocks, sharpness of blocks at each plane."""
    facts = (np.nan,) * (HEAD - 1)
    if slide is not None:
        facts = slide.optics.w040_waves, slide.optics.axial_colour_um, slide.thickness_um
    head = np.array((delta_um, *facts), np.float32)
    return np.concatenate([head, energy.ravel(), sharpness.ravel()])


def blocks_of(label: F32) -> F32:
    """(1 + planes, b, b) of a label: energy, then sharpness at each plane; b = 32 in a pool."""
    side = math.isqrt((len(label) - HEAD) // PARTS)
    return label[HEAD:].reshape(PARTS, side, side)


def window_richness(label: F32, size_px: int) -> F32:
    """W* of every block-aligned window of `size_px`: (n, n) with n = b + 1 - size / 16; element
    (i, j) is the window from pixel (16 i, 16 j)."""
    richness = 1.0 - np.exp(-_boxes(blocks_of(label)[:1], size_px)[0] / DETAIL_SCALE)
    return np.asarray(richness, np.float32)


def window_correction(label: F32, size_px: int, row: int, column: int) -> float:
    """d (um) of the window from block (row, column): height at which it is sharpest - z of the
    objective; positive = raise the objective."""
    blocks = size_px // BLOCK_PX
    part = blocks_of(label)[1:, row : row + blocks, column : column + blocks]
    return float(peak_um(PLANES_UM, part.sum((1, 2), dtype=np.float64))) - float(label[0])


def window_label(label: F32, size_px: int) -> tuple[F32, F32]:
    """(W*, correction d in um) of every window, both (n, n) as in `window_richness`."""
    sharpness = _boxes(blocks_of(label)[1:], size_px)
    correction = peak_um(PLANES_UM, sharpness) - label[0]
    return window_richness(label, size_px), np.asarray(correction, np.float32)


def _boxes(planes: F32, size_px: int) -> npt.NDArray[np.float64]:
    """Mean of every window of (n, b, b) blocks."""
    blocks, side = size_px // BLOCK_PX, planes.shape[1]
    integral = np.zeros((len(planes), side + 1, side + 1))
    integral[:, 1:, 1:] = planes.astype(np.float64).cumsum(1).cumsum(2)
    rows = integral[:, blocks:] - integral[:, :-blocks]
    return np.asarray((rows[..., blocks:] - rows[..., :-blocks]) / blocks**2)
