"""The pictures of a z-stack, all with one grey scale."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import PixelFormat
from edge.images import image_file
from edge.images.bit_depth import DepthUnknown, least_depth

U8 = npt.NDArray[np.uint8]
Plane = tuple[Path, "int | None"]

log = logging.getLogger(__name__)


def read_plane(
    path: Path, page: int | None, planes: tuple[Plane, ...], bits: int | None = None
) -> tuple[U8, PixelFormat]:
    """One picture as (h, w, 3) BGR8 or (h, w) Mono8, C-contiguous; alpha dropped.

    The depth of more than 8 bits is `bits`, else what the file says. Where neither is known it is
    the least that holds all of `planes` (none: ConfigError, as for a single file), said in a
    warning: one plane's largest value changes with defocus, and a scale that changes with it would
    be a sign of focus that no camera gives.
    """
    picture = image_file.read_picture(path, page)
    with image_file.one_line(path):
        try:
            depth = image_file.depth_of(picture, bits)
        except DepthUnknown:
            if bits is not None or picture.stated_bits is not None or not planes:
                raise
            depth = _stack_bits(planes)
    return image_file.in_8_bits(picture, depth)


def rgb_of_plane(
    path: Path, page: int | None, planes: tuple[Plane, ...], bits: int | None = None
) -> U8:
    """As `read_plane`, but (h, w, 3) uint8 RGB; grey is repeated."""
    pixels, pixel_format = read_plane(path, page, planes, bits)
    if pixel_format is PixelFormat.MONO8:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), np.uint8)
    return np.ascontiguousarray(pixels[..., ::-1])


def pages_of(path: Path) -> tuple[Plane, ...]:
    """Every page of a multi-page TIFF, in order; ConfigError when it is none."""
    return tuple((path, page) for page in range(image_file.count_pages(path)))


@lru_cache(maxsize=64)
def _stack_bits(planes: tuple[Plane, ...]) -> int:
    bits = 8
    for path, page in planes:
        pixels = image_file.read_picture(path, page).pixels
        bits = max(bits, least_depth(int(pixels.max())))
        if bits == 16:
            return bits
    log.warning(
        "%s: 16-bit pictures whose depth nobody said, taken for those of a camera of %d bits, "
        "which hold the whole stack: give a column `bits`",
        planes[0][0],
        bits,
    )
    return bits
