"""The macro camera of a simulated slide: the whole glass in one picture, lit through or from the
side.

Through: a lamp behind the slide, so stains, pen and paper are dark. Side: a dark field, bright is
what scatters: specimen by its phase, edges of glass, dust, scratches, and most of all the paper of
the label. Both are of the same camera, so they lie pixel on pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from simulator.world import World
from simulator.world_glass import path_distance
from simulator.world_layout import BLOCK_PX, shares, sources
from simulator.world_tiles import CELL_PX

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]

_PER_BLOCK = BLOCK_PX // CELL_PX
_PAPER = np.array((0.93, 0.93, 0.90), np.float32)
#: mean squared slope of phase that lights a pixel to a quarter of white from the side
_SCATTER = 0.002


@dataclass(frozen=True, slots=True)
class MacroParameters:
    """`turned_deg`, `moved_um`: how the slide lies in its holder; `lamp`: light of R, G, B against
    the day the empty slide was taken; `falloff`: light lost in a corner; `stain`: share of the
    specimen's absorbance (0 = unstained, it still scatters); `full_well_e`: fewer is noisier."""

    um_per_px: float = 16.0
    size_um: tuple[float, float] = (80_000.0, 30_000.0)
    middle_um: tuple[float, float] = (-11_000.0, 0.0)
    turned_deg: float = 0.0
    moved_um: tuple[float, float] = (0.0, 0.0)
    lamp: tuple[float, float, float] = (1.0, 1.0, 1.0)
    falloff: float = 0.25
    stain: float = 1.0
    scatter: float = 1.0
    full_well_e: float = 9000.0
    blur_px: float = 0.7

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return round(self.size_um[1] / self.um_per_px), round(self.size_um[0] / self.um_per_px)

    def stage_um(self) -> F64:
        """(2, 3): from (column, row, 1) of a pixel's middle to (x, y) of the stage."""
        h, w = self.shape
        angle, scale = math.radians(self.turned_deg), self.um_per_px
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        middle = np.array(self.middle_um) - np.array(self.moved_um)
        shift = middle - scale * turn @ np.array([(w - 1) / 2, (h - 1) / 2])
        return np.column_stack([scale * turn, shift])


class MacroCamera:
    """Pictures of one world."""

    def __init__(self, world: World, parameters: MacroParameters | None = None) -> None:
        self.world, self.parameters = world, parameters or MacroParameters()
        self._noise = np.random.default_rng([world.seed, 6])
        h, w = self.parameters.shape
        matrix = self.parameters.stage_um()
        column, row = np.meshgrid(np.arange(w), np.arange(h))
        self._x, self._y = (m[0] * column + m[1] * row + m[2] for m in matrix)
        self._light, self._scatter = self._specimen()

    def through(self) -> U8:
        """(h, w, 3) uint8 RGB, light from behind."""
        light = self._light ** np.float32(self.parameters.stain)
        self._glass_dark(light)
        return self._expose(light * np.float32(0.85), lamp=True)

    def side(self) -> U8:
        """(h, w, 3) uint8 RGB, light from the side."""
        grey = self._scatter * np.float32(self.parameters.scatter / _SCATTER * 0.25)
        tint = 0.6 + 0.4 * self._light ** np.float32(self.parameters.stain)
        light = 0.02 + np.minimum(grey, 0.6)[..., None] * tint
        self._glass_bright(light)
        return self._expose(light, lamp=True)

    def empty_through(self) -> U8:
        """An empty holder with a clean slide, the lamp as on that day."""
        return self._expose(np.full((*self.parameters.shape, 3), 0.85, np.float32), lamp=False)

    def empty_side(self) -> U8:
        """The same from the side."""
        return self._expose(np.full((*self.parameters.shape, 3), 0.02, np.float32), lamp=False)

    def specimen(self, least: float = 0.02) -> npt.NDArray[np.bool_]:
        """The truth: pixels whose specimen takes at least that share of the light at full stain."""
        return np.asarray(1.0 - self._light.min(axis=2) >= least)

    def _specimen(self) -> tuple[F32, F32]:
        """Light through the specimen (h, w, 3) and what it scatters (h, w)."""
        through, scatter, first = whole_slide(self.world)
        pitch = CELL_PX * self.world.um_per_px
        sd = 0.45 * self.parameters.um_per_px / pitch
        column, row = (np.asarray(m / pitch - 0.5 - f, np.float32)
                       for m, f in ((self._x, first[1]), (self._y, first[0])))  # fmt: skip
        out = []
        for plane, outside in ((through, 1.0), (scatter, 0.0)):
            soft = cv2.GaussianBlur(plane, (0, 0), sd)
            out.append(cv2.remap(
                soft, column, row, cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_CONSTANT, borderValue=(outside,) * 3,
            ))  # fmt: skip
        return np.asarray(out[0], np.float32), np.asarray(out[1], np.float32)

    def _lines(self) -> list[tuple[tuple[tuple[float, float], ...], float, float, float]]:
        """Edges of glass and scratches: corners, width, absorbance, brightness from the side."""
        glass = self.world.glass
        lines: list[tuple[tuple[tuple[float, float], ...], float, float, float]] = []
        for box, dark, bright in ((glass.slide, 0.9, 0.7), (glass.cover_slip, 0.25, 0.4)):
            x0, y0, x1, y1 = box
            corners = ((x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0))
            lines.append((corners, 60.0, dark, bright))
        for ax, ay, bx, by in glass.scratches:
            lines.append((((ax, ay), (bx, by)), 12.0, 0.06, 0.5))
        return lines

    def _inside(self, away: F64, half_um: float) -> F32:
        """How much of a pixel lies within that distance of a line."""
        pixel = self.parameters.um_per_px
        share = np.clip((half_um - np.abs(away)) / pixel + 0.5, 0.0, 1.0)
        return np.asarray(share * min(1.0, 2 * half_um / pixel), np.float32)

    def _glass_dark(self, light: F32) -> None:
        glass = self.world.glass
        for corners, width, dark, _ in self._lines():
            light *= np.exp(-dark * self._along(corners, width))[..., None]
        for bubble in glass.bubbles:
            at, away = self._round(bubble.x_um, bubble.y_um, bubble.radius_um + 100.0)
            light[at] *= np.exp(-0.8 * self._inside(away - bubble.radius_um, bubble.rim_um))[
                ..., None
            ]
        for stroke in glass.strokes:
            inside = self._along(stroke.corners_um, stroke.width_um)
            light *= np.exp(-inside[..., None] * np.array(stroke.ink, np.float32))
        for speck in glass.specks:
            self._speck(light, speck.x_um, speck.y_um, speck.radius_um, -speck.absorbance)
        paper, ink = self._label()
        light *= 1.0 - paper[..., None] * (0.93 + 0.04 * ink[..., None])

    def _glass_bright(self, light: F32) -> None:
        glass = self.world.glass
        for corners, width, _, bright in self._lines():
            light += bright * self._along(corners, width)[..., None]
        for bubble in glass.bubbles:
            at, away = self._round(bubble.x_um, bubble.y_um, bubble.radius_um + 100.0)
            light[at] += 0.35 * self._inside(away - bubble.radius_um, bubble.rim_um)[..., None]
        for stroke in glass.strokes:
            inside = self._along(stroke.corners_um, stroke.width_um)[..., None]
            light *= 1.0 - 0.6 * inside
            light += 0.02 * inside * np.exp(-np.array(stroke.ink, np.float32))
        for speck in glass.specks:
            self._speck(light, speck.x_um, speck.y_um, speck.radius_um, 0.9)
        paper, ink = self._label()
        shine = _PAPER * (0.85 - 0.75 * ink[..., None])
        light += paper[..., None] * (shine - light)

    def _along(self, corners: tuple[tuple[float, float], ...], width_um: float) -> F32:
        """Coverage by a line of that width, looked at only near it."""
        out = np.zeros(self._x.shape, np.float32)
        for start, end in pairwise(corners):
            at = self._around(np.array([start, end]), width_um)
            away = path_distance((start, end), self._x[at], self._y[at])
            np.maximum(out[at], self._inside(away, width_um / 2), out=out[at])
        return out

    def _around(self, places_um: F64, margin_um: float) -> tuple[slice, slice]:
        """Rows and columns that show places (n, 2), and so much around them."""
        back = cv2.invertAffineTransform(self.parameters.stage_um())
        there = places_um @ back[:, :2].T + back[:, 2]
        margin = margin_um / self.parameters.um_per_px + 2.0
        low = np.maximum(np.floor(there.min(0) - margin), 0).astype(int)
        high = np.maximum(np.ceil(there.max(0) + margin) + 1, 0).astype(int)
        return slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0]))

    def _round(self, x_um: float, y_um: float, reach_um: float) -> tuple[tuple[slice, slice], F64]:
        """The pixels around a place, and how far each is from it."""
        at = self._around(np.array([[x_um, y_um]]), reach_um)
        return at, np.hypot(self._x[at] - x_um, self._y[at] - y_um)

    def _speck(self, light: F32, x_um: float, y_um: float, radius_um: float, how: float) -> None:
        """A spot smaller or larger than a pixel; darkens where `how` is negative."""
        at, away = self._round(x_um, y_um, radius_um)
        share = self._inside(away, radius_um) * min(1.0, radius_um / self.parameters.um_per_px)
        part = light[at]
        if how < 0:
            part *= np.exp(how * share)[..., None]
        else:
            part += how * share[..., None]

    def _label(self) -> tuple[F32, F32]:
        """Where paper is, and print on it."""
        x0, y0, x1, y1 = self.world.glass.label
        at = self._around(np.array([(x, y) for x in (x0, x1) for y in (y0, y1)]), 0.0)
        inside, ink = np.zeros((2, *self._x.shape), np.float32)
        x, y = self._x[at], self._y[at]
        inside[at] = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        code = barcode_modules(self.world.glass.barcode)
        side_um = 11_000.0 / len(code)
        column, row = (x - x0 - 4_500.0) / side_um - 0.5, (y - y0 - 5_000.0) / side_um - 0.5
        ink[at] = cv2.remap(
            code, column.astype(np.float32), row.astype(np.float32), cv2.INTER_NEAREST,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(0.0,),
        )  # fmt: skip
        for line in range(3):  # what a person wrote, as lines of even grey
            away_um, half_um = np.abs(y - y0 - 18_000.0 - 1_400.0 * line), 6_000.0 - 1_500.0 * line
            words = (away_um < 350.0) & (np.abs(x - x0 - 9_000.0) < half_um)
            ink[at] = np.maximum(ink[at], 0.6 * (words & (np.sin(x / 130.0) > -0.3)))
        return inside, ink

    def _expose(self, light: F32, lamp: bool) -> U8:
        p = self.parameters
        h, w = p.shape
        soft = cv2.GaussianBlur(light, (0, 0), p.blur_px) if p.blur_px > 0 else light
        y = np.linspace(-1, 1, h, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, w, dtype=np.float32)[None, :]
        fall = 1.0 - np.float32(p.falloff / 2) * (x * x + y * y)
        signal = soft * fall[..., None] * np.array(p.lamp if lamp else (1, 1, 1), np.float32)
        signal = np.clip(signal, 0.0, 1.0)
        sd = np.sqrt(signal / p.full_well_e + (5.0 / p.full_well_e) ** 2)
        signal += sd * self._noise.standard_normal(signal.shape, np.float32)
        return np.clip(np.rint(signal * 255.0), 0, 255).astype(np.uint8)


def barcode_modules(text: str) -> F32:
    """A QR code, 1 = printed, with its quiet zone."""
    code = cv2.QRCodeEncoder.create().encode(text)
    return np.asarray(code < 128, np.float32)


def whole_slide(world: World) -> tuple[F32, F32, tuple[int, int]]:
    """Of all squares of 32 px within the specimen's reach: light through them (rows, columns, 3),
    what they scatter (rows, columns), and the first square's row and column."""
    pitch = CELL_PX * world.um_per_px
    first = -_PER_BLOCK * math.ceil(world.layout.reach_um / pitch / _PER_BLOCK)
    count = -2 * first
    cover = _cover(world, first, count, pitch)
    through = np.ones((count, count, 3), np.float32)
    scatter = np.zeros((count, count), np.float32)
    weights = _axis(first, count)
    squares = world.parameters.tile_px // CELL_PX
    for cell_row, (rows, rise) in weights.items():
        for cell_column, (columns, rise_along) in weights.items():
            piece = world.piece(cell_row, cell_column)
            if piece.tile is None:
                continue
            part = np.ix_(rows, columns)
            share = (rise[:, None] * rise_along[None, :] * cover[part]).astype(np.float32)
            if not share.any():
                continue
            there = np.meshgrid(rows + first, columns + first, indexing="ij")
            source = sources(piece, there[0], there[1], squares, _PER_BLOCK)
            tile = world.tiles[piece.tile]
            through[part] += share[..., None] * (tile.transmitted[source] - 1.0)
            scatter[part] += share * tile.scatter[source]
    return through, scatter, (first, first)


def _cover(world: World, first: int, count: int, pitch: float) -> F32:
    """The specimen's cover at the middle of each square, between nodes every four squares."""
    nodes = (np.arange(-(-count // 4) + 1) * 4 + first) * pitch
    coarse = world.layout.cover(*np.meshgrid(nodes, nodes))
    place = ((np.arange(count) + 0.5) / 4.0).astype(np.float32)
    return np.asarray(cv2.remap(coarse, *np.meshgrid(place, place), cv2.INTER_LINEAR), np.float32)


def _axis(first: int, count: int) -> dict[int, tuple[npt.NDArray[np.intp], F32]]:
    """Along one axis: the squares of each supercell, from `first`, and its weight in each."""
    parts: dict[int, list[tuple[int, float]]] = {}
    for index, block in enumerate(shares(first // _PER_BLOCK, count // _PER_BLOCK)):
        for cell, rise in block:
            for half in range(_PER_BLOCK):
                weight = 1.0 if rise is None else float(rise[half * CELL_PX + CELL_PX // 2])
                parts.setdefault(cell, []).append((index * _PER_BLOCK + half, weight))
    return {
        cell: (np.array([i for i, _ in part], np.intp), np.array([w for _, w in part], np.float32))
        for cell, part in parts.items()
    }
