"""What lies on a slide beside the specimen, told by shape and colour, each with its reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from edge.wsi.macro_light import MacroPictures, Signal

U8 = npt.NDArray[np.uint8]
Bools = npt.NDArray[np.bool_]

#: paper takes nearly all light, or scatters as nothing else does (grey levels)
_PAPER_ABSORBANCE, _PAPER_SCATTER, _LABEL_UM, _FILLED = 1.0, 90.0, 8_000.0, 0.85
_END_UM = 4_000.0  # a label lies so near to the end of all there is
_LINE_UM, _THIN_UM = 4_000.0, 90.0
_SCRATCH_UM, _SCRATCH_THIN = 700.0, 6.0  # length; how many times longer than wide
_INK, _INK_HUE, _INK_EVEN, _STROKE_UM = 0.6, 0.3, 0.15, 1_600.0
_ROUND, _BUBBLE_UM = 0.80, (100.0, 3_000.0)
_SPECK_UM, _ALONE_UM, _SPECK_DARK, _SPECK_BRIGHT = 80.0, 400.0, 0.8, 40.0
#: a picture is soft, and made softer: whatever is there is wider by so many pixels
_SOFT_PX = 6
_SOLID, _FLANKS = 0.8, 0.3  # an edge of glass has no more than this share of neighbours beside it


@dataclass(frozen=True, slots=True)
class Part:
    """Something that is no specimen: `kind`, why it is taken for that, its box (first row, first
    column, rows, columns) and area."""

    kind: str
    reason: str
    box_px: tuple[int, int, int, int]
    area_mm2: float


@dataclass(slots=True)
class Scene:
    """`there`: what is still taken for specimen; `taken`: what was taken away."""

    pictures: MacroPictures
    dark: Signal | None
    bright: Signal | None
    there: Bools
    label_px: tuple[slice, slice] | None = None
    taken: Bools = field(init=False)

    def __post_init__(self) -> None:
        self.taken = np.zeros_like(self.there)

    def take(self, kind: str, reason: str, at: tuple[slice, slice], shape: Bools) -> Part:
        """Take a shape within a box away."""
        self.taken[at] |= shape
        self.there[at] &= ~shape
        area = float(shape.sum()) * (self.pictures.um_per_px / 1e3) ** 2
        box = (at[0].start, at[1].start, *shape.shape)
        return Part(kind, reason, box, round(area, 4))


@dataclass(frozen=True, slots=True)
class Blob:
    """A connected piece: the box that holds it, its shape therein, and its area in px."""

    at: tuple[slice, slice]
    shape: Bools
    area: int


def blobs(mask: Bools) -> Iterator[Blob]:
    """Pieces that touch, diagonally too."""
    count, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    for index in range(1, count):
        left, top, width, height, area = (int(v) for v in stats[index])
        at = slice(top, top + height), slice(left, left + width)
        yield Blob(at, np.asarray(numbers[at] == index), area)


def label(scene: Scene) -> list[Part]:
    """Paper at one end: large, filled, of straight sides, dark from behind or bright from the
    side. The largest such; print on it belongs to it."""
    strong = np.zeros_like(scene.there)
    if scene.dark is not None:
        strong |= scene.dark.most > _PAPER_ABSORBANCE
    if scene.bright is not None:
        strong |= scene.bright.most > _PAPER_SCATTER
    size = scene.pictures.pixels
    kernel = np.ones((size(120.0),) * 2, np.uint8)  # thin edges do not join it to anything
    opened = np.asarray(cv2.morphologyEx(strong.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0)
    rows, columns = np.nonzero(scene.there)
    if not rows.size:
        return []
    ends = (rows.min(), rows.max()), (columns.min(), columns.max())
    best: tuple[float, Blob, U8] | None = None
    for blob in blobs(opened):
        points = np.argwhere(blob.shape)[:, ::-1].astype(np.int32)
        if min(blob.shape.shape) < size(_LABEL_UM):
            continue
        hull = cv2.convexHull(points)
        (_, sides, _) = cv2.minAreaRect(hull)
        filled = cv2.contourArea(hull) / max(sides[0] * sides[1], 1.0)
        near = any(
            min(abs(span.start - low), abs(high - span.stop)) < size(_END_UM)
            for span, (low, high) in zip(blob.at, ends, strict=True)
        )
        dense = blob.area / max(sides[0] * sides[1], 1.0)
        if near and filled > _FILLED and dense > 0.6 and (best is None or blob.area > best[0]):
            shape = np.zeros(blob.shape.shape, np.uint8)
            cv2.fillConvexPoly(shape, hull, 1)
            best = blob.area, blob, shape
    if best is None:
        return []
    margin = size(150.0)
    at, whole = _grown(best[1].at, np.asarray(best[2] > 0), margin, scene.there.shape)
    scene.label_px = best[1].at
    return [scene.take("label", "paper with straight sides at an end of the slide", at, whole)]


def lines(scene: Scene) -> list[Part]:
    """Edges of the slide and of the cover slip: thin, straight, millimetres long."""
    thin, size = _thin(scene), scene.pictures.pixels
    found = cv2.HoughLinesP(
        thin.astype(np.uint8) * 255, 1, math.pi / 720, threshold=size(_LINE_UM * 0.5),
        minLineLength=size(_LINE_UM), maxLineGap=size(600.0),
    )  # fmt: skip
    drawn = np.zeros(scene.there.shape, np.uint8)
    width = size(_THIN_UM) + _SOFT_PX
    for ends in [] if found is None else found.reshape(-1, 4):
        x0, y0, x1, y1 = (int(v) for v in ends)
        filled, beside = _filled(scene.there, (x0, y0, x1, y1), width)
        if filled > _SOLID and beside < _FLANKS:
            cv2.line(drawn, (x0, y0), (x1, y1), 1, width)
    parts = []
    reason = f"a thin straight line of {_LINE_UM / 1e3:g} mm or more"
    for blob in blobs(np.asarray(drawn > 0)):
        shape = blob.shape & thin[blob.at]
        parts.append(scene.take("glass-edge", reason, blob.at, np.asarray(shape)))
    return parts


def _filled(there: Bools, line: tuple[int, int, int, int], away: int) -> tuple[float, float]:
    """Of a line's places and of those `away` px to either side, the shares where anything is: an
    edge of glass is solid and has no neighbours, dots and streaks of specimen are not so."""
    x0, y0, x1, y1 = line
    count = max(abs(x1 - x0), abs(y1 - y0), 1)
    length = math.hypot(x1 - x0, y1 - y0)
    x, y = np.linspace(x0, x1, count), np.linspace(y0, y1, count)
    shares = []
    for side in (0, -away, away):
        column = np.rint(x - side * (y1 - y0) / length).astype(int).clip(0, there.shape[1] - 1)
        row = np.rint(y + side * (x1 - x0) / length).astype(int).clip(0, there.shape[0] - 1)
        shares.append(float(there[row, column].mean()))
    return shares[0], max(shares[1:])


def scratches(scene: Scene) -> list[Part]:
    """Short ones: thin and straight, and hardly anything from behind."""
    parts, um = [], scene.pictures.um_per_px
    for blob in blobs(_thin(scene)):
        if max(blob.shape.shape) * um < _SCRATCH_UM:
            continue
        points = np.argwhere(blob.shape)[:, ::-1].astype(np.int32)
        _, sides, _ = cv2.minAreaRect(points)
        length, width = max(sides) + 1.0, min(sides) + 1.0
        dim = scene.dark is None or float(np.median(scene.dark.most[blob.at][blob.shape])) < 0.3
        if length * um >= _SCRATCH_UM and length >= _SCRATCH_THIN * width and dim:
            reason = f"a straight line {length / width:.0f} times longer than wide"
            parts.append(scene.take("scratch", reason, blob.at, blob.shape))
    return parts


def pen(scene: Scene) -> list[Part]:
    """Ink of a felt pen: dark and even, of one flat hue or black, a stroke and no area, dull from
    the side. Dense specimen is uneven, broad, or scatters."""
    if scene.dark is None:
        return []
    parts, um = [], scene.pictures.um_per_px
    reason = "a stroke of even ink"
    for blob in blobs(np.asarray(scene.there & (scene.dark.most > _INK))):
        if blob.area * um * um < 0.2e6:
            continue
        padded = np.pad(blob.shape.astype(np.uint8), 1)
        deep = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
        width = 2.0 * float(deep.max()) * um
        inner = blob.shape & (deep > max(2.0, 0.25 * float(deep.max())))
        if width > _STROKE_UM or blob.area * um * um < 3.0 * width**2 or not inner.any():
            continue
        ink = scene.dark.rgb[blob.at][inner]
        middle = np.median(ink, axis=0)
        flat = float(np.median(np.abs(ink - middle), axis=0).max()) < _INK_EVEN * middle.max()
        hue = float(middle.max() - middle.min()) / float(middle.max())
        dull = scene.bright is None or (
            float(np.median(scene.bright.most[blob.at][inner])) < 3.0 * scene.bright.limit
        )
        if flat and dull and (hue > _INK_HUE or middle.max() > 1.2):
            at, shape = _grown(blob.at, blob.shape, scene.pictures.pixels(60.0), scene.there.shape)
            parts.append(scene.take("pen", reason, at, shape))
    return parts


def bubbles(scene: Scene) -> list[Part]:
    """A thin ring with nothing inside. Over specimen it stays what it was."""
    parts, um = [], scene.pictures.um_per_px
    rim_px = _SOFT_PX + scene.pictures.pixels(_THIN_UM)
    for blob in blobs(scene.there):
        high, wide = blob.shape.shape
        across = max(high, wide) * um
        if (
            not 2 * _BUBBLE_UM[0] <= across <= 2 * _BUBBLE_UM[1]
            or min(high, wide) < 0.8 * across / um
        ):
            continue
        outline, _ = cv2.findContours(
            blob.shape.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
        )
        outer = max(outline, key=cv2.contourArea)
        (_, radius) = cv2.minEnclosingCircle(outer)
        full = cv2.contourArea(outer)
        if full < _ROUND * math.pi * radius**2:
            continue
        inside = np.zeros(blob.shape.shape, np.uint8)
        cv2.drawContours(inside, [outer], -1, 1, cv2.FILLED)
        core = cv2.erode(inside, np.ones((3, 3), np.uint8), iterations=rim_px)
        if (core > 0).sum() > 20 and not blob.shape[core > 0].any():
            reason = f"a ring of {2 * radius * um / 1e3:.2f} mm, clear inside"
            parts.append(scene.take("bubble", reason, blob.at, blob.shape))
    return parts


def dust(scene: Scene) -> list[Part]:
    """Lone specks: smaller than a clump of cells, sharp against the glass, nothing near them."""
    um, size = scene.pictures.um_per_px, scene.pictures.pixels
    pieces = list(blobs(scene.there))
    large = np.zeros(scene.there.shape, np.uint8)
    for blob in pieces:
        if max(blob.shape.shape) * um > _SPECK_UM + _SOFT_PX * um:
            large[blob.at][blob.shape] = 1
    reach = 2 * size(_ALONE_UM) + 1
    near = cv2.dilate(large, np.ones((reach, reach), np.uint8))
    parts = []
    for blob in pieces:
        if max(blob.shape.shape) * um > _SPECK_UM + _SOFT_PX * um or near[blob.at].any():
            continue
        dark = scene.dark is not None and scene.dark.most[blob.at].max() > _SPECK_DARK
        bright = scene.bright is not None and scene.bright.most[blob.at].max() > _SPECK_BRIGHT
        if dark or bright:
            parts.append(scene.take("dust", "a lone sharp speck", blob.at, blob.shape))
    return parts


def _thin(scene: Scene) -> Bools:
    """What is there and vanishes when opened by a little more than the width of an edge."""
    width = scene.pictures.pixels(_THIN_UM) + _SOFT_PX
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    thick = cv2.morphologyEx(scene.there.astype(np.uint8), cv2.MORPH_OPEN, kernel)
    return np.asarray(scene.there & (cv2.dilate(thick, np.ones((3, 3), np.uint8)) == 0))


def _grown(
    at: tuple[slice, slice], shape: Bools, margin: int, limits: tuple[int, ...]
) -> tuple[tuple[slice, slice], Bools]:
    """A shape and all within `margin` px of it, in a box that lies within the picture."""
    padded = np.pad(shape.astype(np.uint8), margin)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1,) * 2)
    wide = cv2.dilate(padded, kernel) > 0
    cuts, spans = [], []
    for span, limit in zip(at, limits, strict=False):
        start, stop = max(0, span.start - margin), min(limit, span.stop + margin)
        spans.append(slice(start, stop))
        first = start - (span.start - margin)
        cuts.append(slice(first, first + stop - start))
    return (spans[0], spans[1]), np.asarray(wide[cuts[0], cuts[1]])
