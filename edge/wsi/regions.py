"""Where specimen lies on a slide: polygons that a person drew, masks that a macro picture gave.

Slide coordinates are um of the XY stage. A region says how much specimen it claims inside a box.
That only ranks places: whether a field is blank is decided by what the networks see in it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]
Corner = tuple[float, float]
MOST_VERTICES = 500


@dataclass(frozen=True, slots=True)
class Box:
    """Upright, x0 < x1 and y0 < y1, um. ValueError for another one."""

    x0_um: float
    y0_um: float
    x1_um: float
    y1_um: float

    def __post_init__(self) -> None:
        if not (
            -math.inf < self.x0_um < self.x1_um < math.inf
            and -math.inf < self.y0_um < self.y1_um < math.inf
        ):
            raise ValueError(f"{self} is no box")

    @property
    def area_um2(self) -> float:
        """Its area."""
        return (self.x1_um - self.x0_um) * (self.y1_um - self.y0_um)

    def holds(self, x_um: float, y_um: float) -> bool:
        """Whether a place lies inside, edges included; not for NaN."""
        return self.x0_um <= x_um <= self.x1_um and self.y0_um <= y_um <= self.y1_um


class Region(Protocol):
    """A part of the slide that is to be scanned."""

    @property
    def box(self) -> Box:
        """The smallest box around it."""
        ...

    def content_um2(self, box: Box) -> float:
        """Area of specimen inside a box; above 0 wherever there is any."""
        ...


class Polygon:
    """A simple polygon, of any shape, either way round."""

    def __init__(self, corners: tuple[tuple[float, float], ...]) -> None:
        """`corners`: (x, y) in um. ValueError for fewer than three, more than MOST_VERTICES,
        what is not a number, edges that cross, or no area."""
        if not 3 <= len(corners) <= MOST_VERTICES:
            raise ValueError(f"a polygon has 3 to {MOST_VERTICES} corners, not {len(corners)}")
        points = np.array(corners, dtype=np.float64)
        if points.shape != (len(corners), 2) or not np.isfinite(points).all():
            raise ValueError("a polygon's corners are pairs of numbers")
        if _crosses(points):
            raise ValueError("the edges of the polygon cross")
        self.corners = tuple((float(x), float(y)) for x, y in corners)
        if not abs(_signed_area(self.corners)) > 0:
            raise ValueError("the polygon has no area")
        self._points = points

    @property
    def box(self) -> Box:
        """See Region."""
        (x0, y0), (x1, y1) = self._points.min(axis=0), self._points.max(axis=0)
        return Box(float(x0), float(y0), float(x1), float(y1))

    def content_um2(self, box: Box) -> float:
        """See Region; exact, by cutting the polygon at the box's four sides (Sutherland and
        Hodgman 1974): what it doubles along a side has no area."""
        points: Sequence[Corner] = self.corners
        for axis, edge, sign in (
            (0, box.x0_um, 1.0),
            (0, box.x1_um, -1.0),
            (1, box.y0_um, 1.0),
            (1, box.y1_um, -1.0),
        ):
            points = _cut(points, axis, edge, sign)
        return abs(_signed_area(points)) if len(points) > 2 else 0.0


class Mask:
    """A picture of where specimen is: `cells` (rows, columns) of bool, true = specimen."""

    def __init__(
        self, cells: npt.NDArray[np.bool_], um_per_cell: float, x0_um: float, y0_um: float
    ) -> None:
        """(`x0_um`, `y0_um`): the outer corner of cell (0, 0); rows go along y. ValueError for an
        empty mask or a scale that is none."""
        cells = np.array(cells, dtype=np.bool_)
        if cells.ndim != 2 or not cells.any():
            raise ValueError("a mask has rows and columns, and specimen somewhere")
        if not (0 < um_per_cell < math.inf and math.isfinite(x0_um) and math.isfinite(y0_um)):
            raise ValueError(f"a mask of {um_per_cell} um per cell at ({x0_um}, {y0_um})")
        cells.flags.writeable = False
        self.cells, self.um_per_cell = cells, um_per_cell
        self._ones = cells.astype(np.float64)
        self.x0_um, self.y0_um = x0_um, y0_um

    @property
    def box(self) -> Box:
        """See Region."""
        rows, columns = np.nonzero(self.cells)
        size = self.um_per_cell
        return Box(
            self.x0_um + size * int(columns.min()),
            self.y0_um + size * int(rows.min()),
            self.x0_um + size * (int(columns.max()) + 1),
            self.y0_um + size * (int(rows.max()) + 1),
        )

    def content_um2(self, box: Box) -> float:
        """See Region; a cell at the box's edge counts by the part inside."""
        rows = _shares(self.y0_um, self.um_per_cell, self.cells.shape[0], box.y0_um, box.y1_um)
        columns = _shares(self.x0_um, self.um_per_cell, self.cells.shape[1], box.x0_um, box.x1_um)
        return float(rows @ self._ones @ columns) * self.um_per_cell**2


def _shares(start_um: float, size_um: float, count: int, low_um: float, high_um: float) -> F64:
    """Of each of `count` cells in a row, the share that lies between two places."""
    edges = start_um + size_um * np.arange(count + 1)
    inside = np.minimum(edges[1:], high_um) - np.maximum(edges[:-1], low_um)
    return np.clip(inside / size_um, 0.0, 1.0)


def _signed_area(points: Sequence[Corner]) -> float:
    x0, y0 = points[0]
    return 0.5 * math.fsum(
        (a[0] - x0) * (b[1] - y0) - (b[0] - x0) * (a[1] - y0)
        for a, b in zip(points, [*points[1:], points[0]], strict=True)
    )


def _cut(points: Sequence[Corner], axis: int, edge: float, sign: float) -> list[Corner]:
    """What of a polygon lies on one side of an upright or level line."""
    kept: list[Corner] = []
    for i, here in enumerate(points):
        there = points[(i + 1) % len(points)]
        inside, next_inside = sign * (here[axis] - edge), sign * (there[axis] - edge)
        if inside >= 0:
            kept.append(here)
        if (inside < 0) != (next_inside < 0):
            part = inside / (inside - next_inside)
            kept.append(
                (here[0] + (there[0] - here[0]) * part, here[1] + (there[1] - here[1]) * part)
            )
    return kept


def _crosses(points: F64) -> bool:
    """Whether two edges that are not neighbours meet."""
    ends = np.roll(points, -1, axis=0)
    n = len(points)

    def side(a: F64, b: F64, c: F64) -> F64:
        return (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (b[..., 1] - a[..., 1]) * (
            c[..., 0] - a[..., 0]
        )

    a, b, c, d = points[:, None], ends[:, None], points[None], ends[None]
    meet = (side(a, b, c) * side(a, b, d) < 0) & (side(c, d, a) * side(c, d, b) < 0)
    i, j = np.indices((n, n))
    return bool((meet & ((i - j) % n > 1) & ((j - i) % n > 1)).any())
