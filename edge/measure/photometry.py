"""What the light and the colour of a frame are like: seven numbers from the RIN's picture.

Every eighth pixel of every eighth row is enough for shares and means, and costs a tenth of a
millisecond. None of these moves anything; they tell whether a frame looks like those trained on.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

STEP = 8
BACKGROUND_SHARE = 0.99  # the background is brighter than nearly everything else
#: grey levels of the background: below, there was no light to speak of (lamp, shutter), and the
#: networks answer the noise, often surely and the wrong way round. Frames of 54 are still read
#: right, at 33 five of eight are not (docs/spoilt_frames.md)
LEAST_BACKGROUND = 48.0
_LEVELS = np.arange(256, dtype=np.float64)
_CHANNELS = np.array([0, 256, 512], np.int64)

PHOTOMETRY = (
    "background",  # grey levels of the brightest hundredth, mean of R, G, B: 0..255
    "red balance",  # log2 of red to green there
    "blue balance",  # log2 of blue to green there
    "saturated",  # share of values at 255, in the channel that has most
    "black",  # share of values at 0, in the channel that has most
    "colour",  # mean of (greatest - least of R, G, B) over the mean of the greatest
    "contrast",  # standard deviation of green over its mean
)


def photometry_of(small: U8) -> Mapping[str, float]:
    """The features named in PHOTOMETRY, all finite, of (1, h, w, 3) uint8 RGB."""
    return of_sample(small[0, STEP // 2 :: STEP, STEP // 2 :: STEP])


def of_sample(pixels: U8) -> Mapping[str, float]:
    """The features of (h, w, 3) uint8 RGB, every pixel of which is looked at."""
    sample = pixels.reshape(-1, 3)
    counts = np.bincount((sample + _CHANNELS).reshape(-1), minlength=768).reshape(3, 256)
    n = len(sample)
    background = np.argmax(np.cumsum(counts, axis=1) >= BACKGROUND_SHARE * n, axis=1)
    red, green, blue = np.log2(background + 1.0)
    greatest = np.maximum(np.maximum(sample[:, 0], sample[:, 1]), sample[:, 2])  # axis=1 is 20 x
    least = np.minimum(np.minimum(sample[:, 0], sample[:, 1]), sample[:, 2])  # slower
    mean = float(counts[1] @ _LEVELS) / n
    variance = float(counts[1] @ (_LEVELS - mean) ** 2) / n
    values = (
        float(background.mean()),
        float(red - green),
        float(blue - green),
        float(counts[:, 255].max()) / n,
        float(counts[:, 0].max()) / n,
        float((greatest - least).mean()) / max(1.0, float(greatest.mean())),
        variance**0.5 / max(1.0, mean),
    )
    return dict(zip(PHOTOMETRY, values, strict=True))
