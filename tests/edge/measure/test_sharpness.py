"""The measure that defines focus: gradients of luminance, without the camera's noise."""

from __future__ import annotations

import numpy as np
import pytest

from edge.camera import Frame, PixelFormat
from edge.measure.sharpness import LUMINANCE, gradient_energy, luminance_of, sharpness

SIDE = 2016


def frame(pixels: np.ndarray, pixel_format: PixelFormat = PixelFormat.RGB8) -> Frame:
    """Of a still camera."""
    return Frame(pixels, pixel_format, 0, 0, 0)


def stripes(contrast: float, noise_sd: float = 0.0, period_px: int = 12) -> np.ndarray:
    """Grey sine stripes with white noise."""
    wave = 128.0 + contrast * np.sin(2 * np.pi * np.arange(SIDE) / period_px)
    plane = np.tile(wave, (SIDE, 1))
    if noise_sd:
        plane = plane + np.random.default_rng(1).normal(0.0, noise_sd, plane.shape)
    return np.repeat(np.clip(np.rint(plane), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def test_luminance_weighs_colours_as_the_eye_does_in_either_order() -> None:
    picture = np.zeros((SIDE, SIDE, 3), np.uint8)
    picture[..., 1] = 100
    picture[..., 0] = 50
    want = 100 * LUMINANCE[1] + 50 * LUMINANCE[0]
    assert luminance_of(frame(picture))[5, 5] == pytest.approx(want, rel=1e-5)
    turned = np.ascontiguousarray(picture[..., ::-1])
    assert luminance_of(frame(turned, PixelFormat.BGR8))[5, 5] == pytest.approx(want, rel=1e-5)
    grey = np.full((SIDE, SIDE), 77, np.uint8)
    assert luminance_of(frame(grey, PixelFormat.MONO8))[5, 5] == 77.0


def test_energy_is_that_of_the_slope() -> None:
    ramp = np.tile(np.arange(64, dtype=np.float32) * 2.0, (64, 1))
    np.testing.assert_allclose(gradient_energy(ramp)[2:-2, 2:-2], 4.0, rtol=1e-5)


def test_noise_does_not_make_a_picture_sharper() -> None:
    clean, noisy = (sharpness(frame(stripes(30.0, noise_sd=n))) for n in (0.0, 6.0))
    assert noisy == pytest.approx(clean, rel=0.05)
    assert sharpness(frame(stripes(0.0, noise_sd=6.0))) < 0.02 * clean


def test_a_flat_picture_is_not_sharp() -> None:
    assert sharpness(frame(np.full((SIDE, SIDE, 3), 200, np.uint8))) == 0.0
