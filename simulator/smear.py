"""What motion does to a frame: smear within the exposure, and a rolling shutter's slant.

A frame belongs to its mid-exposure. While light is let in for T, a slide that moves at v passes by
v * T / pixel; each pixel then shows the mean of what passed, a box along the motion. A flash
shortens T. A rolling shutter exposes each row a little later than the one before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]

#: smear below this share of a pixel is not worth its computation: 0.01 % of the finest contrast
LEAST_PX = 0.05


@dataclass(frozen=True, slots=True)
class Shutter:
    """`exposure_us`: how long pixels gather light; `flash_us`: how long there is any, None = all
    the while; `row_us`: by how much a row is later than the one above, 0 = global shutter.
    ValueError for less than nothing."""

    exposure_us: float = 1000.0
    flash_us: float | None = None
    row_us: float = 0.0

    def __post_init__(self) -> None:
        times = (self.exposure_us, self.flash_us or 0.0, self.row_us)
        if not all(0.0 <= time < math.inf for time in times) or not self.exposure_us > 0.0:
            raise ValueError(f"{self} is no exposure")

    @property
    def lit_us(self) -> float:
        """How long light falls on a pixel."""
        return self.exposure_us if self.flash_us is None else min(self.exposure_us, self.flash_us)

    def smear_px(self, velocity_um_s: tuple[float, float], um_per_px: float) -> tuple[float, float]:
        """Along columns (x) and rows (y), with the sign of the motion."""
        share = self.lit_us / 1e6 / um_per_px
        return velocity_um_s[0] * share, velocity_um_s[1] * share

    def slant_px(self, velocity_um_s: tuple[float, float], um_per_px: float) -> tuple[float, float]:
        """By how many columns and rows a row shows the slide farther on than the row above. With a
        flash all rows are lit at once, so there is none."""
        row_us = 0.0 if self.flash_us is not None else self.row_us
        share = row_us / 1e6 / um_per_px
        return velocity_um_s[0] * share, velocity_um_s[1] * share


def box_kernel(smear_px: tuple[float, float]) -> F32:
    """A line of that extent (x, y) through the middle, area 1, as weights of whole pixels (rows,
    columns); (1, 1) where it is shorter than LEAST_PX.

    Each point of the line is shared among pixels by cubic convolution (Keys 1981), which keeps the
    second moment: smear of half a pixel is that of half a pixel.
    """
    length = math.hypot(*smear_px)
    if length < LEAST_PX:
        return np.ones((1, 1), np.float32)
    share = (np.arange(count := max(64, 16 * math.ceil(length))) + 0.5) / count - 0.5
    across, down = (_weights(extent * share) for extent in smear_px)
    return np.asarray(down.T @ across / count, np.float32)


def _weights(places: F64) -> F64:
    """(n, 2 reach + 1): how much of a point at each place falls to each pixel, pixel 0 in the
    middle."""
    reach = 0 if not places.any() else math.ceil(float(np.abs(places).max())) + 1
    away = np.abs(places[:, None] - np.arange(-reach, reach + 1)[None, :])
    near = 1.0 + away * away * (1.5 * away - 2.5)
    far = 2.0 + away * (-4.0 + away * (2.5 - 0.5 * away))
    return np.where(away < 1.0, near, np.where(away < 2.0, far, 0.0))


def reach_px(kernel: F32) -> tuple[int, int]:
    """Columns and rows beyond the frame that the kernel looks at, on each side."""
    return kernel.shape[1] // 2, kernel.shape[0] // 2


def smeared(light: F32, kernel: F32) -> F32:
    """`light` (h, w, n) after motion; its outermost `reach_px` are cut off."""
    if kernel.size == 1:
        return light
    across, down = reach_px(kernel)
    if min(kernel.shape) == 1:
        row = kernel.ravel() if kernel.shape[0] == 1 else np.ones(1, np.float32)
        column = kernel.ravel() if kernel.shape[1] == 1 else np.ones(1, np.float32)
        out = cv2.sepFilter2D(light, cv2.CV_32F, row, column, borderType=cv2.BORDER_REPLICATE)
    else:
        out = cv2.filter2D(light, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
    h, w = light.shape[:2]
    return np.asarray(out[down : h - down, across : w - across], np.float32)


def slanted(light: F32, slant_px: tuple[float, float], shape: tuple[int, int]) -> F32:
    """The middle (h, w) of `light`, each row from where the slide was when that row was exposed, to
    the nearest pixel; the middle row is where the frame is."""
    h, w = shape
    late = np.arange(h) - (h - 1) / 2.0
    columns, rows = (np.rint(late * step).astype(int) for step in slant_px)
    top, left = (light.shape[0] - h) // 2, (light.shape[1] - w) // 2
    if not (columns.any() or rows.any()):
        return light[top : top + h, left : left + w]
    out = np.empty((h, w, light.shape[2]), np.float32)
    for row in range(h):
        start = left + columns[row]
        out[row] = light[top + row + rows[row], start : start + w]
    return out


def slant_reach_px(slant_px: tuple[float, float], shape: tuple[int, int]) -> tuple[int, int]:
    """Columns and rows beyond the frame that `slanted` looks at, on each side."""
    half = (shape[0] - 1) / 2.0
    return math.ceil(abs(slant_px[0]) * half), math.ceil(abs(slant_px[1]) * half)
