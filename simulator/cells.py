"""Pap-like exfoliated cells: squamous cells, parabasal cells, clusters and neutrophils.

Sizes from cervical cytology: superficial and intermediate squamous cells 40-60 um with nuclei of
5-9 um, parabasal cells 15-20 um, neutrophils about 10 um.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.outline import draw_outline
from simulator.specimen import Layer
from simulator.texture import add_stamp, max_stamp, noise_field, smoothstep, take_window

F32 = npt.NDArray[np.float32]
CYTOPLASM = ("ea_green", "eosin", "orange_g")


class CellPainter:
    """Draws cells into a few thin layers, which give the specimen its thickness."""

    def __init__(
        self,
        shape: tuple[int, int],
        um_per_px: float,
        rng: np.random.Generator,
        thickness_um: float,
        strength: float,
    ) -> None:
        heights = [0.0] if thickness_um < 0.5 else [-thickness_um / 2, 0.0, thickness_um / 2]
        self.shape, self.um_per_px, self.rng, self.strength = shape, um_per_px, rng, strength
        self.layers = [
            Layer(
                z,
                {name: np.zeros(shape, np.float32) for name in ("haematoxylin", *CYTOPLASM)},
                np.zeros(shape, np.float32),
            )
            for z in heights
        ]
        self.fine = noise_field(shape, um_per_px, rng, 0.9)
        self.coarse = noise_field(shape, um_per_px, rng, 4.0)

    def squamous(self, y: int, x: int) -> None:
        """A flat polygonal cell: thin cytoplasm with granules and folds, a small dense nucleus."""
        rng = self.rng
        layer = self.layers[rng.integers(len(self.layers))]
        mature = rng.uniform()
        radius = rng.uniform(18.0, 30.0) if mature > 0.25 else rng.uniform(8.0, 12.0)
        shape = draw_outline(
            rng, self.um_per_px, radius, rng.uniform(1.0, 1.35), 0.07, int(rng.integers(0, 7))
        )
        granules = self._window(self.coarse, shape.inside), self._window(self.fine, shape.inside)
        density = rng.uniform(0.08, 0.30) * self.strength * (1.6 if mature <= 0.25 else 1.0)
        rim = 1.0 + 0.5 * smoothstep((shape.radius - 0.85) / 0.15)
        thick = shape.inside * (0.9 + 0.22 * granules[0] + 0.13 * granules[1]) * rim
        thick += shape.inside * self._folds(granules[0])
        np.maximum(thick, 0.0, out=thick)
        dye = CYTOPLASM[rng.choice(3, p=(0.5, 0.35, 0.15))]
        self._put(layer, dye, thick * np.float32(density), y, x)
        self._put_phase(layer, thick * np.float32(rng.uniform(0.3, 0.9)), y, x)
        jitter = rng.normal(0.0, radius * 0.12 / self.um_per_px, 2)
        self.nucleus(layer, y + int(jitter[0]), x + int(jitter[1]), rng.uniform(2.8, 4.6))

    def nucleus(self, layer: Layer, y: int, x: int, radius_um: float) -> None:
        """Chromatin: darker rim and clumps on a dense background."""
        rng = self.rng
        shape = draw_outline(rng, self.um_per_px, radius_um, rng.uniform(1.0, 1.35), 0.05)
        clumps = self._window(self.fine, shape.inside)
        rim = 1.0 + 0.3 * smoothstep((shape.radius - 0.7) / 0.2)
        amount = shape.inside * np.maximum(rim * (1.0 + 0.25 * clumps), 0.1)
        density = np.float32(rng.uniform(0.6, 1.4) * self.strength)
        self._put(layer, "haematoxylin", amount * density, y, x)
        self._put_phase(layer, amount * np.float32(rng.uniform(0.2, 0.7)), y, x)

    def neutrophil(self, y: int, x: int) -> None:
        """A small cell whose nucleus has two to four lobes."""
        rng = self.rng
        layer = self.layers[rng.integers(len(self.layers))]
        body = draw_outline(rng, self.um_per_px, rng.uniform(4.0, 6.0), 1.1, 0.06)
        self._put(layer, "ea_green", body.inside * np.float32(0.12 * self.strength), y, x)
        self._put_phase(layer, body.inside * np.float32(0.4), y, x)
        for _ in range(int(rng.integers(2, 5))):
            dy, dx = rng.normal(0.0, 1.8 / self.um_per_px, 2)
            self.nucleus(layer, y + int(dy), x + int(dx), rng.uniform(1.2, 2.2))

    def cluster(self, y: int, x: int) -> None:
        """A sheet or a ball of parabasal or glandular cells, nuclei close together."""
        rng = self.rng
        spread = rng.uniform(8.0, 22.0) / self.um_per_px
        for _ in range(int(rng.integers(5, 24))):
            dy, dx = rng.normal(0.0, spread, 2)
            layer = self.layers[rng.integers(len(self.layers))]
            body = draw_outline(rng, self.um_per_px, rng.uniform(5.0, 9.0), 1.2, 0.07)
            amount = body.inside * np.float32(rng.uniform(0.10, 0.25) * self.strength)
            self._put(layer, "ea_green", amount, y + int(dy), x + int(dx))
            self._put_phase(layer, body.inside * np.float32(0.35), y + int(dy), x + int(dx))
            self.nucleus(layer, y + int(dy), x + int(dx), rng.uniform(2.6, 4.2))

    def _folds(self, coarse: F32) -> F32:
        """Creases: thin lines where a cell folds over itself."""
        if self.rng.uniform() < 0.5:
            return np.zeros_like(coarse)
        level = self.rng.uniform(-0.8, 0.8)
        return np.asarray(0.8 * np.exp(-(((coarse - level) / 0.08) ** 2)), np.float32)

    def _window(self, field: F32, like: F32) -> F32:
        top, left = self.rng.integers(field.shape[0]), self.rng.integers(field.shape[1])
        return take_window(field, int(top), int(left), *like.shape)

    @staticmethod
    def _put(layer: Layer, dye: str, stamp: F32, y: int, x: int) -> None:
        h, w = stamp.shape
        draw = max_stamp if dye != "haematoxylin" else add_stamp
        draw(layer.dyes[dye], np.asarray(stamp, np.float32), y - h // 2, x - w // 2)

    @staticmethod
    def _put_phase(layer: Layer, stamp: F32, y: int, x: int) -> None:
        assert layer.phase is not None
        h, w = stamp.shape
        add_stamp(layer.phase, np.asarray(stamp, np.float32), y - h // 2, x - w // 2)


def paint_cells(
    shape: tuple[int, int],
    um_per_px: float,
    rng: np.random.Generator,
    centres: list[tuple[int, int]],
    thickness_um: float,
    strength: float,
) -> list[Layer]:
    """Put one cell, neutrophil or cluster at each centre (row, column)."""
    painter = CellPainter(shape, um_per_px, rng, thickness_um, strength)
    for y, x in centres:
        draw = rng.uniform()
        if draw < 0.72:
            painter.squamous(y, x)
        elif draw < 0.90:
            painter.neutrophil(y, x)
        else:
            painter.cluster(y, x)
    for layer in painter.layers:
        np.minimum(layer.dyes["haematoxylin"], 2.2, out=layer.dyes["haematoxylin"])
    return painter.layers
