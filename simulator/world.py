"""A whole simulated slide under the objective: any place, any height, any motion, in a third of a
second.

The slide's middle is (0, 0) um of the stage; x goes along a picture's columns and y down its rows.
Pixels lie on one lattice of the slide, so fields agree wherever they overlap, but for noise: a
frame stands at the nearest whole pixel to where it was asked for (`placed_um`). Its light is put
together from the periodic tiles of a palette (world_tiles.py), each square of 22 um at its own
height of a published topography (topography.py). What lies on the glass casts its shadow on it
(world_glass.py). What is true of a place: world_truth.py.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from simulator.microscope import SENSOR
from simulator.optics import NOMINAL, Instrument
from simulator.render import expose
from simulator.slide import SlideVariation, draw_variation
from simulator.smear import Shutter, box_kernel, reach_px, slant_reach_px, slanted, smeared
from simulator.topography import Topography, TopographyParameters
from simulator.world_glass import draw_glass
from simulator.world_layout import (
    BLOCK_PX,
    Layout,
    Piece,
    Specimen,
    orient,
    shares,
    sources,
)
from simulator.world_tiles import WHITE, PlaneStore, Tile, TileRecipe, rungs

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

#: tiles of each class of a palette
PALETTE = {"dense": 3, "sparse": 2, "ex-sparse": 1}
STILL = (0.0, 0.0)
SHUTTER = Shutter()
TISSUE, PUBLISHED = Specimen(), TopographyParameters()


@dataclass(frozen=True, slots=True)
class WorldParameters:
    """`tile_px`: side of the palette's tiles, a multiple of 64; `slide_z_um`: the objective's
    height over the middle of the slide; `dirt`: chance of each distractor within a tile;
    `glass_dirt`: how much pen, bubbles and dust there is on the glass, 0 = clean."""

    specimen: Specimen = TISSUE
    topography: TopographyParameters = PUBLISHED
    shape: tuple[int, int] = SENSOR
    tile_px: int = 1536
    slide_z_um: float = 200.0
    thickness_um: float = 0.0
    dirt: tuple[tuple[str, float], ...] = (("debris", 0.3),)
    glass_dirt: float = 1.0


class World:
    """One slide. The same seed gives the same slide; `cache`: a folder that keeps rendered planes
    from run to run (7 MB each), without one they are kept in memory, 1.1 GB at most."""

    def __init__(
        self,
        seed: int = 0,
        parameters: WorldParameters | None = None,
        instrument: Instrument = NOMINAL,
        cache: Path | None = None,
    ) -> None:
        parameters = parameters or WorldParameters()
        self.seed, self.parameters, self.instrument = seed, parameters, instrument
        self.um_per_px = instrument.um_per_px
        self.topography = Topography(seed, parameters.topography)
        self.variation = _variation(seed, parameters)
        store, kind = PlaneStore(cache), parameters.specimen.kind
        classes = [name for name, count in PALETTE.items() for _ in range(count)]
        self.tiles = [
            Tile(
                TileRecipe(kind, name, (seed, 7, index), parameters.tile_px, parameters.dirt),
                self.variation, instrument, store,
            )
            for index, name in enumerate(classes)
        ]  # fmt: skip
        self._tile_blocks = parameters.tile_px // BLOCK_PX
        self.layout = Layout(
            parameters.specimen, tuple(classes), self._tile_blocks, self.um_per_px, seed
        )
        self.piece = lru_cache(maxsize=4096)(self.layout.piece)
        self.glass = draw_glass(seed, parameters.glass_dirt)
        self._noise = np.random.default_rng([seed, 3])

    def corner_px(self, x_um: float, y_um: float) -> tuple[int, int]:
        """Row and column of the slide's lattice at which a frame centred there begins."""
        h, w = self.parameters.shape
        return round(y_um / self.um_per_px - h / 2), round(x_um / self.um_per_px - w / 2)

    def placed_um(self, x_um: float, y_um: float) -> tuple[float, float]:
        """(x, y) of the middle of the frame that stands nearest."""
        h, w = self.parameters.shape
        top, left = self.corner_px(x_um, y_um)
        return (left + w / 2) * self.um_per_px, (top + h / 2) * self.um_per_px

    def surface_um(self, x_um: npt.ArrayLike, y_um: npt.ArrayLike, minutes: float = 0.0) -> F64:
        """The objective's height at which the slide's height 0 is in focus, at places of any
        shape."""
        x, y = np.asarray(x_um, np.float64), np.asarray(y_um, np.float64)
        return self.parameters.slide_z_um + self.topography.height_um(x, y, minutes)

    def frame(
        self,
        x_um: float,
        y_um: float,
        z_um: float,
        shutter: Shutter = SHUTTER,
        velocity_um_s: tuple[float, float] = STILL,
        minutes: float = 0.0,
    ) -> U8:
        """(h, w, 3) uint8 RGB: what the camera takes with the slide at (x, y) and the objective at
        `z_um` at mid-exposure. `minutes` since the scan began: the stand drifts.

        ValueError for what is not a number, and for a motion that smears beyond the frame."""
        light = self.light(x_um, y_um, z_um, shutter, velocity_um_s, minutes)
        return expose(light, self.variation, self._noise)

    def light(
        self,
        x_um: float,
        y_um: float,
        z_um: float,
        shutter: Shutter = SHUTTER,
        velocity_um_s: tuple[float, float] = STILL,
        minutes: float = 0.0,
    ) -> F32:
        """The same before illumination and noise: (h, w, 3) float32, clear background 1."""
        if not np.isfinite([x_um, y_um, z_um, *velocity_um_s, minutes]).all():
            raise ValueError(f"no frame at ({x_um}, {y_um}, {z_um}) um, {velocity_um_s} um/s")
        h, w = shape = self.parameters.shape
        smear = shutter.smear_px(velocity_um_s, self.um_per_px)
        slant = shutter.slant_px(velocity_um_s, self.um_per_px)
        late = slant_reach_px(slant, shape)
        if abs(smear[0]) > w or abs(smear[1]) > h or late[0] > w or late[1] > h:
            raise ValueError(f"{velocity_um_s} um/s is more than a frame within {shutter}")
        kernel = box_kernel(smear)
        across, down = (a + b for a, b in zip(reach_px(kernel), late, strict=True))
        top, left = self.corner_px(x_um, y_um)
        wide = (h + 2 * down, w + 2 * across)
        light = self.window((top - down, left - across), wide, z_um, minutes)
        return slanted(smeared(light, kernel), slant, shape)

    def window(
        self, corner_px: tuple[int, int], shape: tuple[int, int], z_um: float, minutes: float = 0.0
    ) -> F32:
        """Light of any window of the slide, (h, w, 3) float32, clear background 1; at rest."""
        top, left = (edge // BLOCK_PX for edge in corner_px)
        rows, columns = (
            -(-(edge + size) // BLOCK_PX) - first
            for edge, size, first in zip(corner_px, shape, (top, left), strict=True)
        )
        canvas = np.empty((rows * BLOCK_PX, columns * BLOCK_PX, 3), np.float32)
        self._paint(canvas, top, left, z_um, minutes)
        y, x = ((first * BLOCK_PX + np.arange(size) + 0.5) * self.um_per_px
                for first, size in zip((top, left), canvas.shape, strict=False))  # fmt: skip
        above_um = z_um - self.parameters.slide_z_um
        self.glass.shadow(
            canvas, x.astype(np.float64), y.astype(np.float64), above_um, self.instrument.na
        )
        down, right = corner_px[0] - top * BLOCK_PX, corner_px[1] - left * BLOCK_PX
        return canvas[down : down + shape[0], right : right + shape[1]]

    def block_heights_um(
        self, top: int, left: int, shape: tuple[int, int], minutes: float = 0.0
    ) -> F64:
        """Surface (objective um) of (rows, columns) blocks of the slide from block (top, left)."""
        size_um = BLOCK_PX * self.um_per_px
        y, x = ((np.arange(n) + first + 0.5) * size_um
                for n, first in zip(shape, (top, left), strict=True))  # fmt: skip
        x_there, y_there = np.meshgrid(x, y)
        return self.surface_um(x_there, y_there, minutes)

    def cover_nodes(self, top: int, left: int, shape: tuple[int, int]) -> F32:
        """How much of the specimen there is at the corners of those blocks: one more each way."""
        size_um = BLOCK_PX * self.um_per_px
        y, x = ((np.arange(n + 1) + first) * size_um
                for n, first in zip(shape, (top, left), strict=True))  # fmt: skip
        return self.layout.cover(*np.meshgrid(x, y))

    def _paint(self, canvas: F32, top: int, left: int, z_um: float, minutes: float) -> None:
        shape = canvas.shape[0] // BLOCK_PX, canvas.shape[1] // BLOCK_PX
        below, share = rungs(z_um - self.block_heights_um(top, left, shape, minutes))
        cover = self.cover_nodes(top, left, shape)
        along = shares(left, shape[1])
        for row, down in enumerate(shares(top, shape[0])):
            for column in range(shape[1]):
                place = canvas[
                    row * BLOCK_PX : (row + 1) * BLOCK_PX,
                    column * BLOCK_PX : (column + 1) * BLOCK_PX,
                ]
                corners = cover[row : row + 2, column : column + 2]
                if not corners.any():
                    place[:] = 1.0
                    continue
                at, rung = (top + row, left + column), int(below[row, column])
                self._block(place, at, down, along[column], rung, float(share[row, column]))
                if not corners.all() or corners.min() < 1.0:
                    place -= 1.0
                    place *= _bilinear(corners)[..., None]
                    place += 1.0

    def _block(
        self, place: F32, at: tuple[int, int], down: Shares, along: Shares, rung: int, share: float
    ) -> None:
        """Paint one square as the supercells that it shows have it."""
        if len(down) == 1 and len(along) == 1:
            self._piece(self.piece(down[0][0], along[0][0]), at, rung, share, place)
            return
        place[:] = 0.0
        light = np.empty_like(place)
        for cell_row, rise in down:
            for cell_column, rise_along in along:
                self._piece(self.piece(cell_row, cell_column), at, rung, share, light)
                weight = np.float32(1.0) if rise is None else rise[:, None, None]
                if rise_along is not None:
                    weight = weight * rise_along[None, :, None]
                light *= weight
                place += light

    def _piece(
        self, piece: Piece, at: tuple[int, int], rung: int, share: float, place: F32
    ) -> None:
        if piece.tile is None:
            place[:] = 1.0
            return
        tile = self.tiles[piece.tile]
        row, column = sources(piece, at[0], at[1], self._tile_blocks)
        cut = (slice(row * BLOCK_PX, (row + 1) * BLOCK_PX),
               slice(column * BLOCK_PX, (column + 1) * BLOCK_PX))  # fmt: skip
        low = tile.plane(rung)[cut]
        if share <= 0.0:
            light = low.astype(np.float32)
            light *= np.float32(1.0 / WHITE)
        else:
            high = tile.plane(rung + 1)[cut]
            light = np.asarray(
                cv2.addWeighted(
                    low, (1.0 - share) / WHITE, high, share / WHITE, 0.0, dtype=cv2.CV_32F
                ),
                np.float32,
            )
        orient(light, piece, place)


Shares = list[tuple[int, F32 | None]]


@lru_cache(maxsize=1)
def _ramp() -> F32:
    rise = (np.arange(BLOCK_PX, dtype=np.float32) + np.float32(0.5)) / np.float32(BLOCK_PX)
    return np.stack([1.0 - rise, rise])


def _bilinear(corners: F32) -> F32:
    """(block, block) between its four corners."""
    ramp = _ramp()
    return np.asarray(ramp.T @ corners @ ramp, np.float32)


def _variation(seed: int, parameters: WorldParameters) -> SlideVariation:
    """The slide's stain, optics and light; its tilt is the topography's, its thickness is asked
    for."""
    drawn = draw_variation(np.random.default_rng([seed, 4]), 0.0, parameters.thickness_um)
    return dataclasses.replace(drawn, thickness_um=parameters.thickness_um)
