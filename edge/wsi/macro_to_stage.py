"""From pixels of the macro picture to um of the stage, with how far off that may be.

Places known in both (fiducials, corners of the slide, fields found in the macro picture) give an
affine map by least squares. What it is off by is told from its residuals and from how the places
lie: it grows away from them, and becomes the margin by which regions are widened.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from edge.errors import ConfigError
from edge.wsi.regions import Mask

F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

FEWEST_PLACES = 3
_SKEW, _SCALE = 0.02, 0.1  # a camera over a stage shears little; its scale is known roughly
_CELL_UM = 50.0
_MOST_CELLS = 4_000_000


@dataclass(frozen=True, slots=True)
class PlacePair:
    """One place: in the macro picture (column, row; a pixel's middle is whole) and on the stage."""

    macro_px: tuple[float, float]
    stage_um: tuple[float, float]


@dataclass(frozen=True, slots=True)
class MacroToStage:
    """`matrix` (2, 3): (column, row, 1) to (x, y) um. `place_sd_um`: of one pair; `spread` (3, 3):
    the inverse of the pairs' moments; `freedom`: how many more numbers than unknowns there were."""

    matrix: F64
    place_sd_um: float
    spread: F64
    freedom: int

    def __call__(self, column: float, row: float) -> tuple[float, float]:
        """Where that pixel lies on the stage, um."""
        x, y = self.matrix @ np.array([column, row, 1.0])
        return float(x), float(y)

    def uncertainty_um(self, column: float, row: float) -> float:
        """Half-width, in x and in y, that holds the true place in 95 of 100 cases."""
        at = np.array([column, row, 1.0])
        factor = float(student.ppf(0.975, self.freedom))
        return factor * self.place_sd_um * math.sqrt(float(at @ self.spread @ at))


def fit(
    pairs: Sequence[PlacePair], um_per_px: float, place_sd_um: float | None = None
) -> MacroToStage:
    """The affine map of pairs. With three of them nothing is left over to tell their error by, so
    `place_sd_um`, how well a pair is known, must be given; with more it is the least.

    ConfigError for too few pairs, pairs on a line, and a map that no camera over a stage has: it
    shears, or its scale is off by a tenth.
    """
    if len(pairs) < FEWEST_PLACES:
        raise ConfigError(
            f"macro: {len(pairs)} places known on both sides; {FEWEST_PLACES} at least"
        )
    if len(pairs) == FEWEST_PLACES and place_sd_um is None:
        raise ConfigError("macro: three places do not tell how well they are known; say so")
    macro = np.array([[*p.macro_px, 1.0] for p in pairs], np.float64)
    stage = np.array([p.stage_um for p in pairs], np.float64)
    if not (np.isfinite(macro).all() and np.isfinite(stage).all()):
        raise ConfigError("macro: a place is not a number")
    middle = macro[:, :2].mean(axis=0)
    span = np.linalg.svd(macro[:, :2] - middle, compute_uv=False)
    if span[1] * um_per_px < 1000.0:
        raise ConfigError("macro: the places lie nearly on a line; take one farther off")
    matrix = np.linalg.lstsq(macro, stage, rcond=None)[0].T
    _check(matrix, um_per_px)
    left = 2 * (len(pairs) - FEWEST_PLACES)
    residual = stage - macro @ matrix.T
    sd = math.sqrt(float((residual**2).sum()) / left) if left else 0.0
    known = place_sd_um is not None and sd <= place_sd_um
    spread = np.linalg.inv(macro.T @ macro)
    # where the pairs' error was given, it is known as if by many
    return MacroToStage(matrix, max(sd, place_sd_um or 0.0), spread, 1000 if known else left)


def _check(matrix: F64, um_per_px: float) -> None:
    along, down = matrix[:, 0], matrix[:, 1]
    scales = np.array([np.hypot(*along), np.hypot(*down)]) / um_per_px
    if np.abs(scales - 1.0).max() > _SCALE:
        raise ConfigError(f"macro: {scales.round(2)} of the scale it should have")
    skew = abs(float(along @ down)) / float(np.hypot(*along) * np.hypot(*down))
    if skew > _SKEW:
        raise ConfigError("macro: the places do not fit together: the map would shear")


def margin_um(place: MacroToStage, specimen: Bools) -> float:
    """The most that the map may be off by where specimen lies."""
    rows, columns = np.nonzero(specimen)
    if not rows.size:
        return 0.0
    corners = [(c, r) for c in (columns.min(), columns.max()) for r in (rows.min(), rows.max())]
    return max(place.uncertainty_um(float(c), float(r)) for c, r in corners)


def stage_region(place: MacroToStage, specimen: Bools, extra_um: float = 0.0) -> Mask | None:
    """Specimen as a region of the stage, wider by the map's uncertainty and `extra_um`; None where
    there is none. ConfigError where it would be larger than any stage."""
    if not specimen.any():
        return None
    wide_um = margin_um(place, specimen) + extra_um
    scale_um = math.sqrt(abs(float(np.linalg.det(place.matrix[:, :2]))))
    rows, columns = np.nonzero(specimen)
    corners = np.array(
        [
            place(float(c), float(r))
            for c in (columns.min() - 1, columns.max() + 1)
            for r in (rows.min() - 1, rows.max() + 1)
        ]
    )
    low, high = corners.min(0) - wide_um - scale_um, corners.max(0) + wide_um + scale_um
    size = np.ceil((high - low) / _CELL_UM).astype(int) + 1
    if size.prod() > _MOST_CELLS:
        raise ConfigError(f"macro: specimen over {(high - low).round()} um is more than a slide")
    # cells look up the picture: from cell to stage to macro pixel
    back = cv2.invertAffineTransform(place.matrix)
    lookup = np.column_stack(
        [back[:, :2] * _CELL_UM, back @ np.array([*(low + _CELL_UM / 2), 1.0])]
    )
    near = max(1, round(_CELL_UM / scale_um / 2))  # no speck falls between two cells
    full = cv2.dilate(specimen.astype(np.uint8), np.ones((2 * near + 1,) * 2, np.uint8))
    cells = cv2.warpAffine(
        full, lookup, (int(size[0]), int(size[1])), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    reach = 2 * math.ceil(wide_um / _CELL_UM) + 1
    cells = cv2.dilate(cells, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return Mask(np.asarray(cells > 0), _CELL_UM, float(low[0]), float(low[1]))


def locate_field(
    macro: F32, field: F32, um_per_px: float, near_px: tuple[float, float], reach_um: float
) -> tuple[float, float] | None:
    """(column, row) of a field's middle in the macro picture; None where the answer is in doubt.

    `macro` and `field`: absorbance (h, w) float32 at the macro picture's scale. It is looked for
    within `reach_um` of `near_px`. In doubt: hardly any structure, a poor likeness, or another
    place that is nearly as like.
    """
    h, w = field.shape
    reach = math.ceil(reach_um / um_per_px)
    left, top = (round(p - (n - 1) / 2) for p, n in zip(near_px, (w, h), strict=True))
    x0, y0 = max(0, left - reach), max(0, top - reach)
    window = macro[y0 : top + h + reach, x0 : left + w + reach]
    if window.shape[0] < h or window.shape[1] < w or float(field.std()) < 0.01:
        return None
    likeness = cv2.matchTemplate(
        np.ascontiguousarray(window, np.float32),
        np.ascontiguousarray(field, np.float32),
        cv2.TM_CCOEFF_NORMED,
    )
    score = np.asarray(likeness, np.float32)
    row, column = (int(v) for v in np.unravel_index(int(score.argmax()), score.shape))
    best = float(score[row, column])
    others = score.copy()
    others[max(0, row - 6) : row + 7, max(0, column - 6) : column + 7] = -1.0
    if not best > 0.6 or float(others.max()) > best - 0.05:
        return None
    dx, dy = _vertex(score[row, :], column), _vertex(score[:, column], row)
    return x0 + column + dx + (w - 1) / 2, y0 + row + dy + (h - 1) / 2


def _vertex(line: npt.NDArray[np.floating], at: int) -> float:
    """By how much the peak lies beside its highest sample."""
    if not 0 < at < len(line) - 1:
        return 0.0
    below, top, above = (float(line[at + d]) for d in (-1, 0, 1))
    bend = below - 2.0 * top + above
    return 0.0 if bend >= 0.0 else max(-0.5, min(0.5, 0.5 * (below - above) / bend))
