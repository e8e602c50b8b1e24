"""Colour from a Bayer mosaic, on the CPU: the one place where the loop needs it.

The whole frame is interpolated before it is cropped and scaled: simple, and easily swapped for
something that touches only what is measured.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from edge.camera import Frame, PixelFormat

# OpenCV names a mosaic by the second row's second and third pixel, PFNC by the first two
_TO_RGB = {
    PixelFormat.BAYER_RG8: cv2.COLOR_BayerBG2RGB,
    PixelFormat.BAYER_GR8: cv2.COLOR_BayerGB2RGB,
    PixelFormat.BAYER_GB8: cv2.COLOR_BayerGR2RGB,
    PixelFormat.BAYER_BG8: cv2.COLOR_BayerRG2RGB,
}


def debayered(frame: Frame) -> Frame:
    """The frame as (height, width, 3) RGB8 by bilinear interpolation; any other as it is."""
    if frame.pixel_format not in _TO_RGB or frame.pixels.ndim != 2:
        return frame
    rgb = np.asarray(cv2.cvtColor(frame.pixels, _TO_RGB[frame.pixel_format]), np.uint8)
    return replace(frame, pixels=rgb, pixel_format=PixelFormat.RGB8)
