"""H&E-like tissue sections: stroma with fibres, cellular areas, lumens, nuclei."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulator.outline import draw_outline
from simulator.specimen import Layer
from simulator.texture import add_stamp, noise_field, smoothstep, take_window

F32 = npt.NDArray[np.float32]


def paint_tissue(
    shape: tuple[int, int],
    um_per_px: float,
    rng: np.random.Generator,
    mask: F32,
    thickness_um: float,
    strength: float,
) -> list[Layer]:
    """Fill `mask` (h, w) in 0..1 with tissue; nuclei at any height of the section."""
    heights = [0.0] if thickness_um < 0.5 else [-thickness_um / 2, 0.0, thickness_um / 2]
    ground, phase = _stroma(shape, um_per_px, rng, mask)
    share = np.float32(1.0 / len(heights))
    layers = []
    for index, z in enumerate(heights):
        # each sub-layer sees its own fibres: the same section, cut thinner
        if index:
            ground, phase = (
                np.roll(a, (37 * index, 91 * index), (0, 1)) * mask for a in (ground, phase)
            )
        dyes = {
            "eosin": np.asarray(ground * (share * np.float32(strength)), np.float32),
            "haematoxylin": np.zeros(shape, np.float32),
        }
        layers.append(Layer(z, dyes, np.asarray(phase * share, np.float32)))
    _nuclei(layers, um_per_px, rng, mask, strength)
    return layers


def _stroma(
    shape: tuple[int, int], um_per_px: float, rng: np.random.Generator, mask: F32
) -> tuple[F32, F32]:
    """Eosin amount and phase of the ground substance."""
    fibres = noise_field(
        shape, um_per_px, rng, rng.uniform(1.5, 4.0), rng.uniform(2.0, 9.0), rng.uniform(0, np.pi)
    )
    waves = noise_field(
        shape, um_per_px, rng, rng.uniform(5.0, 14.0), rng.uniform(1.0, 3.0), rng.uniform(0, np.pi)
    )
    fine = noise_field(shape, um_per_px, rng, 0.8)
    broad = noise_field(shape, um_per_px, rng, rng.uniform(25.0, 70.0))
    fibrous = rng.uniform(0.05, 0.30)
    ground = rng.uniform(0.12, 0.40) * (1.0 + 0.35 * broad)
    ground += fibrous * np.exp(-np.abs(fibres) * 2.0) + 0.08 * waves + 0.05 * fine
    gaps = smoothstep((waves + rng.uniform(0.6, 2.4)) / 0.5)  # clefts and lumens
    amount = np.maximum(ground, 0.02) * mask * gaps
    phase = amount * rng.uniform(1.0, 2.5) + 0.12 * fine * mask
    return np.asarray(amount, np.float32), np.asarray(phase, np.float32)


def _nuclei(
    layers: list[Layer], um_per_px: float, rng: np.random.Generator, mask: F32, strength: float
) -> None:
    shape = mask.shape
    area_um2 = mask.size * um_per_px**2
    density = np.exp(rng.uniform(np.log(0.0012), np.log(0.010)))
    crowding = noise_field(shape, um_per_px, rng, rng.uniform(15.0, 50.0))
    chromatin = noise_field(shape, um_per_px, rng, 0.9)
    accept = np.clip(0.5 + 0.5 * crowding, 0.03, 1.0) * (mask > 0.5)
    mean_radius, elongated = rng.uniform(2.6, 4.6), rng.uniform(1.1, 2.4)
    darkness = rng.uniform(0.5, 1.2) * strength
    library = [
        draw_outline(
            rng,
            um_per_px,
            max(rng.normal(mean_radius, 0.5), 1.5),
            rng.uniform(1.0, elongated),
            0.06,
        )
        for _ in range(24)
    ]
    for _ in range(int(area_um2 * density * 2)):
        y, x = int(rng.integers(shape[0])), int(rng.integers(shape[1]))
        if rng.uniform() > accept[y, x]:
            continue
        outline = library[int(rng.integers(len(library)))]
        stamp, rim = outline.inside, smoothstep((outline.radius - 0.7) / 0.2)
        if rng.uniform() < 0.5:
            stamp, rim = stamp[::-1], rim[::-1]
        if rng.uniform() < 0.5:
            stamp, rim = stamp[:, ::-1], rim[:, ::-1]
        grain = take_window(chromatin, y + 911, x + 577, *stamp.shape)
        amount = stamp * np.maximum(0.85 + 0.35 * rim + 0.25 * grain, 0.1)
        layer = layers[int(rng.integers(len(layers)))]
        top, left = y - stamp.shape[0] // 2, x - stamp.shape[1] // 2
        tone = np.float32(darkness * rng.uniform(0.7, 1.2))
        add_stamp(layer.dyes["haematoxylin"], np.asarray(amount * tone, np.float32), top, left)
        assert layer.phase is not None
        add_stamp(layer.phase, np.asarray(amount * np.float32(0.4), np.float32), top, left)
    for layer in layers:
        np.minimum(layer.dyes["haematoxylin"], 2.2, out=layer.dyes["haematoxylin"])
