"""A training label: what is true of a field, kept on blocks of 16 px, and of any window of it.

A DPN's label tells where best focus is wherever there is content, so that a trainer may cut any
aligned window and know that window's truth; a RIN's is the W* of each patch of a whole crop.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from simulator.slide import SlideVariation
from simulator.specimen import DETAIL_SCALE, GRID, Specimen, detail_energy

F32 = npt.NDArray[np.float32]

FIELD_PX = 512
BLOCK_PX = 16
BLOCKS = FIELD_PX // BLOCK_PX
#: a DPN label: delta, W040, axial colour, thickness, energy and moment blocks; a RIN label:
#: delta, W*
HEAD = 4
LABELS = {"dpn": HEAD + 2 * BLOCKS * BLOCKS, "rin": 1 + GRID * GRID}
LABELS["pairs"] = LABELS["dpn"]


def block_truth(specimen: Specimen) -> tuple[F32, F32]:
    """Mean detail energy and energy x height (um) of 16 px blocks, each (32, 32)."""
    energy = np.zeros((BLOCKS, BLOCKS), np.float32)
    moment = np.zeros((BLOCKS, BLOCKS), np.float32)
    for z_um, detail in detail_energy(specimen):
        part = detail.reshape(BLOCKS, BLOCK_PX, BLOCKS, BLOCK_PX).mean((1, 3))
        energy += part
        moment += part * np.float32(z_um)
    return energy, moment


def pack_truth(delta_um: float, energy: F32, moment: F32, slide: SlideVariation | None) -> F32:
    """Flatten to a label: delta, W040, axial colour, thickness (NaN of a real slide, which tells
    none of these: None), energy blocks, moment blocks."""
    facts = (np.nan,) * (HEAD - 1)
    if slide is not None:
        facts = slide.optics.w040_waves, slide.optics.axial_colour_um, slide.thickness_um
    head = np.array((delta_um, *facts), np.float32)
    return np.concatenate([head, energy.ravel(), moment.ravel()])


def window_truth(label: F32, size_px: int) -> tuple[F32, F32]:
    """Truth of every block-aligned window of `size_px`: (W*, correction d in um).

    Both (n, n) with n = 33 - size/16 (of a tile of 512 px); element (i, j) is the window from
    pixel (16 i, 16 j).
    d = local focus height - z_objective: positive = raise the objective.
    """
    blocks, side = size_px // BLOCK_PX, math.isqrt((len(label) - HEAD) // 2)
    energy, moment = label[HEAD:].reshape(2, side, side)
    boxes = []
    for plane in (energy, moment):
        integral = np.zeros((side + 1, side + 1))
        integral[1:, 1:] = plane.astype(np.float64).cumsum(0).cumsum(1)
        rows = integral[blocks:] - integral[:-blocks]
        boxes.append((rows[:, blocks:] - rows[:, :-blocks]) / blocks**2)
    richness = 1.0 - np.exp(-boxes[0] / DETAIL_SCALE)
    focus = boxes[1] / np.maximum(boxes[0], 1e-9)
    return richness.astype(np.float32), (focus - label[0]).astype(np.float32)
