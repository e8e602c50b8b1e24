"""What is true of a place of a simulated slide: what its patches hold, and where each is sharpest.

The definition is that of a single field (simulator/field_truth.py). A field's 9 x 9 patches are put
together from the squares of 32 px in which the tiles know their energy, to the nearest square: a
patch's truth belongs to a window up to half a square (5 um) beside it. Where two tiles fade into
each other their energies add, without what they have in common.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.field_truth import FieldTruth, told_truth
from simulator.slide import CLASS_RANGE, INFORMATIVE
from simulator.specimen import DETAIL_SCALE, GRID
from simulator.world import World
from simulator.world_layout import BLOCK_PX, shares, sources
from simulator.world_tiles import CELL_PX

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

PATCH_CELLS = 7  # a patch of 224 px
_PER_BLOCK = BLOCK_PX // CELL_PX
#: a fade's weights are looked up at the middle of each square
_MIDDLES = tuple(range(CELL_PX // 2, BLOCK_PX, CELL_PX))


def field_truth(world: World, x_um: float, y_um: float, minutes: float = 0.0) -> FieldTruth:
    """The truth of the frame that stands nearest to a place, `minutes` after the beginning.

    Its `sparsity` is the class that its patches make ("blank" for none informative). ValueError for
    a frame that does not hold the 9 x 9 patches.
    """
    h, w = world.parameters.shape
    side = GRID * PATCH_CELLS
    if min(h, w) < side * CELL_PX:
        raise ValueError(f"a frame of {(h, w)} px does not hold the 9 x 9 patches")
    top, left = world.corner_px(x_um, y_um)
    first = (
        round((top + (h - side * CELL_PX) / 2) / CELL_PX),
        round((left + (w - side * CELL_PX) / 2) / CELL_PX),
    )
    energy, detail = cells(world, first, (side, side))
    lift = _surface(world, first, side, minutes)
    of_patch = _per_patch(energy)
    weight = detail / np.maximum(np.repeat(np.repeat(
        _per_patch(detail[None])[0], PATCH_CELLS, 0), PATCH_CELLS, 1), 1e-30)  # fmt: skip
    centre = lift.reshape(GRID, PATCH_CELLS, GRID, PATCH_CELLS)[:, 3, :, 3]
    lifted = _per_patch((weight * lift)[None])[0]
    mean_detail = _per_patch(detail[None])[0] / PATCH_CELLS**2
    lifted = np.where(mean_detail < 1e-9, centre, lifted)
    richness = np.asarray(1.0 - np.exp(-mean_detail / DETAIL_SCALE), np.float32)
    surface = float(lift[side // 2, side // 2])
    return told_truth(
        world.parameters.specimen.kind, _sparsity(richness), surface, richness,
        world.tiles[0].energy_um, np.asarray(of_patch, np.float32),
        np.asarray(lifted, np.float32),
    )  # fmt: skip


def cells(world: World, first: tuple[int, int], shape: tuple[int, int]) -> tuple[F32, F64]:
    """Of (rows, columns) squares of 32 px of the slide from square `first`: gradient energy at the
    heights of `Tile.energy_um` (n, rows, columns), and mean detail energy (rows, columns)."""
    energy = np.zeros((len(world.tiles[0].energy_um), *shape), np.float32)
    detail = np.zeros(shape, np.float64)
    pitch = CELL_PX * world.um_per_px
    y, x = ((np.arange(n) + f + 0.5) * pitch for n, f in zip(shape, first, strict=True))
    cover = world.layout.cover(*np.meshgrid(x, y))
    down, along = (_runs(f, n) for f, n in zip(first, shape, strict=True))
    squares = world.parameters.tile_px // CELL_PX
    for cell_row, (rows, rise) in down.items():
        for cell_column, (columns, rise_along) in along.items():
            piece = world.piece(cell_row, cell_column)
            if piece.tile is None:
                continue
            tile = world.tiles[piece.tile]
            at = np.ix_(rows - first[0], columns - first[1])
            there = np.meshgrid(rows, columns, indexing="ij")
            source = sources(piece, there[0], there[1], squares, _PER_BLOCK)
            share = (rise[:, None] * rise_along[None, :] * cover[at]) ** 2
            energy[:, at[0], at[1]] += tile.energy[:, source[0], source[1]] * share
            detail[at] += tile.detail[source] * share
    return energy, detail


Run = tuple[npt.NDArray[np.intp], F64]


def _runs(first: int, count: int) -> dict[int, Run]:
    """Along one axis: which squares each supercell has a part in, and its weight in each."""
    blocks = range(first // _PER_BLOCK, -(-(first + count) // _PER_BLOCK))
    parts: dict[int, list[tuple[int, float]]] = {}
    for block, cells_there in zip(blocks, shares(blocks.start, len(blocks)), strict=True):
        for cell, rise in cells_there:
            for index, middle in enumerate(_MIDDLES):
                square = block * _PER_BLOCK + index
                if first <= square < first + count:
                    weight = 1.0 if rise is None else float(rise[middle])
                    parts.setdefault(cell, []).append((square, weight))
    return {
        cell: (np.array([s for s, _ in part], np.intp), np.array([w for _, w in part]))
        for cell, part in parts.items()
    }


def _surface(world: World, first: tuple[int, int], side: int, minutes: float) -> F64:
    """Objective um of each square's block."""
    top, left = (f // _PER_BLOCK for f in first)
    count = side // _PER_BLOCK + 2
    heights = world.block_heights_um(top, left, (count, count), minutes)
    heights = np.repeat(np.repeat(heights, _PER_BLOCK, 0), _PER_BLOCK, 1)
    down, right = first[0] - top * _PER_BLOCK, first[1] - left * _PER_BLOCK
    return heights[down : down + side, right : right + side]


def _per_patch(planes: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    n = len(planes)
    return planes.reshape(n, GRID, PATCH_CELLS, GRID, PATCH_CELLS).sum(axis=(2, 4))


def _sparsity(richness: F32) -> str:
    count = int((richness > INFORMATIVE).sum())
    return next(name for name, (low, high) in CLASS_RANGE.items() if low <= count <= high)
