"""Which pixel of the frame lands where: exact for the patches, within a grey level for the small
image. A crop that is off by one pixel fails here."""

import cv2
import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.measure.preprocess import CpuPreprocessor

ALL_CELLS = [(row, column) for row in range(9) for column in range(9)]


def _frame(pixels, pixel_format=PixelFormat.RGB8):
    return Frame(np.ascontiguousarray(pixels), pixel_format, 0, 0, 0)


def _coordinates(height=2048, width=2448):
    """Every pixel carries its own place: (x low byte, y low byte, high bits of both)."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x & 255, y & 255, (x >> 8) | (y >> 8) << 4], -1).astype(np.uint8)


@pytest.mark.parametrize("pixel_format", [PixelFormat.RGB8, PixelFormat.BGR8])
@pytest.mark.parametrize(("height", "width"), [(2048, 2448), (2016, 2016), (2049, 2101)])
def test_every_patch_is_its_place_in_the_frame(pixel_format, height, width):
    rgb = _coordinates(height, width)
    pixels = rgb if pixel_format is PixelFormat.RGB8 else rgb[..., ::-1]
    preprocess = CpuPreprocessor()
    patches = preprocess(_frame(pixels, pixel_format))
    top, left = (height - 2016) // 2, (width - 2016) // 2
    if (height, width) == (2048, 2448):
        assert (left, top) == (216, 16)
    for start in range(0, 81, 27):
        cells = ALL_CELLS[start : start + 27]
        batch = preprocess.gather(patches, cells)
        assert batch.shape == (27, 224, 224, 3)
        assert batch.flags.c_contiguous
        for patch, (row, column) in zip(batch, cells, strict=True):
            y, x = top + 224 * row, left + 224 * column
            assert np.array_equal(patch, rgb[y : y + 224, x : x + 224]), (row, column)


def test_crop_is_a_view_and_buffers_are_reused():
    frame = _frame(_coordinates())
    preprocess = CpuPreprocessor()
    patches = preprocess(frame)
    assert np.shares_memory(patches.crop, frame.pixels)
    assert preprocess(frame).small is patches.small
    first = preprocess.gather(patches, [(0, 0)])
    assert np.shares_memory(first, preprocess.gather(patches, [(8, 8)] * 31))


def test_small_image_is_the_crop_and_nothing_but_the_crop():
    pixels = np.full((2048, 2448, 3), 255, np.uint8)
    pixels[16:2032, 216:2232] = 40
    small = CpuPreprocessor()(_frame(pixels)).small
    assert small.shape == (1, 512, 512, 3)
    assert small.dtype == np.uint8
    assert (small == 40).all()
    pixels[16:2032, 216:2232][[0, -1]] = 240  # the outermost lines count, alike on all sides
    pixels[16:2032, 216:2232][:, [0, -1]] = 240
    small = CpuPreprocessor()(_frame(pixels)).small[0, ..., 0].astype(int)
    assert small[0, 256] > 60
    for turned in (small[::-1], small[:, ::-1], small.T):
        assert np.abs(small - turned).max() <= 1


def test_small_image_is_area_correct():
    """Within a grey level of one-step area averaging on what a microscope shows: structure
    blurred by the optics (cut off at 2 NA / lambda, several pixels)."""
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (2048, 2448, 3), dtype=np.uint8)
    pixels = cv2.GaussianBlur(pixels, (0, 0), 3)
    pixels = cv2.normalize(pixels, None, 0, 255, cv2.NORM_MINMAX)
    small = CpuPreprocessor()(_frame(pixels)).small[0].astype(float)
    exact = cv2.resize(pixels[16:2032, 216:2232], (512, 512), interpolation=cv2.INTER_AREA)
    assert np.abs(small - exact).mean() < 1.5
    assert abs((small - exact).mean()) < 0.2


def test_stripes_do_not_alias():
    """One-pixel stripes must become grey; plain bilinear resizing would show them as beats."""
    pixels = np.zeros((2048, 2448), np.uint8)
    pixels[:, ::2] = 255
    small = CpuPreprocessor()(_frame(pixels, PixelFormat.MONO8)).small
    assert np.abs(small.astype(int) - 128).max() <= 1


def test_colours_arrive_as_rgb():
    pixels = np.empty((2048, 2448, 3), np.uint8)
    pixels[:] = (10, 20, 30)
    preprocess = CpuPreprocessor()
    for pixel_format, want in ((PixelFormat.RGB8, (10, 20, 30)), (PixelFormat.BGR8, (30, 20, 10))):
        patches = preprocess(_frame(pixels, pixel_format))
        assert (patches.small == want).all()
        assert (preprocess.gather(patches, [(4, 4)]) == want).all()


def test_mono_is_replicated():
    grey = _coordinates()[..., 0]
    preprocess = CpuPreprocessor()
    patches = preprocess(_frame(grey, PixelFormat.MONO8))
    patch = preprocess.gather(patches, [(3, 5)])[0]
    for channel in range(3):
        assert np.array_equal(patch[..., channel], grey[16 + 672 :, 216 + 1120 :][:224, :224])
    assert np.ptp(patches.small, axis=-1).max() == 0


@pytest.mark.parametrize(("height", "width"), [(223, 2448), (2048, 200), (0, 0)])
def test_too_small_names_size_and_limit(height, width):
    side = height if height < 224 else width
    with pytest.raises(ConfigError, match=f"a side of {side} px is {side} px .*224 px, one patch"):
        CpuPreprocessor()(_frame(np.zeros((height, width, 3), np.uint8)))


@pytest.mark.parametrize(
    ("pixels", "pixel_format"),
    [
        (np.zeros((2048, 2448), np.uint8), PixelFormat.RGB8),
        (np.zeros((2048, 2448, 3), np.uint8), PixelFormat.MONO8),
        (np.zeros((2048, 2448, 4), np.uint8), PixelFormat.BGR8),
        (np.zeros((2048, 2448, 3), np.uint16), PixelFormat.RGB8),
    ],
)
def test_pixels_that_are_not_their_format(pixels, pixel_format):
    with pytest.raises(ConfigError, match=pixel_format.value):
        CpuPreprocessor()(_frame(pixels, pixel_format))
