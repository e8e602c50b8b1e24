"""What the kernels and edge.measure.preprocess must compute, once more in float64 NumPy without
OpenCV.

Slow and plain on purpose: whole frames, one formula a line. Also makes frames of every format.
"""

import numpy as np

from edge.camera import Frame, PixelFormat

CROP = 2016
DEPTHS = {"10p": 10, "12p": 12}


def random_frame(pixel_format, width=2448, height=2048, seed=5):
    """A frame of noise: every byte counts."""
    rng = np.random.default_rng(seed)
    if pixel_format in (PixelFormat.RGB8, PixelFormat.BGR8):
        shape = (height, width, 3)
    else:
        depth = DEPTHS.get(pixel_format.value[-3:], 8)
        assert width * depth % 8 == 0
        shape = (height, width * depth // 8)
    return Frame(rng.integers(0, 256, shape, dtype=np.uint8), pixel_format, 0, 0, 0)


def developed(frame):
    """The whole frame as (height, width, 3) float64 RGB, whole numbers."""
    name, pixels = frame.pixel_format.value, frame.pixels
    if name == "RGB8":
        return pixels.astype(float)
    if name == "BGR8":
        return pixels[..., ::-1].astype(float)
    if name[-3:] in DEPTHS:
        pixels = _top_bits(pixels, DEPTHS[name[-3:]])
    if name.startswith("Mono"):
        return np.repeat(pixels[..., None], 3, axis=-1).astype(float)
    return _filled(pixels.astype(float), name[5:7])


def small_picture(rgb):
    """(512, 512, 3) float64 of a developed frame: whole numbers, as uint8 would hold them."""
    height, width = rgb.shape[:2]
    top, left = (height - CROP) // 2, (width - CROP) // 2
    crop = rgb[top : top + CROP, left : left + CROP]
    half = _rounded(crop.reshape(1008, 2, 1008, 2, 3).mean(axis=(1, 3)))
    return _rounded(_bilinear(_bilinear(half, 0), 1))


def patch(rgb, row, column):
    """(224, 224, 3) float64 of a developed frame."""
    height, width = rgb.shape[:2]
    top, left = (height - CROP) // 2 + 224 * row, (width - CROP) // 2 + 224 * column
    return rgb[top : top + 224, left : left + 224]


def _rounded(values):
    return np.floor(values + 0.5)


def _bilinear(picture, axis):
    place = (np.arange(512) + 0.5) * (1008 / 512) - 0.5
    first = np.floor(place).astype(int)
    weight = (place - first).reshape([-1 if i == axis else 1 for i in range(3)])
    return picture.take(first, axis) * (1 - weight) + picture.take(first + 1, axis) * weight


def _top_bits(rows, depth):
    """GenICam "p": bit 0 of a pixel is the first in memory, bytes from their bit 0 on."""
    stream = np.unpackbits(rows, axis=1, bitorder="little")
    whole = stream.reshape(len(rows), -1, depth) @ (1 << np.arange(depth))
    return whole >> (depth - 8)


def _filled(mosaic, phase):
    """Each colour's known values, averaged with the weights of bilinear interpolation."""
    height, width = mosaic.shape
    tile = {"RG": "RGGB", "GR": "GRBG", "GB": "GBRG", "BG": "BGGR"}[phase]
    letters = np.array(list(tile)).reshape(2, 2)
    y, x = np.mgrid[-1 : height + 1, -1 : width + 1]
    mosaic = np.pad(mosaic, 1, mode="reflect")
    kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], float)
    out = np.empty((height, width, 3))
    for channel, letter in enumerate("RGB"):
        known = (letters[y % 2, x % 2] == letter).astype(float)
        if letter == "G":
            weights = np.array([[0, 1, 0], [1, 4, 1], [0, 1, 0]], float)
        else:
            weights = kernel
        values = sum_shifted(mosaic * known, weights) / sum_shifted(known, weights)
        own = known[1:-1, 1:-1] > 0
        out[..., channel] = np.where(own, mosaic[1:-1, 1:-1], _rounded(values))
    return out


def sum_shifted(values, weights):
    """The valid part of a 3 x 3 correlation."""
    height, width = values.shape[0] - 2, values.shape[1] - 2
    return sum(
        weights[dy, dx] * values[dy : dy + height, dx : dx + width]
        for dy in range(3)
        for dx in range(3)
    )
