"""Frame to network input: centre crop, area-correct resize, patch gather.

The crop of a Mono8, RGB8 or BGR8 frame is a view. Only the small image and the chosen patches are
converted to RGB: touching the whole 15 MB frame would cost more than the resize. What sensors send
raw is unpacked and filled in once, the crop only (edge.measure.raw_pixels). Source: paper section
4.1.

The paper's crop is 9 x 9 patches; models adapted to a smaller sensor name fewer (`PatchGrid`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.measure.raw_pixels import bits, demosaic, red_at, unpack, width_px
from edge.measure.resample import Axis, Resampler, axis_of
from edge.measure.scale import SMALL_PX, Scaler
from engines.manifest import EngineRejected, Manifest, Preprocessing

CROP_PX = 2016
PATCH_PX = 224
GRID = 9  # patches per side; GRID * PATCH_PX == CROP_PX
MAX_PATCHES = 31
RIN_STRIDE = 16  # px of its input per element of its feature map

U8 = npt.NDArray[np.uint8]
Cell = tuple[int, int]  # (row, column) of a patch in the grid, from the top left
Inside = tuple[tuple[int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """How a frame is cut: `rows` x `columns` patches of 224 px around its centre."""

    rows: int = GRID
    columns: int = GRID

    @classmethod
    def of_frame(cls, height: int, width: int) -> PatchGrid:
        """As many patches as a frame of this size holds, at most 9 x 9; ConfigError for none."""
        rows, columns = (min(GRID, side // PATCH_PX) for side in (height, width))
        if not rows or not columns:
            raise ConfigError(
                f"frame: {width} x {height} px is too small, "
                f"a patch of {PATCH_PX} x {PATCH_PX} px is the least that can be measured"
            )
        return cls(rows, columns)

    @property
    def crop_px(self) -> tuple[int, int]:
        """Height and width of the crop."""
        return self.rows * PATCH_PX, self.columns * PATCH_PX

    @property
    def small_px(self) -> tuple[int, int]:
        """Height and width of the RIN's input: the paper's scale, in whole strides of the RIN."""
        rows, columns = (
            round(n * SMALL_PX / (GRID * RIN_STRIDE)) * RIN_STRIDE
            for n in (self.rows, self.columns)
        )
        return rows, columns

    @property
    def preprocessing(self) -> Preprocessing:
        """As a manifest names it."""
        crop, small = (
            h if h == w else (h, w) for h, w in (self.crop_px, self.small_px)
        )  # a square by one number
        return Preprocessing(crop, small, PATCH_PX, (self.rows, self.columns))

    @classmethod
    def of_manifest(cls, manifest: Manifest) -> PatchGrid:
        """What the model was made for; EngineRejected for a way that this release lacks."""
        grid = cls(*manifest.preprocessing.grid)
        sides = range(1, GRID + 1)
        known = grid.rows in sides and grid.columns in sides
        if not known or manifest.preprocessing != grid.preprocessing:
            raise EngineRejected(
                f"{manifest.folder / manifest.file}: needs {manifest.preprocessing}, "
                "which this release lacks"
            )
        return grid


PAPER = PatchGrid()

_TO_RGB = {
    PixelFormat.BGR8: cv2.COLOR_BGR2RGB,
    PixelFormat.MONO8: cv2.COLOR_GRAY2RGB,
}


@dataclass(frozen=True, slots=True)
class Patches:
    """A frame made ready. Valid until the preprocessor sees the next frame.

    crop: (2016, 2016[, 3]) uint8 in `pixel_format`, a view into the frame where that is the
    frame's own, Mono8 or RGB8 made of a raw one;
    small: (1, 512, 512, 3) uint8 RGB, the crop scaled down; the RIN's input.
    Both as large as the grid says; these are the paper's sizes.
    inside: rows and columns of patches, each from..to, that the frame holds; None = all. What lies
    round them is no picture of the specimen (edge.measure.resample).
    """

    crop: U8
    pixel_format: PixelFormat
    small: U8
    inside: Inside | None = None


class Preprocessor(ABC):
    """The contract; an implementation owns its buffers and reuses them for every frame. `grid`: how
    it cuts a frame; `pixels`: of the models for one of the frame."""

    grid: PatchGrid
    pixels: float = 1.0

    @abstractmethod
    def __call__(self, frame: Frame) -> Patches:
        """Crop and scale one frame. ConfigError when the frame is too small or misdescribed."""

    @abstractmethod
    def gather(self, patches: Patches, cells: Sequence[Cell]) -> U8:
        """The patches at `cells` as (k, 224, 224, 3) uint8 RGB, k = len(cells) <= 31.

        The result is a view into a buffer that the next call overwrites.
        """


class CpuPreprocessor(Preprocessor):
    """On preallocated buffers; the reference for every other implementation.

    `pixels`: of the models for one of a frame, each way (edge.optics.Normalised)."""

    def __init__(self, threads: int = 0, grid: PatchGrid = PAPER, pixels: float = 1.0) -> None:
        self.grid, self.pixels = grid, pixels
        self._scale = Scaler(threads, crop_px=grid.crop_px, small_px=grid.small_px)
        self._rgb = np.empty((1, *grid.small_px, 3), np.uint8)
        self._patches = np.empty((MAX_PATCHES, PATCH_PX, PATCH_PX, 3), np.uint8)
        self._crops: dict[int, U8] = {}

    def __call__(self, frame: Frame) -> Patches:
        """2016 -> 1008 by area, -> 512 bilinear: half a grey level from area averaging on a blurred
        picture, a few on a sharp one, and up to 10x faster (docs/kernels.md).

        Both steps are integer arithmetic, halves rounded up: the same on every processor. Frames of
        another size or pixel size are resampled on the way (edge.measure.resample).
        """
        if not is_plain(frame, self.grid, self.pixels):
            return self._resampled(frame)
        crop, pixel_format = developed_crop(frame, self.grid)
        small = self._scale(crop)
        _to_rgb(small, pixel_format, self._rgb[0])
        return Patches(crop, pixel_format, self._rgb)

    def _resampled(self, frame: Frame) -> Patches:
        rows, columns = axes_of(frame, self.grid, self.pixels)
        image, pixel_format = developed(frame, (0, 0), (frame.pixels.shape[0], width_px(frame)))
        channels = 1 if image.ndim == 2 else 3
        if channels not in self._crops:
            self._crops[channels] = np.empty((*self.grid.crop_px, 3)[: image.ndim], np.uint8)
        crop, resampler = self._crops[channels], Resampler(rows, columns)
        small = self._scale(crop, lambda first, last: resampler.fill(image, crop, first, last))
        _to_rgb(small, pixel_format, self._rgb[0])
        return Patches(crop, pixel_format, self._rgb, (rows.cells, columns.cells))

    def gather(self, patches: Patches, cells: Sequence[Cell]) -> U8:
        """See Preprocessor.gather."""
        for slot, (row, column) in zip(self._patches, cells, strict=False):
            top, left = row * PATCH_PX, column * PATCH_PX
            patch = patches.crop[top : top + PATCH_PX, left : left + PATCH_PX]
            _to_rgb(patch, patches.pixel_format, slot)
        return self._patches[: len(cells)]


def is_plain(frame: Frame, grid: PatchGrid, pixels: float) -> bool:
    """Whether the crop is a part of the frame as it is."""
    if pixels != 1.0:
        return False
    size = frame.pixels.shape[0], width_px(frame)
    return all(side >= least for side, least in zip(size, grid.crop_px, strict=True))


def axes_of(frame: Frame, grid: PatchGrid, pixels: float) -> tuple[Axis, Axis]:
    """Which pixels of a frame make the crop, down and across; ConfigError as `crop_origin`, and for
    a frame that holds no patch."""
    check_pixels(frame)
    size = frame.pixels.shape[0], width_px(frame)
    rows, columns = (
        axis_of(side, pixels, cells, PATCH_PX)
        for side, cells in zip(size, (grid.rows, grid.columns), strict=True)
    )
    return rows, columns


def developed_crop(frame: Frame, grid: PatchGrid = PAPER) -> tuple[U8, PixelFormat]:
    """The centre 2016 x 2016 as Mono8, RGB8 or BGR8; ConfigError as centre_crop."""
    return developed(frame, crop_origin(frame, grid), grid.crop_px)


def measured_crop(
    frame: Frame, grid: PatchGrid = PAPER, pixels: float = 1.0
) -> tuple[U8, PixelFormat]:
    """What is measured of a frame, at the models' pixel size: for people to look at."""
    if is_plain(frame, grid, pixels):
        return developed_crop(frame, grid)
    rows, columns = axes_of(frame, grid, pixels)
    image, pixel_format = developed(frame, (0, 0), (frame.pixels.shape[0], width_px(frame)))
    crop = np.empty((*grid.crop_px, 3)[: image.ndim], np.uint8)
    Resampler(rows, columns).fill(image, crop, 0, len(crop))
    return crop, pixel_format


def developed(
    frame: Frame, origin: tuple[int, int], size: tuple[int, int]
) -> tuple[U8, PixelFormat]:
    """A part of a frame, from (top, left) on, `size` (h, w), as Mono8, RGB8 or BGR8."""
    red, depth = red_at(frame), bits(frame)
    (top, left), (height, width) = origin, size
    if red is None and depth == 8:
        return frame.pixels[top : top + height, left : left + width], frame.pixel_format
    rows = slice(max(0, top - 1), top + height + 1)
    mono = frame.pixels[rows] if depth == 8 else unpack(frame.pixels[rows], depth)
    if red is None:
        top -= rows.start
        return mono[top : top + height, left : left + width], PixelFormat.MONO8
    red = (red[0], red[1] ^ rows.start & 1)
    return demosaic(mono, red, (top - rows.start, left), size), PixelFormat.RGB8


def centre_crop(frame: Frame, grid: PatchGrid = PAPER) -> U8:
    """The centre 2016 x 2016 of a Mono8, RGB8 or BGR8 frame, as a view; offset (216, 16) for
    2448 x 2048."""
    top, left = crop_origin(frame, grid)
    height, width = grid.crop_px
    return frame.pixels[top : top + height, left : left + width]


def crop_origin(frame: Frame, grid: PatchGrid = PAPER) -> tuple[int, int]:
    """(top, left) of the crop; ConfigError when the frame is too small or misdescribed."""
    check_pixels(frame)
    height, width = frame.pixels.shape[0], width_px(frame)
    least_height, least_width = grid.crop_px
    if height < least_height or width < least_width:
        raise ConfigError(
            f"frame: {width} x {height} px is too small, "
            f"{least_width} x {least_height} px is the least that can be measured"
        )
    return (height - least_height) // 2, (width - least_width) // 2


def check_pixels(frame: Frame) -> None:
    """ConfigError when the pixels are not what their format means."""
    pixels = frame.pixels
    want = 2 if frame.pixel_format.channels == 1 else 3
    if pixels.dtype != np.uint8 or pixels.ndim != want or (want == 3 and pixels.shape[2] != 3):
        raise ConfigError(
            f"frame: {pixels.dtype}{pixels.shape} is not what {frame.pixel_format.value} means"
        )


def _to_rgb(image: U8, pixel_format: PixelFormat, out: U8) -> None:
    if pixel_format is PixelFormat.RGB8:
        np.copyto(out, image)
    else:
        cv2.cvtColor(image, _TO_RGB[pixel_format], dst=out)
