"""A kept frame as the bytes of a file: JPEG at quality 92 without subsampled colour.

That costs nothing visible when it is compressed once more for the slide (4:2:0 twice, moved by the
stitching, would); shot noise makes a lossless file ten times as large for nothing.
"""

from __future__ import annotations

import cv2
import numpy as np

from edge.appliance.scan.gates import Kept
from edge.camera import PixelFormat
from edge.errors import ConfigError
from edge.measure.preprocess import developed
from edge.measure.raw_pixels import width_px

QUALITY = 92


def encode(kept: Kept) -> bytes:
    """The whole frame, colour or grey. ConfigError for a format that nobody can develop."""
    frame = kept.frame
    size = frame.pixels.shape[0], width_px(frame)
    pixels, pixel_format = developed(frame, (0, 0), size)
    if pixel_format is PixelFormat.RGB8:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    how = [
        cv2.IMWRITE_JPEG_QUALITY, QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]  # fmt: skip
    fine, data = cv2.imencode(".jpg", pixels, how)
    if not fine:
        raise ConfigError(f"a frame of {frame.pixel_format.value} cannot be compressed")
    return bytes(data)
