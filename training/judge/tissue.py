"""A section of tissue: bundles of fibres, spindle nuclei along them, glands, lymphocytes, vessels
with red cells. Where the section is thick its layers hold different fibres and nuclei."""

from __future__ import annotations

import numpy as np

from training.judge.canvas import (
    F32,
    Canvas,
    Dye,
    Grain,
    Layer,
    edge,
    noise,
    oval,
    polygon,
    white_spectrum,
)
from training.judge.cells import CellPainter

Point = tuple[float, float]
DIRECTIONS = 6


class TissuePainter:
    """Draws on all layers of a canvas within `mask` (h, w), 1 = section."""

    def __init__(self, canvas: Canvas, dyes: dict[str, Dye], strength: float, mask: F32) -> None:
        self.canvas, self.dyes, self.strength, self.mask = canvas, dyes, strength, mask
        self.cells = CellPainter(canvas, dyes, strength)
        self._angle = noise(canvas.shape, canvas.um_per_px, canvas.rng, 260.0, 70.0, 2.0)
        self._angle *= np.float32(canvas.rng.uniform(0.5, 1.6))
        self._grain = Grain(canvas.um_per_px, canvas.rng, 5.0, 0.45, 0.9)
        self._free = np.ones(canvas.shape, np.float32)  # of glands and vessels

    def glands(self, count: int) -> None:
        """Rings of columnar cells with their nuclei at the outside, round a lumen."""
        c, rng = self.canvas, self.canvas.rng
        for _ in range(count):
            at = self._somewhere()
            if c.at(self.mask, at) * c.at(self._free, at) < 0.5:
                continue
            radius = min(rng.uniform(20.0, 55.0), 0.3 * min(c.size_um))
            corner, y, x = c.window(at, 1.3 * radius)
            shape = polygon(y, x, rng, radius, int(rng.integers(7, 12)), 0.25 * radius)
            depth = min(rng.uniform(9.0, 18.0), 0.75 * radius)
            body = edge(shape, self._soft(1.0))
            lumen = edge(shape - np.float32(depth), self._soft(1.6))
            self._clear(corner, body)
            wall = (body - lumen * rng.uniform(0.75, 1.0)) * (
                1.0 + 0.25 * self._grain.cut(body.shape)
            )
            layer = self._layer()
            amount = wall * rng.uniform(0.14, 0.3)
            self._within(layer, corner, amount, self.dyes["plasma_b"])
            self._within(layer, corner, 0.8 * amount, self.dyes["plasma_a"])
            self._ring(at, shape, depth, radius)

    def _ring(self, at: Point, shape: F32, depth: float, radius: float) -> None:
        c, rng = self.canvas, self.canvas.rng
        px, middle = c.um_per_px, shape.shape[0] // 2
        for angle in np.arange(0.0, 2 * np.pi, rng.uniform(4.2, 6.0) / radius):
            # outwards until the outline, then a little back
            far = np.arange(0.0, 1.3 * radius, px)
            rows = np.clip((middle + far * np.sin(angle) / px).astype(int), 0, 2 * middle)
            columns = np.clip((middle + far * np.cos(angle) / px).astype(int), 0, 2 * middle)
            inside = np.flatnonzero(shape[rows, columns] > depth * rng.uniform(0.2, 0.5))
            if len(inside):
                out = far[inside[-1]]
                place = (at[0] + out * np.sin(angle), at[1] + out * np.cos(angle))
                self._spindle(place, angle, rng.uniform(2.3, 3.1), rng.uniform(1.1, 1.35))

    def vessels(self, count: int) -> None:
        """Clear channels, red cells in them."""
        c, rng = self.canvas, self.canvas.rng
        for _ in range(count):
            at = self._somewhere()
            corner, y, x = c.window(at, 45.0)
            shape = oval(
                y, x, rng, rng.uniform(6.0, 16.0), rng.uniform(1.0, 1.8), rng.uniform(0, 3)
            )
            self._clear(corner, edge(shape, self._soft(1.0)))
            for _ in range(int(rng.integers(0, 14))):
                dy, dx = rng.normal(0.0, 6.0, 2)
                spot, v, u = c.window((at[0] + dy, at[1] + dx), 5.0)
                disc = oval(v, u, rng, 3.1, rng.uniform(1.0, 1.2), rng.uniform(0, 3))
                bowl = 0.7 + 0.3 * np.clip(1.0 - disc / 3.1, 0.0, 1.0)
                amount = edge(disc, self._soft(0.6)) * bowl * rng.uniform(0.3, 0.6)
                self._within(self._layer(), spot, amount, self.dyes["red_cell"])

    def stroma(self) -> None:
        """Fibres along a slowly turning direction, on every layer its own."""
        c, rng = self.canvas, self.canvas.rng
        level, contrast = rng.uniform(0.10, 0.26), rng.uniform(0.5, 1.1)
        fine = rng.uniform(0.8, 1.6) * max(c.softness_um, 0.5)
        background = noise(c.shape, c.um_per_px, rng, 60.0, 8.0, 1.5)
        for layer in c.layers:
            total = np.zeros(c.shape, np.float32)
            weights = np.full(c.shape, 1e-3, np.float32)
            white, long = white_spectrum(c.shape, rng), rng.uniform(7.0, 14.0)
            for k in range(DIRECTIONS):
                turn = np.pi * k / DIRECTIONS
                streaks = noise(c.shape, c.um_per_px, rng, 12.0, fine, 0.7, (turn, long), white)
                weight = np.cos(self._angle - np.float32(turn))
                for _ in range(3):  # its eighth power: NumPy's own is ten times slower
                    weight *= weight
                total += weight * streaks
                weights += weight * weight
            fibres = np.tanh(0.8 * total / np.sqrt(weights)) * np.float32(0.5) + np.float32(0.5)
            body = np.clip(0.8 + 0.25 * background, 0.2, 1.6) * np.float32(1.0 - 0.5 * contrast)
            amount = (body + np.float32(1.2 * contrast) * fibres) * self.mask * self._free
            amount *= np.float32(level / len(c.layers) ** 0.7)
            self._spread(layer, amount, self.dyes["fibre"], 1.1)

    def nuclei(self, per_mm2: float) -> None:
        """Spindle nuclei along the fibres and, in patches, round dark lymphocytes."""
        c, rng = self.canvas, self.canvas.rng
        crowd = noise(c.shape, c.um_per_px, rng, 180.0, 50.0, 1.5)
        height, width = c.size_um
        for _ in range(int(per_mm2 * height * width * 1e-6)):
            at = self._somewhere()
            if c.at(self.mask, at) * c.at(self._free, at) < 0.6:
                continue
            if c.at(crowd, at) > rng.normal(1.1, 0.3):
                for _ in range(int(rng.integers(1, 4))):
                    dy, dx = rng.normal(0.0, 7.0, 2)
                    place = (at[0] + dy, at[1] + dx)
                    if c.at(self.mask, place) > 0.6:
                        self.cells.nucleus(place, self._layer(), rng.uniform(2.3, 3.1), dark=True)
            else:
                angle = c.at(self._angle, at) + rng.normal(0.0, 0.2)
                self._spindle(at, angle, rng.uniform(2.2, 3.2), rng.uniform(1.3, 2.0))

    def _spindle(self, at: Point, angle: float, radius: float, stretch: float) -> None:
        c, rng = self.canvas, self.canvas.rng
        corner, y, x = c.window(at, radius * stretch * 1.3 + 1.0)
        shape = oval(y, x, rng, radius, stretch, angle, 0.08)
        cover = edge(shape, self._soft(0.6))
        rim = np.exp(-(((shape - 0.3) / np.float32(self._soft(0.5))) ** 2))
        texture = np.clip(0.7 + rng.uniform(0.1, 0.4) * self._grain.cut(cover.shape), 0.15, 2.0)
        amount = cover * (texture + 0.35 * rim) * rng.uniform(0.45, 1.0)
        self._within(self._layer(), corner, amount, self.dyes["nucleus"])

    def _layer(self) -> Layer:
        return self.canvas.layers[int(self.canvas.rng.integers(len(self.canvas.layers)))]

    def _somewhere(self) -> Point:
        height, width = self.canvas.size_um
        return float(self.canvas.rng.uniform(0, height)), float(self.canvas.rng.uniform(0, width))

    def _soft(self, usual_um: float) -> float:
        return max(usual_um * self.canvas.softness_um, 0.7 * self.canvas.um_per_px)

    def _clear(self, corner: tuple[int, int], body: F32) -> None:
        for here, there in self.canvas.pieces(corner, (body.shape[0], body.shape[1])):
            self._free[here] *= 1.0 - body[there]

    def _within(
        self, layer: Layer, corner: tuple[int, int], amount: F32, dye: Dye, phase: float = 1.0
    ) -> None:
        cut = np.array(amount, np.float32)
        for here, there in self.canvas.pieces(corner, (cut.shape[0], cut.shape[1])):
            cut[there] *= self.mask[here]
        self.cells.put(layer, corner, cut, dye, phase)

    def _spread(self, layer: Layer, amount: F32, dye: Dye, phase: float) -> None:
        if self.strength == 0.0:
            self.canvas.spread(layer, amount, (0.0, 0.0, 0.0), phase)
        else:
            stained = amount * np.float32(self.strength)
            self.canvas.spread(layer, stained, dye, phase / self.strength)


def paint_tissue(
    canvas: Canvas, dyes: dict[str, Dye], strength: float, mask: F32, glandular: float
) -> None:
    """A section within `mask`; `glandular` glands per square millimetre of field."""
    rng = canvas.rng
    painter = TissuePainter(canvas, dyes, strength, mask)
    height, width = canvas.size_um
    area = height * width * 1e-6
    painter.glands(int(rng.poisson(glandular * area)))
    painter.vessels(int(rng.poisson(25.0 * area)))
    painter.stroma()
    painter.nuclei(rng.uniform(900.0, 3200.0))
