"""Cells as a cervical smear has them: flat squamous cells, rounder deep ones, sheets of glandular
cells, white cells, bare nuclei. Each lies whole in one of the slide's layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.judge.canvas import F32, Canvas, Dye, Grain, Layer, edge, oval, polygon

Point = tuple[float, float]


class CellPainter:
    """Draws cells on a canvas; `strength` of the stain."""

    def __init__(self, canvas: Canvas, dyes: dict[str, Dye], strength: float) -> None:
        self.canvas, self.dyes, self.strength = canvas, dyes, strength
        px, rng = canvas.um_per_px, canvas.rng
        self._clumps = Grain(px, rng, 2.2, 0.55, 0.6)
        self._plasma = Grain(px, rng, 9.0, 0.5, 1.3)
        self._folds = Grain(px, rng, 14.0, 2.5, 2.0)

    def squamous(self, at: Point, layer: Layer) -> None:
        """A thin plate with many corners and a small nucleus; superficial or intermediate."""
        c, rng = self.canvas, self.canvas.rng
        radius = rng.uniform(17.0, 31.0)
        corner, y, x = c.window(at, 1.25 * radius)
        shape = polygon(y, x, rng, radius, int(rng.integers(5, 9)), rng.uniform(1.0, 5.0))
        cover = edge(shape, self._soft(1.2))
        middle = np.exp(-(y * y + x * x) / np.float32(0.18 * radius**2))
        body = 1.0 + 0.10 * self._plasma.cut(cover.shape) + 0.5 * middle
        folds = self._folds.cut(cover.shape)
        body += rng.uniform(0.2, 0.9) * np.exp(-((folds / 0.07) ** 2)) * (folds.T > -0.4)
        rim = np.exp(-(((shape - 0.8) / np.float32(self._soft(0.9))) ** 2))
        amount = cover * (body + rng.uniform(0.0, 0.6) * rim)
        dye = self.dyes["plasma_b" if rng.uniform() < 0.45 else "plasma_a"]
        self.put(layer, corner, amount * rng.uniform(0.07, 0.22), dye, 1.4)
        if rng.uniform() < 0.3:  # keratohyaline granules
            grains = self._clumps.cut(cover.shape) > 2.1
            self.put(layer, corner, cover * grains * np.float32(0.35), self.dyes["nucleus"])
        small = rng.uniform() < 0.4
        offset = rng.normal(0.0, 0.12 * radius, 2)
        place = (at[0] + offset[0], at[1] + offset[1])
        self.nucleus(place, layer, rng.uniform(2.4, 3.2) if small else rng.uniform(3.4, 5.2), small)

    def deep(self, at: Point, layer: Layer) -> None:
        """A round parabasal cell with thick plasma and a large nucleus."""
        c, rng = self.canvas, self.canvas.rng
        radius = rng.uniform(7.0, 12.0)
        corner, y, x = c.window(at, 1.5 * radius)
        shape = oval(y, x, rng, radius, rng.uniform(1.0, 1.25), rng.uniform(0, 3.14))
        bulge = np.sqrt(np.clip(shape / radius, 0.0, 1.0)) * 0.6 + 0.6
        amount = edge(shape, self._soft(0.8)) * bulge * (1 + 0.15 * self._plasma.cut(shape.shape))
        self.put(layer, corner, amount * rng.uniform(0.18, 0.4), self.dyes["plasma_a"], 1.2)
        self.nucleus(at, layer, radius * rng.uniform(0.4, 0.55))

    def sheet(self, at: Point, layer: Layer) -> None:
        """A sheet of glandular cells in a honeycomb, a few nuclei one upon the other."""
        rng, pitch = self.canvas.rng, self.canvas.rng.uniform(7.5, 10.5)
        reach, turn = rng.uniform(16.0, 42.0), rng.uniform(0, 3.14)
        for row in range(-6, 7):
            for column in range(-6, 7):
                v, u = row * pitch * 0.866, (column + 0.5 * (row % 2)) * pitch
                if np.hypot(v, u) > reach * rng.uniform(0.8, 1.1):
                    continue
                dy, dx = rng.normal(0.0, 0.14 * pitch, 2)
                y = at[0] + dy + v * np.cos(turn) - u * np.sin(turn)
                x = at[1] + dx + v * np.sin(turn) + u * np.cos(turn)
                corner, wy, wx = self.canvas.window((y, x), 0.9 * pitch)
                shape = polygon(wy, wx, rng, 0.62 * pitch, 6, 0.7)
                amount = edge(shape, self._soft(0.9)) * np.float32(rng.uniform(0.10, 0.2))
                self.put(layer, corner, amount, self.dyes["plasma_a"], 1.2)
                self.nucleus((y, x), layer, rng.uniform(2.9, 3.9))

    def white(self, at: Point, layer: Layer) -> None:
        """A polymorph: two to four dark lobes in faint plasma."""
        c, rng = self.canvas, self.canvas.rng
        corner, y, x = c.window(at, 7.5)
        body = oval(y, x, rng, 5.2, 1.05, 0.0, 0.15)
        amount = edge(body, self._soft(0.8)) * (1 + 0.3 * self._plasma.cut(body.shape))
        self.put(layer, corner, amount * np.float32(0.10), self.dyes["plasma_b"], 1.5)
        turn, lobes = rng.uniform(0, 6.28), int(rng.integers(2, 5))
        for number in range(lobes):
            angle = turn + 4.2 * number / lobes
            place = (at[0] + 2.3 * np.sin(angle), at[1] + 2.3 * np.cos(angle))
            self.nucleus(place, layer, rng.uniform(1.5, 2.1), dark=True)

    def nucleus(self, at: Point, layer: Layer, radius_um: float, dark: bool = False) -> None:
        """Chromatin in clumps, a membrane, perhaps a nucleolus; `dark` = shrunken, without them."""
        c, rng = self.canvas, self.canvas.rng
        corner, y, x = c.window(at, 1.6 * radius_um + 1.0)
        stretch = rng.uniform(1.0, 1.22)
        shape = oval(y, x, rng, radius_um, stretch, rng.uniform(0, 3.14), 0.09)
        cover = edge(shape, self._soft(0.6))
        if dark:
            amount = cover * (1.25 + 0.15 * self._clumps.cut(cover.shape))
        else:
            clumps = self._clumps.cut(cover.shape)
            texture = np.clip(0.75 + rng.uniform(0.15, 0.45) * clumps, 0.2, 2.0)
            rim = np.exp(-(((shape - 0.35) / np.float32(self._soft(0.55))) ** 2))
            amount = cover * texture + 0.45 * rim * cover
            for _ in range(int(rng.integers(0, 3))):
                dy, dx = rng.normal(0.0, 0.35 * radius_um, 2)
                spot = 0.7 - np.hypot(y - np.float32(dy), x - np.float32(dx))
                amount = amount + 0.8 * edge(spot.astype(np.float32), self._soft(0.5)) * cover
        amount = amount * np.float32(rng.uniform(0.55, 1.05))
        self.put(layer, corner, amount.astype(np.float32), self.dyes["nucleus"])

    def rods(self, at: Point, layer: Layer) -> None:
        """A scatter of bacteria: rods of 1 by 4 um."""
        rng = self.canvas.rng
        for _ in range(int(rng.integers(10, 60))):
            dy, dx = rng.normal(0.0, 14.0, 2)
            corner, y, x = self.canvas.window((at[0] + dy, at[1] + dx), 3.5)
            shape = oval(y, x, rng, 1.0, 1.9, rng.uniform(0, 3.14), 0.02)
            amount = edge(shape, self._soft(0.6)) * np.float32(0.22)
            self.put(layer, corner, amount, self.dyes["nucleus"], 1.5)

    def _soft(self, usual_um: float) -> float:
        return max(usual_um * self.canvas.softness_um, 0.7 * self.canvas.um_per_px)

    def put(
        self, layer: Layer, corner: tuple[int, int], amount: npt.NDArray[np.floating], dye: Dye,
        phase: float = 1.0,
    ) -> None:  # fmt: skip
        """`phase` is the object's own ratio, which differs from one to the next. An unstained
        object keeps its phase."""
        own = phase * float(np.exp(self.canvas.rng.normal(0.0, 0.3)))
        if self.strength == 0.0:
            dye, strength = (0.0, 0.0, 0.0), 1.0
        else:
            strength, own = self.strength, own / self.strength
        self.canvas.stamp(layer, corner, _f32(amount) * np.float32(strength), dye, own)


def _f32(values: npt.NDArray[np.floating]) -> F32:
    return np.asarray(values, np.float32)


def paint_cells(
    canvas: Canvas, dyes: dict[str, Dye], strength: float, places: list[Point], sparsity: str
) -> None:
    """A cell, a sheet or whatever else is met with at each of `places`."""
    painter, rng = CellPainter(canvas, dyes, strength), canvas.rng
    draws = (painter.squamous, painter.deep, painter.sheet, painter.white, painter.rods)
    odds = {
        "dense": (0.50, 0.12, 0.10, 0.25, 0.03),
        "sparse": (0.50, 0.15, 0.07, 0.28, 0.0),
        "ex-sparse": (0.55, 0.20, 0.05, 0.20, 0.0),
    }[sparsity]
    for place in places:
        layer = canvas.layers[int(rng.integers(len(canvas.layers)))]
        if rng.uniform() < 0.12:
            painter.nucleus(place, layer, rng.uniform(3.0, 5.0), dark=rng.uniform() < 0.3)
        else:
            draws[int(rng.choice(len(draws), p=odds))](place, layer)
