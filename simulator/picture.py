"""One photograph as the simulator wants it: sharp at its pixel, its white known, quilted to size.

A specimen lives on a torus and may be larger than a photograph. So windows of the photograph,
each turned its own way, are laid edge over edge and cross-faded; the last one meets the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt
from scipy import fft

from simulator.specimen import DETAIL_SCALE
from simulator.texture import add_stamp, smoothstep

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
Rng = np.random.Generator

#: tried in turn until a picture is sharp at its pixel; at 1.3 the blocks of a JPEG are gone
FACTORS = (1.0, 1.3, 2.0, 3.0, 4.0)
#: least `fine_share`. Measured: this microscope's own picture has 0.016-0.039 in best focus and
#: 0.001-0.013 at 5 um; lymph node 0.04, IHC 0.03 and breast sections 0.02-0.04 at a third of
#: their size; blood smears stay near 0.01 at any size, so they are left out
FINE_SHARE = 0.025
SMALLEST_PX = 160
#: least share of blocks that hold detail: a picture of a clear slide is no specimen
LEAST_FILLED = 0.15
BLOCK_PX = 32
#: windows overlap by this much; wide for the optics, narrow for the eye
FADE_PX = 24
DARKEST = 0.02


@dataclass(frozen=True, slots=True)
class Picture:
    """`pixels` (h, w, 3) uint8 RGB; `white` is the clear background's level in R, G, B.

    `filled` (h / 32, w / 32) in 0..1 says where there is detail.
    """

    pixels: U8
    white: F64
    filled: F32


def sharp_picture(pixels: U8, jpeg: bool) -> Picture | None:
    """The photograph made coarser until it is sharp; None if it never is, or is nearly empty."""
    if min(pixels.shape[:2]) < SMALLEST_PX:
        return None
    grain = bands(_green(pixels))[2]
    for factor in FACTORS[1:] if jpeg else FACTORS:
        smaller = _shrink(pixels, factor)
        if min(smaller.shape[:2]) < SMALLEST_PX:
            return None
        green = _green(smaller)
        if fine_share(bands(green), grain / factor**2) >= FINE_SHARE:
            filled = _filled(green)
            kept = filled.mean() >= LEAST_FILLED
            return Picture(smaller, _white(smaller), filled) if kept else None
    return None


def fine_share(power: tuple[float, float, float], grain: float = 0.0) -> float:
    """Fine over coarse power of `bands`: how sharp a picture is at its pixel.

    What stands in the corners of the frequency plane, where optics leaves nothing, is taken for
    noise, or `grain` if that is more: averaging a noisy picture hides its noise there. Twice the
    noise is subtracted, because neither grain nor rounding to 8 bits is white.
    """
    coarse, fine, corner = power
    noise = 2.0 * max(corner, grain)
    return max(fine - noise, 0.0) / max(coarse - noise, fine, 1e-12)


def bands(absorbance: F32) -> tuple[float, float, float]:
    """Power density at 0.10-0.20, 0.30-0.45 and 0.60-0.71 cycles/px, of 9 windows of 128 px."""
    size = 128
    taper = np.outer(np.hanning(size), np.hanning(size)).astype(np.float32)
    tops, lefts = (np.linspace(0, side - size, 3).astype(int) for side in absorbance.shape)
    tiles = [absorbance[y : y + size, x : x + size] for y in tops for x in lefts]
    tapered = np.stack([(tile - tile.mean()) * taper for tile in tiles])
    power = (np.abs(fft.rfft2(tapered)) ** 2).mean(0)
    place = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None, :])
    coarse, fine, corner = (
        float(power[(place >= low) & (place < high)].mean())
        for low, high in ((0.10, 0.20), (0.30, 0.45), (0.60, 0.71))
    )
    return coarse, fine, corner


def quilt(picture: Picture, rng: Rng, shape: tuple[int, int], factor: float) -> list[F32]:
    """Absorbance in R, G and B from windows of the picture `factor` times coarser.

    Each plane is `shape` float32 and periodic. One window does where the picture is large.
    """
    if rng.uniform() < 0.5:
        picture = Picture(picture.pixels.transpose(1, 0, 2), picture.white, picture.filled.T)
    fades = [min(FADE_PX, side // 4) for side in shape]
    sides = picture.pixels.shape[:2]
    spans = [
        _spans(want, int(side / factor) - fade)
        for want, side, fade in zip(shape, sides, fades, strict=True)
    ]
    planes = [np.zeros(shape, np.float32) for _ in range(3)]
    for top, height in spans[0]:
        for left, width in spans[1]:
            size = (height + fades[0], width + fades[1])
            window = _window(picture, size, factor, rng)
            weight = _ramp(size[0], fades[0])[:, None] * _ramp(size[1], fades[1])[None, :]
            for channel, plane in enumerate(planes):
                light = window[..., channel] * np.float32(1.0 / picture.white[channel])
                np.clip(light, DARKEST, 1.0, out=light)
                np.log(light, out=light)
                light *= -weight
                add_stamp(plane, light, top, left)
    return planes


def _window(picture: Picture, size: tuple[int, int], factor: float, rng: Rng) -> U8:
    """The fullest of eight random windows, scaled to `size` and mirrored at random."""
    sides = picture.pixels.shape[:2]
    takes = [min(side, round(want * factor)) for side, want in zip(sides, size, strict=True)]
    best, place = -1.0, (0, 0)
    for _ in range(8):
        y, x = (int(rng.integers(s - t + 1)) for s, t in zip(sides, takes, strict=True))
        blocks = picture.filled[
            y // BLOCK_PX : -(-(y + takes[0]) // BLOCK_PX),
            x // BLOCK_PX : -(-(x + takes[1]) // BLOCK_PX),
        ]
        if blocks.mean() > best:
            best, place = float(blocks.mean()), (y, x)
    y, x = place
    window = np.ascontiguousarray(picture.pixels[y : y + takes[0], x : x + takes[1]])
    if tuple(takes) != size:
        window = np.asarray(cv2.resize(window, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    return window[:: int(rng.choice((-1, 1))), :: int(rng.choice((-1, 1)))]


def _spans(want: int, have: int) -> list[tuple[int, int]]:
    """Cut `want` pixels into as few equal stretches as `have` pixels allow: start, length."""
    count = -(-want // max(have, 1))
    edges = [index * want // count for index in range(count + 1)]
    return [(start, end - start) for start, end in pairwise(edges)]


def _ramp(size: int, fade: int) -> F32:
    """Weight along a window; the falling end and the next window's rising one add to 1."""
    out = np.ones(size, np.float32)
    if fade:
        rise = smoothstep(((np.arange(fade) + 0.5) / fade).astype(np.float32))
        out[:fade], out[-fade:] = rise, 1.0 - rise
    return out


def _shrink(pixels: U8, factor: float) -> U8:
    if factor == 1.0:
        return pixels
    h, w = (max(1, round(side / factor)) for side in pixels.shape[:2])
    return np.asarray(cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA), np.uint8)


def _white(pixels: U8) -> F64:
    """Level of the clear background in R, G, B; a dense section shows none, so a guess from above.

    No channel may fall below 0.8 of the brightest one, else a pink section would turn white.
    """
    step_y, step_x = (max(1, side // 128) for side in pixels.shape[:2])
    high = np.percentile(pixels[::step_y, ::step_x].reshape(-1, 3), 99.5, axis=0)
    return np.asarray(np.maximum(np.maximum(high, 0.8 * high.max()), 1.0), np.float64)


def _green(pixels: U8) -> F32:
    light = np.clip(pixels[..., 1] / _white(pixels)[1], DARKEST, 1.0)
    return np.asarray(-np.log(light), np.float32)


def _filled(absorbance: F32) -> F32:
    """Per block 1 where its detail would make a patch informative (W* > 0.8), else 0."""
    energy = (absorbance - cv2.blur(absorbance, (15, 15))) ** 2
    blocks = [-(-side // BLOCK_PX) for side in energy.shape]
    mean = cv2.resize(energy, (blocks[1], blocks[0]), interpolation=cv2.INTER_AREA)
    return np.asarray(mean > 1.6 * DETAIL_SCALE, np.float32)
