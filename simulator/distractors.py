"""What lies on real slides and must not pull the focus: dust, debris, bubbles, pen, folds.

Each is a layer of its own at its own height, marked as no content.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.outline import draw_outline
from simulator.specimen import Layer
from simulator.texture import add_stamp, max_stamp, noise_field, smoothstep

F32 = npt.NDArray[np.float32]
Rng = np.random.Generator


def dust(shape: tuple[int, int], um_per_px: float, rng: Rng, count: int) -> Layer:
    """Opaque specks and fibres on a surface 12 to 60 um above or below the specimen."""
    amount = np.zeros(shape, np.float32)
    for _ in range(count):
        outline = draw_outline(
            rng,
            um_per_px,
            float(np.exp(rng.uniform(np.log(1.0), np.log(12.0)))),
            float(np.exp(rng.uniform(0.0, np.log(6.0)))),
            0.2,
        )
        _drop(amount, outline.inside * np.float32(rng.uniform(0.4, 2.0)), rng)
    height = rng.uniform(12.0, 60.0) * rng.choice((-1.0, 1.0))
    return Layer(float(height), {"neutral": amount}, None, content=False)


def debris(shape: tuple[int, int], um_per_px: float, rng: Rng, count: int) -> Layer:
    """Stained crumbs and precipitate floating 6 to 30 um off the specimen, in the mountant."""
    dyes = {name: np.zeros(shape, np.float32) for name in ("haematoxylin", "eosin", "dab")}
    grain = noise_field(shape, um_per_px, rng, 1.2)
    for _ in range(count):
        outline = draw_outline(rng, um_per_px, rng.uniform(0.8, 7.0), rng.uniform(1.0, 2.5), 0.2)
        name = ("haematoxylin", "eosin", "dab")[int(rng.integers(3))]
        _drop(dyes[name], outline.inside * np.float32(rng.uniform(0.2, 1.0)), rng)
    for amount in dyes.values():
        amount *= np.clip(1.0 + 0.3 * grain, 0.2, 2.0)
    height = rng.uniform(6.0, 30.0) * rng.choice((-1.0, 1.0))
    return Layer(float(height), dyes, None, content=False)


def particles(shape: tuple[int, int], um_per_px: float, rng: Rng, count: int) -> Layer:
    """Grains without any inside, on the specimen's plane or up to 16 um off: pigment, wear, salt.
    They differ from cells by what they lack only, a nucleus in a cytoplasm."""
    colour = ("neutral", "dab", "haematoxylin")[int(rng.choice(3, p=(0.5, 0.35, 0.15)))]
    amount, phase = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    refracts = rng.uniform(-1.0, 2.5) * (rng.uniform() < 0.7)
    softness = float(np.exp(rng.uniform(np.log(0.1), np.log(2.0))))
    largest = rng.uniform(2.0, 9.0)
    for _ in range(count):
        outline = draw_outline(
            rng, um_per_px, float(np.exp(rng.uniform(np.log(0.6), np.log(largest)))),
            rng.uniform(1.0, 2.0), rng.uniform(0.03, 0.2), edge_um=softness,
        )  # fmt: skip
        grain = outline.inside * np.float32(rng.uniform(0.15, 1.6))
        top, left = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        max_stamp(amount, np.asarray(grain, np.float32), top, left)
        add_stamp(phase, np.asarray(grain * np.float32(refracts), np.float32), top, left)
    near = rng.uniform() < 0.4  # as far off as the specimen is thick
    height = rng.uniform(0.0, 2.0 if near else 16.0) * rng.choice((-1.0, 1.0))
    return Layer(float(height), {colour: amount}, phase if refracts else None, content=False)


def bubbles(shape: tuple[int, int], um_per_px: float, rng: Rng, count: int) -> Layer:
    """Air under the cover slip: dark rims that refract, clear inside, 5 to 35 um up."""
    amount, phase = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for _ in range(count):
        radius = float(np.exp(rng.uniform(np.log(8.0), np.log(90.0))))
        outline = draw_outline(rng, um_per_px, radius, rng.uniform(1.0, 1.2), 0.02)
        width = np.float32(max(rng.uniform(1.5, 5.0) / radius, um_per_px / radius))
        rim = np.exp(-(((outline.radius - 1.0) / width) ** 2)).astype(np.float32)
        top, left = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        max_stamp(amount, rim * np.float32(rng.uniform(0.5, 1.6)), top, left)
        dome = np.sqrt(np.maximum(1.0 - outline.radius**2, 0.0)).astype(np.float32)
        add_stamp(phase, dome * np.float32(rng.uniform(0.5, 2.0)), top, left)
    return Layer(float(rng.uniform(5.0, 35.0)), {"neutral": amount}, phase, content=False)


def pen(shape: tuple[int, int], um_per_px: float, rng: Rng) -> Layer:
    """A felt-pen stroke on the cover slip, 60 to 120 um up: a wash of ink with a soft rim."""
    band = noise_field(shape, um_per_px, rng, rng.uniform(150.0, 400.0))
    level = rng.uniform(-0.5, 1.0)
    ink = smoothstep((band - np.float32(level)) / np.float32(0.15))
    grain = noise_field(shape, um_per_px, rng, 3.0)
    dye = ("ea_green", "neutral", "haematoxylin")[int(rng.integers(3))]
    amount = ink * np.float32(rng.uniform(0.3, 1.5)) * np.clip(1.0 + 0.15 * grain, 0.3, 2.0)
    return Layer(
        float(rng.uniform(60.0, 120.0)), {dye: np.asarray(amount, np.float32)}, None, False
    )


def fold(layers: list[Layer], um_per_px: float, rng: Rng) -> Layer | None:
    """A crease in a section: a band where a second sheet of the same tissue lies 4 to 9 um up."""
    base = next((layer for layer in layers if layer.content), None)
    if base is None:
        return None
    h, w = next(iter(base.dyes.values())).shape
    angle, width = rng.uniform(0, np.pi), rng.uniform(8.0, 30.0) / um_per_px
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    offset = rng.uniform(0.2, 0.8)
    along = (x - w * offset) * np.float32(np.cos(angle)) + (y - h * offset) * np.float32(
        np.sin(angle)
    )
    wave = noise_field((h, w), um_per_px, rng, 120.0) * np.float32(10.0 / um_per_px)
    band = np.exp(-(((along + wave) / np.float32(width)) ** 4)).astype(np.float32)
    dyes = {name: np.roll(a, (h // 3, w // 5), (0, 1)) * band for name, a in base.dyes.items()}
    return Layer(float(rng.uniform(4.0, 9.0)), dyes, None, content=False)


def _drop(canvas: F32, stamp: F32, rng: Rng) -> None:
    top, left = int(rng.integers(canvas.shape[0])), int(rng.integers(canvas.shape[1]))
    max_stamp(canvas, np.asarray(stamp, np.float32), top, left)
