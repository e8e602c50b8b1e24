"""Everyday dirt: what lies on the slide beside the specimen, and what lies on the cover glass.

Debris a few um above the specimen goes through the same optics as the specimen. What lies on the
cover glass, a hundred um and more away, is a shadow as geometry has it: smeared over the cone of
the light, on a quarter of the pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import scipy.fft
import scipy.special

from training.judge.canvas import F32, Canvas, edge, noise, oval
from training.judge.instrument import Rng, Scope
from training.judge.specimens import Specimen

COARSE = 4
#: chance of each at dirt = 1
DEBRIS, DUST, FIBRE, BUBBLE, PEN = 0.30, 0.5, 0.25, 0.07, 0.05
#: above the specimen, um
NEAR_UM, COVER_UM, BUBBLE_UM = (2.0, 16.0), (120.0, 175.0), (8.0, 40.0)

Shadow = tuple[float, F32]


def add_debris(specimen: Specimen, rng: Rng, dirt: float, softness: float, phase: float) -> None:
    """With some chance, a layer of grains and flakes close above the specimen."""
    if rng.uniform() >= DEBRIS * dirt:
        return
    canvas = Canvas(specimen.shape, specimen.um_per_px, rng, softness, abs(phase))
    layer = canvas.add_layer(float(rng.uniform(*NEAR_UM)), content=False)
    height, width = canvas.size_um
    for _ in range(int(rng.integers(2, 14))):
        at = (rng.uniform(0, height), rng.uniform(0, width))
        radius = float(np.exp(rng.uniform(np.log(0.8), np.log(8.0))))
        corner, y, x = canvas.window(at, 2.0 * radius + 1.0)
        shape = oval(y, x, rng, radius, rng.uniform(1.0, 1.8), rng.uniform(0, 3.14), 0.3)
        amount = edge(shape, max(0.5 * softness, canvas.um_per_px)) * np.float32(
            rng.uniform(0.2, 1.4)
        )
        brown = (0.6, 0.8, 1.0) if rng.uniform() < 0.5 else (1.0, 1.0, 1.0)
        canvas.stamp(layer, corner, amount, brown, rng.uniform(0.0, 2.0))
    specimen.layers.append(layer)


def draw_shadows(shape: tuple[int, int], um_per_px: float, rng: Rng, dirt: float) -> list[Shadow]:
    """What lies far above: heights in um and transmittances on a quarter of the pixels."""
    size = (-(-shape[0] // COARSE), -(-shape[1] // COARSE))
    px = COARSE * um_per_px
    canvas = Canvas(size, px, rng, 1.0, 0.0)
    shadows: list[Shadow] = []

    def chance(of: float) -> bool:
        return bool(rng.uniform() < min(1.0, of * dirt))

    def add(z_um: float, absorbance: F32) -> None:
        shadows.append((z_um, np.exp(-absorbance)))

    if chance(DUST):
        layer = canvas.add_layer(0.0, content=False)
        for _ in range(int(rng.integers(1, 12))):
            at = (rng.uniform(0, canvas.size_um[0]), rng.uniform(0, canvas.size_um[1]))
            radius = float(np.exp(rng.uniform(np.log(3.0), np.log(30.0))))
            corner, y, x = canvas.window(at, 2.2 * radius)
            shape_um = oval(y, x, rng, radius, rng.uniform(1.0, 2.0), rng.uniform(0, 3.14), 0.3)
            canvas.stamp(layer, corner, edge(shape_um, 3.0) * np.float32(rng.uniform(0.3, 2.5)),
                         (1.0, 1.0, 1.0))  # fmt: skip
        add(float(rng.uniform(*COVER_UM)), layer.absorbance[1])
    if chance(FIBRE):
        add(float(rng.uniform(*COVER_UM)), _fibre(size, px, rng))
    if chance(BUBBLE):
        layer = canvas.add_layer(0.0, content=False)
        at = (rng.uniform(0, canvas.size_um[0]), rng.uniform(0, canvas.size_um[1]))
        radius = float(rng.uniform(25.0, 120.0))
        corner, y, x = canvas.window(at, 1.3 * radius)
        inside = oval(y, x, rng, radius, 1.05, 0.0, 0.03)
        rim = np.exp(-((inside / np.float32(rng.uniform(3.0, 7.0))) ** 2)) * np.float32(1.8)
        canvas.stamp(layer, corner, rim, (1.0, 1.0, 1.0))
        add(float(rng.uniform(*BUBBLE_UM)), layer.absorbance[1])
    if chance(PEN):
        cover = edge(noise(size, px, rng, 900.0, 300.0, 2.0) * 60.0 - 40.0, 25.0)
        streaks = 1.0 + 0.3 * noise(size, px, rng, 60.0, 6.0, 1.0)
        add(float(rng.uniform(*COVER_UM)), np.maximum(cover * streaks, 0.0) * np.float32(0.7))
    return shadows


def _fibre(size: tuple[int, int], px: float, rng: Rng) -> F32:
    """A hair across the field."""
    t = np.linspace(-0.2, 1.2, 60)
    bend = np.cumsum(rng.normal(0.0, 0.03, (2, 60)), axis=1)
    start, end = rng.uniform(0, 1, 2), rng.uniform(0, 1, 2)
    points = (start[:, None] + (end - start)[:, None] * t + bend) * np.array(size)[:, None]
    picture = np.zeros(size, np.float32)
    line = np.rint(points[::-1].T * 16).astype(np.int32)
    width = max(1, round(rng.uniform(4.0, 18.0) / px))
    cv2.polylines(picture, [line], False, float(rng.uniform(0.4, 1.5)), width, cv2.LINE_AA, 4)
    return picture


def cast(
    shadows: list[Shadow], z_um: float, shape: tuple[int, int], scope: Scope
) -> npt.NDArray[np.float32] | None:
    """What lies far above leaves of the light (h, w), the objective at `z_um`; None = all."""
    if not shadows:
        return None
    total: F32 | None = None
    sine = min(scope.condenser, 1.0) * scope.na / scope.index
    for height, transmittance in shadows:
        radius = abs(z_um - height) * sine / np.sqrt(1.0 - sine * sine)
        fy = scipy.fft.fftfreq(transmittance.shape[0], COARSE * scope.um_per_px)[:, None]
        fx = scipy.fft.rfftfreq(transmittance.shape[1], COARSE * scope.um_per_px)[None, :]
        u = 2 * np.pi * radius * np.hypot(fy, fx) + 1e-9
        spectrum = scipy.fft.rfft2(transmittance) * (2.0 * scipy.special.j1(u) / u).astype(
            np.float32
        )
        part = scipy.fft.irfft2(spectrum, transmittance.shape)
        total = part if total is None else total * part
    assert total is not None
    h, w = total.shape
    large = cv2.resize(total, (w * COARSE, h * COARSE), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(large[: shape[0], : shape[1]], 0.003, None), np.float32)
