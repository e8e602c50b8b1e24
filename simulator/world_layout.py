"""Where what lies on a simulated slide: the outline of the specimen, and which tile is shown where.

All of it is a function of the place, so fields agree wherever they overlap. The slide is divided
into squares of about a millimetre, each with a tile, turned and moved its own way; between two of
them pictures fade over 87 um. Within its outline tissue is dense, sparse or has a hole; a smear has
crowded, thin and nearly empty stretches.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from simulator.specimen import F32
from simulator.topography import Waves, gaussian_waves, sum_of_waves

F64 = npt.NDArray[np.float64]
Squares = TypeVar("Squares", int, npt.NDArray[np.intp])

#: what supercells may show, from the barest
CLASSES = ("blank", "ex-sparse", "sparse", "dense")
#: pictures are put together from squares of this side; heights are even within one (22 um)
BLOCK_PX = 64
#: a supercell's side, and how many blocks on either side of a border belong to the fade
SUPERCELL, FADE = 48, 2
#: the outline of the specimen fades over about this much of its own field: 60 um
_SOFT = 0.08


@dataclass(frozen=True, slots=True)
class Specimen:
    """`kind` "tissue": a section within a square of `size_mm` of which it covers `cover`. "cell": a
    smear that fills a circle of `size_mm`. `sparse`, `thin`, `empty`: about these shares of it are
    sparse, hold a cell or a shred here and there, or nothing at all."""

    kind: str = "tissue"
    size_mm: float = 15.0
    cover: float = 0.6
    sparse: float = 0.25
    thin: float = 0.05
    empty: float = 0.05

    def __post_init__(self) -> None:
        if self.kind not in ("tissue", "cell"):
            raise ValueError(f"no slide of kind {self.kind!r}")
        shares = (self.cover, self.sparse, self.thin, self.empty)
        if not (self.size_mm > 0 and all(0 <= s <= 1 for s in shares) and sum(shares[1:]) <= 1):
            raise ValueError(f"{self} is no specimen")


def pap(size_mm: float = 13.0) -> Specimen:
    """A liquid-based smear."""
    return Specimen("cell", size_mm, 1.0, 0.4, 0.15, 0.1)


@dataclass(frozen=True, slots=True)
class Piece:
    """What a supercell shows: a palette's tile, `sparsity` of its class, mirrored (rows, columns),
    turned, and moved by whole blocks. `tile` None: blank."""

    tile: int | None
    sparsity: str
    mirror: tuple[bool, bool]
    turned: bool
    shift: tuple[int, int]


class Layout:
    """One slide; its middle is (0, 0), and y goes down the rows of a picture."""

    def __init__(
        self, specimen: Specimen, classes: tuple[str, ...], tile_blocks: int, um_per_px: float,
        seed: int,
    ) -> None:  # fmt: skip
        """`classes`: the sparsity of each tile of the palette. ValueError where the palette has no
        dense, sparse or ex-sparse one."""
        missing = [name for name in CLASSES[1:] if name not in classes]
        if missing:
            raise ValueError(f"the palette has no tile that is {missing[0]}")
        self.specimen, self._classes = specimen, classes
        self._tile_blocks, self._um_per_px = tile_blocks, um_per_px
        rng = np.random.default_rng([seed, 1])
        self._outline = [gaussian_waves(rng, 1.0, 2.0), gaussian_waves(rng, 0.25, 0.2)]
        self._crowd = gaussian_waves(rng, 1.0, 2.5)
        self._seed = seed
        self._level = self._at_share(self._outline, 1.0 - specimen.cover)
        shares = np.cumsum([specimen.empty, specimen.thin, specimen.sparse])
        self._levels = [self._at_share([self._crowd], float(share)) for share in shares]

    @property
    def reach_um(self) -> float:
        """No specimen lies farther from the middle than this, in x or y."""
        return self.specimen.size_mm * 500.0 + 100.0

    def _at_share(self, fields: list[Waves], share: float) -> float:
        """The level below which that share of the slide lies."""
        half = self.specimen.size_mm / 2
        x, y = np.meshgrid(*[np.linspace(-half, half, 96)] * 2)
        value = np.sum([sum_of_waves(waves, x, y) for waves in fields], axis=0)
        if share <= 0.0:
            return -math.inf
        return float(np.quantile(value, min(share, 1.0)))

    def cover(self, x_um: npt.ArrayLike, y_um: npt.ArrayLike) -> F32:
        """0 beside the specimen, 1 within it, at places of any shape."""
        x, y = np.asarray(x_um) / 1e3, np.asarray(y_um) / 1e3
        half = self.specimen.size_mm / 2
        if self.specimen.kind == "cell":
            inside = (half - np.hypot(x, y)) / 0.06
        else:
            inside = (half - np.maximum(np.abs(x), np.abs(y))) / 0.06
        if math.isfinite(self._level):
            near = np.asarray(inside > -1.0)
            value = np.full(x.shape, -np.inf)
            parts = [sum_of_waves(waves, x[near], y[near]) for waves in self._outline]
            value[near] = (np.sum(parts, axis=0) - self._level) / _SOFT
            inside = np.minimum(inside, value)
        t = np.clip(inside + 0.5, 0.0, 1.0)
        return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)

    def piece(self, row: int, column: int) -> Piece:
        """What supercell (row, column) shows; (0, 0) begins at the middle of the slide."""
        rng = np.random.default_rng([self._seed, 2, row + 2**20, column + 2**20])
        side_mm = SUPERCELL * BLOCK_PX * self._um_per_px / 1e3
        crowd = float(
            sum_of_waves(
                self._crowd, np.array((column + 0.5) * side_mm), np.array((row + 0.5) * side_mm)
            )
        )
        wanted = CLASSES[sum(crowd >= level for level in self._levels)]
        fitting = [index for index, name in enumerate(self._classes) if name == wanted]
        tile = fitting[int(rng.integers(len(fitting)))] if fitting else None
        mirror, turned = rng.integers(2, size=2), bool(rng.integers(2))
        shift = rng.integers(self._tile_blocks, size=2)
        return Piece(
            tile, wanted, (bool(mirror[0]), bool(mirror[1])), turned, (int(shift[0]), int(shift[1]))
        )


def sources(
    piece: Piece, rows: Squares, columns: Squares, tile_squares: int, per_block: int = 1
) -> tuple[Squares, Squares]:
    """Rows and columns of a tile, which has `tile_squares` squares along a side, that stand at
    squares of the slide; a block holds `per_block` squares along a side."""
    y = (rows + piece.shift[0] * per_block) % tile_squares
    x = (columns + piece.shift[1] * per_block) % tile_squares
    y = tile_squares - 1 - y if piece.mirror[0] else y
    x = tile_squares - 1 - x if piece.mirror[1] else x
    return (x, y) if piece.turned else (y, x)


def orient(light: F32, piece: Piece, place: F32) -> None:
    """Lay a tile's block (block, block, 3) into its place on the slide, which is a view of a
    canvas; OpenCV does that four times as fast as numpy."""
    flip = {(True, False): 0, (False, True): 1, (True, True): -1}.get(piece.mirror)
    if piece.turned:
        light = np.asarray(cv2.transpose(light), np.float32)
    if flip is None:
        place[:] = light
    else:
        cv2.flip(light, flip, dst=place)


def shares(first: int, count: int) -> list[list[tuple[int, F32 | None]]]:
    """Along one axis, of `count` blocks from `first`: the supercells that a block shows, each with
    its weight per pixel; None = all of it."""
    return [_shares(block) for block in range(first, first + count)]


def _shares(block: int) -> list[tuple[int, F32 | None]]:
    cell, inside = divmod(block + FADE, SUPERCELL)
    if inside >= 2 * FADE:
        return [(cell, None)]
    pixels = inside * BLOCK_PX + np.arange(BLOCK_PX, dtype=np.float32) + np.float32(0.5)
    rise = pixels / np.float32(2 * FADE * BLOCK_PX)
    return [(cell - 1, 1.0 - rise), (cell, rise)]
