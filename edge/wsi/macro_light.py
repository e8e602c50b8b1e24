"""What a macro picture shows against one of an empty slide: absorbance, and scatter from the side.

Dividing by the empty slide takes out the lamp's fall-off, shade of the holder and stray light. The
lamp may have changed since: most of a picture is clear glass, and the commonest value is its.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]

_MAD_TO_SD = 1.4826


@dataclass(frozen=True, slots=True)
class MacroPictures:
    """(h, w, 3) uint8 RGB each, all by the same camera at the same place; either light may be
    missing, and each comes with its empty slide."""

    um_per_px: float
    through: U8 | None = None
    empty_through: U8 | None = None
    side: U8 | None = None
    empty_side: U8 | None = None

    def __post_init__(self) -> None:
        """ConfigError for pictures that do not fit together, or none."""
        if not 1.0 <= self.um_per_px <= 200.0:
            raise ConfigError(f"macro: {self.um_per_px} um per pixel; a macro picture has 1 to 200")
        pairs = {
            "through": (self.through, self.empty_through),
            "side": (self.side, self.empty_side),
        }
        shapes = set()
        for name, pair in pairs.items():
            if (pair[0] is None) != (pair[1] is None):
                raise ConfigError(f"macro: light from {name} needs a picture and its empty slide")
            shapes |= {(p.shape, p.dtype.name) for p in pair if p is not None}
        if len(shapes) != 1:
            raise ConfigError("macro: no picture" if not shapes else f"macro: pictures {shapes}")
        shape, dtype = shapes.pop()
        if len(shape) != 3 or shape[2] != 3 or dtype != "uint8" or min(shape[:2]) < 64:
            raise ConfigError(f"macro: a picture is (h, w, 3) uint8 of 64 px and more, not {shape}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        one = self.through if self.through is not None else self.side
        assert one is not None
        return one.shape[0], one.shape[1]

    def pixels(self, length_um: float) -> int:
        """That length in whole pixels, at least one."""
        return max(1, round(length_um / self.um_per_px))


@dataclass(frozen=True, slots=True)
class Signal:
    """`rgb` (h, w, 3): absorbance, or scatter in grey levels; `most` (h, w): of its channels, made
    even over a pixel or two; what lies above `limit` is there."""

    rgb: F32
    most: F32
    limit: float


def absorbance(pictures: MacroPictures, least: float, sds: float) -> Signal | None:
    """Natural absorbance; None without light from behind. `least` and `sds`: the limit is the
    greater of an absorbance and of so many sd of the noise."""
    if pictures.through is None or pictures.empty_through is None:
        return None
    # in place: a picture of 10 million pixels is 120 MB as float32
    out = np.log(pictures.empty_through.astype(np.float32) + np.float32(1.0))
    out -= np.log(pictures.through.astype(np.float32) + np.float32(1.0))
    return _signal(out, 0.5, least, sds)


def scatter(pictures: MacroPictures, least: float, sds: float) -> Signal | None:
    """Grey levels above the empty slide's; None without light from the side. See absorbance."""
    if pictures.side is None or pictures.empty_side is None:
        return None
    out = pictures.side.astype(np.float32) - pictures.empty_side.astype(np.float32)
    return _signal(out, 20.0, least, sds)


def _signal(rgb: F32, reach: float, least: float, sds: float) -> Signal:
    for channel in range(3):
        rgb[..., channel] -= np.float32(_commonest(rgb[::4, ::4, channel], reach))
    soft = cv2.GaussianBlur(rgb, (5, 5), 1.0)
    most = np.ascontiguousarray(soft.max(axis=2))
    some = most[::4, ::4]
    clear = some[np.abs(some) < reach / 5.0]
    if not clear.size:
        return Signal(rgb, most, least)
    # the greatest of three noisy channels lies above zero where there is nothing
    middle = float(np.median(clear))
    sd = _MAD_TO_SD * float(np.median(np.abs(clear - middle)))
    limit = max(least, max(middle, 0.0) + sds * sd)
    return Signal(rgb, np.asarray(most, np.float32), limit if math.isfinite(limit) else least)


def _commonest(values: F32, reach: float) -> float:
    """Of values within +-`reach`, the one that most are near to; 0 where there are none."""
    counts, edges = np.histogram(values, bins=200, range=(-reach, reach))
    if not counts.any():
        return 0.0
    smooth = np.convolve(counts, np.ones(5), mode="same")
    near = (edges[:-1] + edges[1:])[np.abs(np.arange(200) - int(smooth.argmax())) <= 4] / 2
    inside = values[np.abs(values - near.mean()) <= (near[-1] - near[0]) / 2 + 1e-6]
    return float(np.median(inside)) if inside.size else float(near.mean())
