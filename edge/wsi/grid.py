"""The lattice of fields that a scan visits: where each lies, and what it shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.wsi.regions import Box
from edge.wsi.route import Cell

MOST_FIELDS = 100_000
MOST_OVERLAP = 0.5


@dataclass(frozen=True, slots=True)
class Grid:
    """A lattice of fields; (`x0_um`, `y0_um`) is the centre of field (0, 0). `overlap`: the share
    of its width and height that a field has in common with the next one."""

    width_um: float
    height_um: float
    overlap: float = 0.1
    x0_um: float = 0.0
    y0_um: float = 0.0

    def __post_init__(self) -> None:
        sizes = (self.width_um, self.height_um)
        if not all(0 < size < math.inf for size in sizes):
            raise ValueError(f"fields of {sizes[0]} x {sizes[1]} um")
        if not 0 <= self.overlap <= MOST_OVERLAP:
            raise ValueError(f"overlap = {self.overlap} must be 0 to {MOST_OVERLAP}")
        if not (math.isfinite(self.x0_um) and math.isfinite(self.y0_um)):
            raise ValueError(f"a lattice at ({self.x0_um}, {self.y0_um})")

    @property
    def pitch_x_um(self) -> float:
        """From a field to the next one in its row."""
        return self.width_um * (1.0 - self.overlap)

    @property
    def pitch_y_um(self) -> float:
        """From a row to the next."""
        return self.height_um * (1.0 - self.overlap)

    def place(self, cell: Cell) -> tuple[float, float]:
        """(x, y) of a field's centre, um."""
        row, column = cell
        return self.x0_um + column * self.pitch_x_um, self.y0_um + row * self.pitch_y_um

    def box(self, cell: Cell) -> Box:
        """What a field shows."""
        x, y = self.place(cell)
        half_x, half_y = self.width_um / 2, self.height_um / 2
        return Box(x - half_x, y - half_y, x + half_x, y + half_y)

    def own(self, cell: Cell) -> Box:
        """What of the slide is this field's: these boxes meet and never overlap."""
        x, y = self.place(cell)
        half_x, half_y = self.pitch_x_um / 2, self.pitch_y_um / 2
        return Box(x - half_x, y - half_y, x + half_x, y + half_y)

    def parts(self, cell: Cell) -> list[tuple[Box, list[Cell]]]:
        """The same in nine parts, each with the other fields that show it."""
        own, (row, column) = self.own(cell), cell
        margin_x, margin_y = (self.overlap * size / 2 for size in (self.width_um, self.height_um))
        xs = (own.x0_um, own.x0_um + margin_x, own.x1_um - margin_x, own.x1_um)
        ys = (own.y0_um, own.y0_um + margin_y, own.y1_um - margin_y, own.y1_um)
        parts = []
        for i, dr in enumerate((-1, 0, 1)):
            for j, dc in enumerate((-1, 0, 1)):
                if xs[j] < xs[j + 1] and ys[i] < ys[i + 1]:
                    others = {(row + dr, column + dc), (row + dr, column), (row, column + dc)}
                    box = Box(xs[j], ys[i], xs[j + 1], ys[i + 1])
                    parts.append((box, sorted(others - {cell})))
        return parts

    def cells(self, box: Box) -> list[Cell]:
        """Every field of which a part of a box is its own. ValueError above MOST_FIELDS."""
        rows = _span(box.y0_um, box.y1_um, self.y0_um, self.pitch_y_um)
        columns = _span(box.x0_um, box.x1_um, self.x0_um, self.pitch_x_um)
        if len(rows) * len(columns) > MOST_FIELDS:
            raise ValueError(
                f"{len(rows)} x {len(columns)} fields are more than {MOST_FIELDS}: "
                "a region is too large, or a field too small"
            )
        return [(row, column) for row in rows for column in columns]


def _span(low_um: float, high_um: float, origin_um: float, pitch_um: float) -> range:
    first = math.floor((low_um - origin_um) / pitch_um + 0.5)
    last = math.ceil((high_um - origin_um) / pitch_um - 0.5)
    return range(first, last + 1)
