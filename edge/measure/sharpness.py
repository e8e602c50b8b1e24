"""How sharp a picture is, by the measure that defines focus here: Tenengrad on luminance.

The squared Sobel gradient of linear luminance at the sensor's own pixel
(docs/decisions/0011-focus-is-where-the-specimen-is-sharpest.md). Source of the measure:
Krotkov, Focusing, IJCV 1 (1987).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import Frame, PixelFormat
from edge.measure.preprocess import PAPER, check_pixels, developed, developed_crop, is_plain
from edge.measure.raw_pixels import width_px

F32 = npt.NDArray[np.float32]

#: Rec. 709: linear R, G, B to luminance
LUMINANCE = (0.2126, 0.7152, 0.0722)
#: what white noise of variance 1 adds to the gradient energy: the sum of both kernels' squares
_NOISE_GAIN = 2.0 * 12.0 / 64.0
_MAD_TO_SD = 1.4826


def gradient_energy(luminance: F32) -> F32:
    """Squared Sobel gradient per pixel of (h, w) float32 luminance; a new (h, w) array."""
    across = cv2.Sobel(luminance, cv2.CV_32F, 1, 0, ksize=3, scale=0.125)
    down = cv2.Sobel(luminance, cv2.CV_32F, 0, 1, ksize=3, scale=0.125)
    return np.asarray(across * across + down * down, np.float32)


def luminance_of(frame: Frame) -> F32:
    """(h, w) float32 luminance of the frame's crop, in grey levels; a grey camera's own grey.
    ConfigError as edge.measure.preprocess.centre_crop."""
    check_pixels(frame)
    size = frame.pixels.shape[0], width_px(frame)
    if is_plain(frame, PAPER, 1.0):
        crop, pixel_format = developed_crop(frame)
    else:  # a smaller sensor: all of it
        crop, pixel_format = developed(frame, (0, 0), size)
    if crop.ndim == 2:
        return crop.astype(np.float32)
    weights = LUMINANCE if pixel_format is PixelFormat.RGB8 else LUMINANCE[::-1]
    return np.asarray(cv2.transform(crop.astype(np.float32), np.array([weights], np.float32)))


def sharpness(frame: Frame) -> float:
    """Mean gradient energy of the crop less what its noise adds; greater = sharper, never below 0.

    The noise is told as `noise_energy` has it.
    """
    luminance = luminance_of(frame)
    energy = float(gradient_energy(luminance).mean()) - noise_energy(luminance)
    return energy if math.isfinite(energy) and energy > 0.0 else 0.0


def noise_energy(luminance: F32) -> float:
    """What noise adds to the mean gradient energy of (h, w) float32 luminance, told by the finest
    checks of the picture, where optics leaves nothing (Immerkaer, Computer Vision and Image
    Understanding 64, 1996)."""
    checks = luminance[1:, 1:] - luminance[1:, :-1] - luminance[:-1, 1:] + luminance[:-1, :-1]
    noise_sd = _MAD_TO_SD * float(np.median(np.abs(checks[::3, ::3]))) / 2.0
    return _NOISE_GAIN * noise_sd**2
