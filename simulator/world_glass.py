"""The glass around a simulated specimen: slide, label, cover slip, and what dirties them.

Everything lies in um of the stage, the specimen's middle at (0, 0). Under the objective these are
far from focus, so their shadows are geometric: blurred by the cone of light that the objective
takes in (`Glass.shadow`). The macro camera sees them sharp (macro_camera.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Box = tuple[float, float, float, float]  # x0, y0, x1, y1
Depth = Callable[[F64, F64], F64]

COVER_SLIP_UM = 170.0
#: R, G, B absorbance of felt pens: black, blue, green, red
INKS = ((1.6, 1.6, 1.5), (1.8, 1.1, 0.25), (1.5, 0.3, 1.1), (0.15, 1.5, 1.2))


@dataclass(frozen=True, slots=True)
class Bubble:
    """Air under the cover slip: a dark rim, clear inside."""

    x_um: float
    y_um: float
    radius_um: float
    height_um: float
    rim_um: float = 25.0


@dataclass(frozen=True, slots=True)
class Stroke:
    """A felt pen's way over the cover slip, corner by corner."""

    corners_um: tuple[tuple[float, float], ...]
    width_um: float
    ink: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Speck:
    """Dust; `height_um` above (or below) the specimen."""

    x_um: float
    y_um: float
    radius_um: float
    height_um: float
    absorbance: float


@dataclass(frozen=True, slots=True)
class Glass:
    """What lies where. `scratches`: on the lower face, from (x, y) to (x, y)."""

    slide: Box
    label: Box
    cover_slip: Box
    barcode: str
    bubbles: tuple[Bubble, ...] = ()
    strokes: tuple[Stroke, ...] = ()
    specks: tuple[Speck, ...] = ()
    scratches: tuple[Box, ...] = ()

    def shadow(self, light: F32, x_um: F64, y_um: F64, z_um: float, na: float) -> None:
        """Multiply `light` (rows, columns, 3), in place, by the shadows of all of it on pixels at
        `x_um` (columns,) and `y_um` (rows,), with the objective `z_um` above the specimen."""
        spread = math.tan(math.asin(min(na, 0.95))) / 2.0  # sd of the cone per um out of focus

        def part(box: Box, margin: float) -> tuple[slice, slice] | None:
            columns = np.searchsorted(x_um, (box[0] - margin, box[2] + margin))
            rows = np.searchsorted(y_um, (box[1] - margin, box[3] + margin))
            if columns[0] == columns[1] or rows[0] == rows[1]:
                return None
            return slice(*rows), slice(*columns)

        for box, margin, of in self._shadows(spread, z_um):
            if (at := part(box, margin)) is not None:
                depth = of(x_um[None, at[1]], y_um[at[0], None])
                light[at] *= np.exp(-depth).astype(np.float32)

    def _shadows(self, spread: float, z_um: float) -> Iterator[tuple[Box, float, Depth]]:
        sd = spread * abs(z_um - COVER_SLIP_UM) + 1.0
        yield from ((_around(s.corners_um), s.width_um + 4 * sd, _stroke(s, sd))
                    for s in self.strokes)  # fmt: skip
        x0, y0, x1, y1 = self.cover_slip
        for edge in ((x0, y0, x0, y1), (x1, y0, x1, y1), (x0, y0, x1, y0), (x0, y1, x1, y1)):
            yield edge, 40.0 + 4 * sd, _edge(edge, sd)
        for bubble in self.bubbles:
            sd = spread * abs(z_um - bubble.height_um) + 1.0
            here = (bubble.x_um, bubble.y_um)
            margin = bubble.radius_um + 5 * math.hypot(bubble.rim_um / 2, sd)
            yield (*here, *here), margin, _rim(bubble, sd)
        for speck in self.specks:
            sd = spread * abs(z_um - speck.height_um) + 0.3
            here = (speck.x_um, speck.y_um)
            broad, soft = _disk_um(speck, sd)
            yield (*here, *here), broad + 5 * soft, _disk(speck, sd)


def _around(corners: tuple[tuple[float, float], ...]) -> Box:
    x, y = zip(*corners, strict=True)
    return min(x), min(y), max(x), max(y)


def _stroke(stroke: Stroke, sd: float) -> Depth:
    ink = np.array(stroke.ink)

    def depth(x: F64, y: F64) -> F64:
        away = path_distance(stroke.corners_um, x, y)
        return np.asarray(ndtr((stroke.width_um / 2 - away) / sd)[..., None] * ink)

    return depth


def path_distance(corners: tuple[tuple[float, float], ...], x: F64, y: F64) -> F64:
    """From places to the nearest point of a way."""
    away = np.full(np.broadcast_shapes(x.shape, y.shape), np.inf)
    for (ax, ay), (bx, by) in pairwise(corners):
        length2 = max((bx - ax) ** 2 + (by - ay) ** 2, 1e-9)
        along = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length2, 0.0, 1.0)
        np.minimum(away, np.hypot(x - ax - along * (bx - ax), y - ay - along * (by - ay)), out=away)
    return away


def _edge(edge: Box, sd: float) -> Depth:
    width = 8.0

    def depth(x: F64, y: F64) -> F64:
        away = path_distance((edge[:2], edge[2:]), x, y)
        broad = math.hypot(width, sd)
        return np.asarray(1.2 * width / broad * np.exp(-0.5 * (away / broad) ** 2))[..., None]

    return depth


def _rim(bubble: Bubble, sd: float) -> Depth:
    broad = math.hypot(bubble.rim_um / 2, sd)

    def depth(x: F64, y: F64) -> F64:
        away = np.hypot(x - bubble.x_um, y - bubble.y_um) - bubble.radius_um
        rim = bubble.rim_um / 2 / broad * np.exp(-0.5 * (away / broad) ** 2)
        return np.asarray(1.4 * rim)[..., None]

    return depth


def _disk_um(speck: Speck, sd: float) -> tuple[float, float]:
    """Radius of a speck's shadow, and the sd of its edge."""
    return math.hypot(speck.radius_um, math.sqrt(2.0) * sd), 0.3 + 0.6 * sd


def _disk(speck: Speck, sd: float) -> Depth:
    """A disk through a cone: as much shadow as it has area, spread over what the cone covers."""
    broad, soft = _disk_um(speck, sd)
    strength = speck.absorbance * (speck.radius_um / broad) ** 2

    def depth(x: F64, y: F64) -> F64:
        away = np.hypot(x - speck.x_um, y - speck.y_um)
        return np.asarray(strength * ndtr((broad - away) / soft))[..., None]

    return depth


def draw_glass(seed: int, dirt: float = 1.0, reach_um: float = 7500.0) -> Glass:
    """A slide of 76 x 26 mm with its label on the left; `dirt` scales how much of pen, bubbles,
    dust and scratches there is, 0 = clean. Nothing but dust and a bubble lies on the specimen's
    middle."""
    rng = np.random.default_rng([seed, 5])
    off_x, off_y = rng.uniform(-800, 800, 2)
    slide = (-49_000.0 + off_x, -13_000.0 + off_y, 27_000.0 + off_x, 13_000.0 + off_y)
    label = (slide[0] + 600, slide[1] + 800, slide[0] + 20_000, slide[3] - 800)
    half = rng.uniform(11_000, 11_600), rng.uniform(10_300, 11_000)
    cover_slip = (-half[0], -half[1], half[0], half[1])

    def many(mean: float) -> int:
        return int(rng.poisson(mean * dirt))

    bubbles = tuple(
        Bubble(
            float(rng.uniform(-10_000, 10_000)), float(rng.uniform(-9_500, 9_500)),
            float(np.exp(rng.uniform(np.log(150.0), np.log(1200.0)))), float(rng.uniform(5, 30)),
        )
        for _ in range(many(2.0))
    )  # fmt: skip
    specks = tuple(
        Speck(
            float(rng.uniform(-10_500, 10_500)), float(rng.uniform(-10_000, 10_000)),
            float(np.exp(rng.uniform(np.log(2.0), np.log(40.0)))),
            float(rng.uniform(12, 60) * rng.choice((-1.0, 1.0))), float(rng.uniform(0.4, 2.0)),
        )
        for _ in range(many(150.0))
    )  # fmt: skip
    scratches = tuple(_scratch(rng) for _ in range(many(5.0)))
    strokes = tuple(_pen(rng, reach_um) for _ in range(min(many(0.8), 2)))
    barcode = f"S{26_000 + seed:05d}-{int(rng.integers(1, 30))}A"
    return Glass(slide, label, cover_slip, barcode, bubbles, strokes, specks, scratches)


def _scratch(rng: np.random.Generator) -> Box:
    x, y = rng.uniform(-20_000, 20_000), rng.uniform(-11_000, 11_000)
    angle, length = rng.uniform(0, np.pi), rng.uniform(1_000, 8_000)
    return float(x), float(y), float(x + length * np.cos(angle)), float(y + length * np.sin(angle))


def _pen(rng: np.random.Generator, reach_um: float) -> Stroke:
    """An arc beside the specimen, as a person marks a place."""
    ink = INKS[int(rng.integers(len(INKS)))]
    middle, radius = rng.uniform(0, 2 * np.pi), reach_um * rng.uniform(1.0, 1.15)
    angles = middle + np.linspace(-0.6, 0.6, 24) * rng.uniform(0.5, 1.0)
    wobble = radius * (1.0 + 0.02 * np.cumsum(rng.normal(0, 0.4, len(angles))))
    corners = tuple(
        (float(r * np.cos(a)), float(min(max(r * np.sin(a), -10_500), 10_500)))
        for r, a in zip(wobble, angles, strict=True)
    )
    return Stroke(corners, float(rng.uniform(500, 1000)), ink)
