"""Colour from the four mosaics."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge.bayer import debayered
from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.preprocess import CpuPreprocessor

# channel of the pixels (0, 0), (0, 1), (1, 0), (1, 1)
PATTERN = {
    PixelFormat.BAYER_RG8: "RGGB",
    PixelFormat.BAYER_GR8: "GRBG",
    PixelFormat.BAYER_GB8: "GBRG",
    PixelFormat.BAYER_BG8: "BGGR",
}


def colours(height: int, width: int) -> np.ndarray:
    """Smooth, each channel with a direction of its own."""
    y, x = np.mgrid[:height, :width]
    return np.stack([60 + 120 * x / width, 200 - 100 * y / height, 20 + 0 * x], -1).astype(np.uint8)


def mosaic(rgb: np.ndarray, pixel_format: PixelFormat) -> Frame:
    raw = np.empty(rgb.shape[:2], np.uint8)
    for place, channel in enumerate(PATTERN[pixel_format]):
        row, column = divmod(place, 2)
        raw[row::2, column::2] = rgb[row::2, column::2, "RGB".index(channel)]
    return Frame(raw, pixel_format, 5, 10, 20, 1)


@pytest.mark.parametrize("pixel_format", PATTERN)
def test_colour(pixel_format: PixelFormat) -> None:
    rgb = colours(300, 400)
    frame = debayered(mosaic(rgb, pixel_format))
    assert frame.pixel_format is PixelFormat.RGB8
    assert (frame.frame_id, frame.exposure_start_ns, frame.time_uncertainty_ns) == (5, 10, 1)
    assert np.abs(frame.pixels.astype(int) - rgb)[2:-2, 2:-2].max() <= 2


@pytest.mark.parametrize("pixel_format", PATTERN)
def test_the_networks_see_the_same_colours(pixel_format: PixelFormat) -> None:
    rgb = colours(2048, 2448)
    preprocess = CpuPreprocessor()
    want = preprocess(Frame(rgb, PixelFormat.RGB8, 0, 0, 0)).small.copy()
    patches = preprocess(mosaic(rgb, pixel_format))
    assert np.abs(patches.small.astype(int) - want).max() <= 2
    patch = preprocess.gather(patches, [(3, 4)])[0]
    top, left = 16 + 3 * 224, 216 + 4 * 224
    assert np.abs(patch.astype(int) - rgb[top : top + 224, left : left + 224]).max() <= 2


def test_others_pass_untouched() -> None:
    frame = Frame(np.zeros((4, 4), np.uint8), PixelFormat.MONO8, 0, 0, 0)
    assert debayered(frame) is frame
    wrong = Frame(np.zeros((2048, 2448, 3), np.uint8), PixelFormat.BAYER_RG8, 0, 0, 0)
    with pytest.raises(ConfigError, match="is not what BayerRG8 means"):
        CpuPreprocessor()(wrong)


def test_read_only_frames_can_be_used() -> None:
    """A driver's buffer is not ours to write."""
    rgb = colours(2048, 2448)
    for pixels, pixel_format in (
        (rgb, PixelFormat.RGB8),
        (np.ascontiguousarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)), PixelFormat.MONO8),
        (mosaic(rgb, PixelFormat.BAYER_GB8).pixels, PixelFormat.BAYER_GB8),
    ):
        pixels.flags.writeable = False
        patches = CpuPreprocessor()(Frame(pixels, pixel_format, 0, 0, 0))
        assert patches.small.any()
