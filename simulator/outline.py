"""Outlines of biological things: a wobbly closed curve, filled with a soft edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator.texture import smoothstep

F32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Outline:
    """A filled shape: `inside` (h, w) in 0..1 and the normalised radius (0 centre, 1 rim)."""

    inside: F32
    radius: F32


def draw_outline(
    rng: np.random.Generator,
    um_per_px: float,
    radius_um: float,
    aspect: float = 1.0,
    wobble: float = 0.08,
    corners: int = 0,
    edge_um: float = 0.4,
) -> Outline:
    """Fill a star-shaped outline with random low-order wobble.

    `corners` > 0 pulls the rim towards a polygon (squamous cells). The edge is never sharper
    than one pixel, so that a coarse grid stays free of stairs.
    """
    half = int(np.ceil(radius_um * max(aspect, 1.0) * (1.15 + 2.0 * wobble) / um_per_px)) + 2
    axis = (np.arange(-half, half + 1, dtype=np.float32)) * np.float32(um_per_px)
    angle = np.float32(rng.uniform(0.0, 2.0 * np.pi))
    shift_y, shift_x = rng.uniform(-0.5, 0.5, 2).astype(np.float32) * np.float32(um_per_px)
    y, x = axis[:, None] + shift_y, axis[None, :] + shift_x
    u = (x * np.cos(angle) + y * np.sin(angle)) / np.float32(aspect)
    v = y * np.cos(angle) - x * np.sin(angle)
    theta = np.arctan2(v, u)
    rim = np.ones_like(theta)
    for order in range(2, 6):
        amount, phase = rng.normal(0.0, wobble / order * 2.0), rng.uniform(0.0, 2.0 * np.pi)
        rim += np.float32(amount) * np.cos(np.float32(order) * theta + np.float32(phase))
    if corners:
        phase = rng.uniform(0.0, 2.0 * np.pi)
        rim += np.float32(0.07) * np.cos(np.float32(corners) * theta + np.float32(phase))
    distance = np.sqrt(u * u + v * v) / np.float32(radius_um)
    radius = distance / rim
    edge = max(edge_um, um_per_px) / radius_um
    inside = smoothstep((1.0 - radius) / np.float32(edge) + np.float32(0.5))
    return Outline(inside, np.asarray(radius, np.float32))
