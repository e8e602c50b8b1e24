"""Two things that make a network sure of a wrong answer, seen without a network.

Smear: the slide moved in XY while the frame was exposed. Detail along the way is gone and detail
across it stays, in every patch in the same direction; no specimen is as one-sided over a field.

Sharp dirt: specks on the cover glass or scratches lie in focus where the specimen does not, and the
networks measure what is sharp. Where fine detail lies on coarse structure its share is about the
same everywhere, since the whole picture is defocused alike; over a blurred specimen with sharp dirt
it is not: a tail of the structure has hardly any.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]

BLOCK_PX = 16
#: grey levels squared: structure that a block must have, and the noise of either band
_LEAST_COARSE, _NOISE = 2.0, 0.02
_FEWEST_BLOCKS = 64  # a lone cell's few tell how it lies, and no more
FEWEST_PATCHES = 4
_LOW, _MIDDLE = 0.1, 0.5


def smear_of(patches: U8) -> float:
    """0 = detail in all directions alike, 1 = in one direction only and the same in all patches; of
    (n * 224, 224, 3) uint8. 0 of fewer than four patches: a lone edge has one direction, too."""
    grey = _blurred(patches[..., 1].astype(np.float32), 1)
    side = grey.shape[1]
    directions = [_direction(grey[top : top + side]) for top in range(0, len(grey), side)]
    if len(directions) < FEWEST_PATCHES:
        return 0.0
    return float(np.hypot(*np.mean(directions, axis=0)))


def _direction(patch: F32) -> tuple[float, float]:
    """Along which axis detail lies, as a vector of twice its angle; length 0..1."""
    across, down = cv2.Sobel(patch, cv2.CV_32F, 1, 0), cv2.Sobel(patch, cv2.CV_32F, 0, 1)
    xx, yy = float(np.vdot(across, across)), float(np.vdot(down, down))
    total = xx + yy
    return ((xx - yy) / total, 2 * float(np.vdot(across, down)) / total) if total > 0 else (0, 0)


def dirt_of(patches: U8) -> float:
    """How far the share of fine detail in coarse structure differs within the frame: log of the
    middle over the lowest tenth, weighted by structure; 0 where there is too little of it."""
    green = patches[..., 1].astype(np.float32)
    size = green.shape[1] // 4, len(green) // 4
    quarter = np.asarray(cv2.resize(green, size, interpolation=cv2.INTER_AREA), np.float32)
    fine = _energy(_blurred(green, 1) - _blurred(green, 2), BLOCK_PX)
    coarse = _energy(_blurred(quarter, 1) - _blurred(quarter, 2), BLOCK_PX // 4)
    full = coarse > _LEAST_COARSE
    if int(full.sum()) < _FEWEST_BLOCKS:
        return 0.0
    share = np.log((fine[full] + _NOISE) / (coarse[full] + _NOISE))
    order = np.argsort(share)
    weight = np.cumsum(np.sqrt(coarse[full])[order])
    low, middle = np.searchsorted(weight, (_LOW * weight[-1], _MIDDLE * weight[-1]))
    return float(share[order[middle]] - share[order[low]])


def _blurred(image: F32, sigma: int) -> F32:
    side = 6 * sigma + 1
    return np.asarray(cv2.GaussianBlur(image, (side, side), sigma), np.float32)


def _energy(band: F32, block: int) -> F32:
    """Mean square per block."""
    height, width = band.shape
    blocks = (band * band).reshape(height // block, block, width // block, block)
    return np.asarray(blocks.mean((1, 3)), np.float32)
