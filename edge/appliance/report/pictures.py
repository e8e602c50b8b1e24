"""What the networks saw, drawn onto the frame: chosen patches, their importance and defocus.

Colour is importance on viridis (perceptually uniform, safe for colour-blind readers), the number
is the patch's signed defocus in um, + = raise the objective. The picture's own pixels stay
recognisable: what was not chosen is only paled, a field without content is left untouched.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.report.focus_record import View
from edge.measure.preprocess import GRID, PATCH_PX, Cell
from edge.measure.sensor import Measurement

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]
Color = tuple[int, int, int]
Grid = tuple[int, int]  # rows and columns of patches

SIDE = 84 * GRID  # px of a picture's longer side, unless its maker chose otherwise
STRIP = 40  # px of the legend below the picture
THRESHOLD = 0.8  # the usual least importance of a chosen patch: the colour scale starts here
PALE = 0.3  # how much white covers what was not chosen

#: viridis at ten equal steps (Smith and van der Walt 2015)
VIRIDIS: tuple[Color, ...] = (
    (68, 1, 84),
    (72, 40, 120),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (109, 205, 89),
    (180, 222, 44),
    (253, 231, 37),
)
_DARK: Color = (16, 22, 30)
_LIGHT: Color = (240, 243, 246)


def thumbnail(crop: U8, side: int = SIDE) -> U8:
    """The (2016, 2016, 3) RGB crop scaled down by area to (side, side, 3); one that is no square,
    to `side` px on its longer side."""
    height, width = (round(side * px / max(crop.shape[:2])) for px in crop.shape[:2])
    return np.asarray(cv2.resize(crop, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def draw_patches(view: View, um_per_px: float | None = None) -> U8:
    """The view with its chosen patches and a legend below: (height + STRIP, width, 3) RGB.

    `um_per_px` is that of a full-size frame; without it no scale bar is drawn.
    """
    height, width = view.picture.shape[:2]
    sheet = np.full((height + STRIP, width, 3), _DARK, np.uint8)
    canvas = sheet[:height]
    canvas[:] = view.picture
    measured = view.outcome.measurement
    if measured is None or not measured.ranked.cells:
        _note(canvas, _why_empty(measured))
    else:
        low = scale_start(measured.ranked.importance)
        _patches(canvas, measured, low)
        _color_bar(sheet[height:], low)
    if um_per_px:
        _scale_bar(sheet[height:], um_per_px * PATCH_PX * _grid(view)[0] / height)
    return sheet


def before_after(before: View, after: View) -> U8:
    """The same 3 x 3 patches of two views side by side, around the patch that counted most."""
    grid = _grid(after)
    best = _best_cell(after) or _best_cell(before) or (grid[0] // 2, grid[1] // 2)
    there = tuple(
        _part(at, count, px, 3)
        for at, count, px in zip(best, grid, before.picture.shape[:2], strict=True)
    )
    return side_by_side(before.picture[there], after.picture[there])


def best_window(view: View, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """The two by two patches around the one that counted most, in a crop of `shape` (h, w, ...)."""
    grid = _grid(view)
    best = _best_cell(view) or (grid[0] // 2, grid[1] // 2)
    rows, columns = (
        _part(at, count, px, 2) for at, count, px in zip(best, grid, shape[:2], strict=True)
    )
    return rows, columns


def side_by_side(left: U8, right: U8) -> U8:
    """Two pictures of one shape with a white line between them."""
    return np.hstack([left, np.full((left.shape[0], 4, 3), 255, np.uint8), right])


def scale_start(importance: F32) -> float:
    """Importance of the darkest colour: 0.8, or a round number below what was chosen."""
    least = float(np.min(importance, initial=1.0))
    return THRESHOLD if least >= THRESHOLD else int(max(least, 0.0) * 10) / 10


def color(importance: float, low: float = THRESHOLD) -> Color:
    """RGB on viridis between `low` and 1; what lies outside takes the colour of the end."""
    share = min(max((importance - low) / (1.0 - low), 0.0), 1.0)
    at, steps = share * (len(VIRIDIS) - 1), np.arange(len(VIRIDIS))
    red, green, blue = (round(float(np.interp(at, steps, x))) for x in zip(*VIRIDIS, strict=True))
    return red, green, blue


def _part(at: int, count: int, px: int, wanted: int) -> slice:
    """`wanted` of `count` patches along a side of `px`, `at` in their middle if there is room."""
    first, wide = max(min(at - 1, count - wanted), 0), min(wanted, count) * px // count
    return slice(first * px // count, first * px // count + wide)


def _grid(view: View) -> Grid:
    measured = view.outcome.measurement
    rows, columns = (GRID, GRID) if measured is None else measured.ranked.scores.shape
    return rows, columns


def _best_cell(view: View) -> Cell | None:
    measured = view.outcome.measurement
    return measured.ranked.cells[0] if measured and measured.ranked.cells else None


def _why_empty(measured: Measurement | None) -> str:
    if measured is None:
        return "not measured"
    return "no content" if measured.ranked.finite else "importance not finite"


def _patches(canvas: U8, measured: Measurement, low: float) -> None:
    chosen, (rows, columns) = measured.ranked.cells, measured.ranked.scores.shape

    def place(cell: Cell) -> tuple[slice, slice]:
        return _place(cell, (rows, columns), canvas.shape)

    original = canvas.copy()
    canvas[:] = cv2.addWeighted(canvas, 1 - PALE, np.full_like(canvas, 255), PALE, 0)
    for cell in chosen:
        there = place(cell)
        canvas[there] = original[there]
    for cell, importance in zip(chosen, measured.ranked.importance, strict=True):
        _frame(canvas[place(cell)], color(float(importance), low))
    for cell, defocus in zip(measured.patches.cells, measured.patches.defocus_um, strict=True):
        patch = canvas[place(cell)]
        text = f"{defocus:+.1f}" if np.isfinite(defocus) else "?"
        height = max(patch.shape[0] // 7, 8)
        _plate(patch, text, height, (patch.shape[0] - height - 9, 4))


def _place(cell: Cell, grid: Grid, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a patch in the scaled picture; exact for any size."""
    rows, columns = (
        slice(i * px // count, (i + 1) * px // count)
        for i, px, count in zip(cell, shape[:2], grid, strict=True)
    )
    return rows, columns


def _frame(patch: U8, ring: Color) -> None:
    """A coloured outline with a dark one inside, so that it shows on any background."""
    height, width = patch.shape[:2]
    for inset, shade in ((4, _DARK), (3, ring), (2, ring), (1, ring), (0, _DARK)):
        patch[inset, inset : width - inset] = shade
        patch[height - 1 - inset, inset : width - inset] = shade
        patch[inset : height - inset, inset] = shade
        patch[inset : height - inset, width - 1 - inset] = shade


@lru_cache(maxsize=512)
def _word(text: str, height: int) -> F32:
    """Coverage 0..1 of a line of text, capitals about `height` px high.

    OpenCV's stroke fonts are ugly when small: drawn four times too large and averaged down.
    """
    font, large = cv2.FONT_HERSHEY_DUPLEX, 4 * height
    scale = large / 22.0  # a capital of this font is 22 px high at scale 1
    thick = max(round(large / 12), 1)
    (width, _), below = cv2.getTextSize(text, font, scale, thick)
    box = np.zeros((large + below + 2 * thick, width + 2 * thick), np.uint8)
    cv2.putText(box, text, (thick, large + thick), font, scale, 255, thick, cv2.LINE_AA)
    small = cv2.resize(box, (box.shape[1] // 4, box.shape[0] // 4), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / 255.0


def _write(canvas: U8, text: str, height: int, at: tuple[int, int]) -> int:
    """Light text with its top left at (row, column); returns the column where it ends."""
    cover = _word(text, height)
    part = canvas[at[0] : at[0] + cover.shape[0], at[1] : at[1] + cover.shape[1]]
    cover = cover[: part.shape[0], : part.shape[1], None]
    part[:] = np.rint(part * (1 - cover) + np.array(_LIGHT) * cover).astype(np.uint8)
    return at[1] + part.shape[1]


def _plate(canvas: U8, text: str, height: int, at: tuple[int, int]) -> None:
    """Text on a dark, slightly transparent plate."""
    width = _word(text, height).shape[1]
    part = canvas[at[0] : at[0] + height + 5, at[1] : at[1] + width + 4]
    part[:] = np.rint(part * 0.2 + np.array(_DARK) * 0.8).astype(np.uint8)
    _write(canvas, text, height, (at[0] + 1, at[1] + 2))


def _note(canvas: U8, text: str) -> None:
    (tall, wide), height = canvas.shape[:2], max(canvas.shape[0] // 36, 8)
    width = _word(text, height).shape[1]
    _plate(canvas, text, height, ((tall - height) // 2, max((wide - width) // 2, 0)))


def _color_bar(strip: U8, low: float) -> None:
    column = _write(strip, f"importance  {low:g}", 11, (12, 12)) + 6
    width = min(150, strip.shape[1] // 5)
    for x in range(width):
        share = low + (1 - low) * x / (width - 1)
        strip[13:27, column + x : column + x + 1] = color(share, low)
    column = _write(strip, "1", 11, (12, column + width + 6))
    _write(strip, "numbers: defocus, um", 11, (12, column + 24))


def _scale_bar(strip: U8, um_per_px: float) -> None:
    """100 um, or a shorter round length where that would not fit."""
    side = strip.shape[1]
    length_um = next((um for um in (100, 50, 20, 10, 5, 2) if um / um_per_px < side / 5), 1)
    bar = max(round(length_um / um_per_px), 1)
    left = side - 12 - bar
    strip[18:22, max(left, 0) : side - 12] = _LIGHT
    text = f"{length_um} um"
    _write(strip, text, 11, (12, max(left - 8 - _word(text, 11).shape[1], 0)))
