"""What specimens are drawn with: layers that wrap round, random textures, outlines.

A field is a torus, as the FFT has it: what leaves at one side comes in at the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import scipy.fft

F32 = npt.NDArray[np.float32]
C64 = npt.NDArray[np.complex64]
Rng = np.random.Generator
Dye = tuple[float, float, float]


@dataclass(slots=True)
class Layer:
    """What lies at one height: natural absorbance (3, h, w) in R, G, B and phase (h, w) in rad of
    green light. `content` tells the specimen from dirt."""

    z_um: float
    absorbance: F32
    phase: F32
    content: bool = True


@dataclass(slots=True)
class Canvas:
    """Layers to draw on, lowest first. Amounts are absorbance at the strongest of the colours;
    `phase` is rad for each unit of amount, `softness` the width of usual edges in um."""

    shape: tuple[int, int]
    um_per_px: float
    rng: Rng
    softness_um: float
    phase: float
    layers: list[Layer] = field(default_factory=list)

    def add_layer(self, z_um: float, content: bool = True) -> Layer:
        """Another empty layer, on top of the list."""
        empty = np.zeros((3, *self.shape), np.float32)
        self.layers.append(Layer(z_um, empty, np.zeros(self.shape, np.float32), content))
        return self.layers[-1]

    def spread(self, layer: Layer, amount: F32, dye: Dye, phase: float = 1.0) -> None:
        """Lay an amount over the whole field; `phase` times the usual phase for it."""
        for plane, unit in zip(layer.absorbance, dye, strict=True):
            plane += amount * np.float32(unit)
        layer.phase += amount * np.float32(phase * self.phase)

    def stamp(
        self, layer: Layer, corner: tuple[int, int], amount: F32, dye: Dye, phase: float = 1.0
    ) -> None:
        """Lay a small picture down with its top left at `corner`, round the edges if need be."""
        for here, there in self.pieces(corner, (amount.shape[0], amount.shape[1])):
            part = amount[there]
            for plane, unit in zip(layer.absorbance, dye, strict=True):
                plane[here] += part * np.float32(unit)
            layer.phase[here] += part * np.float32(phase * self.phase)

    def window(
        self, centre_um: Sequence[float], half_um: float
    ) -> tuple[tuple[int, int], F32, F32]:
        """Top left in px, and y (n, 1) and x (1, n) in um from the centre, of a square window."""
        half = min(int(np.ceil(half_um / self.um_per_px)) + 1, (min(self.shape) - 1) // 2)
        offset = np.arange(-half, half + 1)
        corner, axes = [], []
        for position in centre_um:
            middle = round(position / self.um_per_px)
            corner.append(middle - half)
            axes.append(((middle + offset) * self.um_per_px - position).astype(np.float32))
        return (corner[0], corner[1]), axes[0][:, None], axes[1][None, :]

    def at(self, plane: F32, point_um: Sequence[float]) -> float:
        """The value of a plane at a place."""
        row, column = (int(p / self.um_per_px) for p in point_um)
        return float(plane[row % self.shape[0], column % self.shape[1]])

    @property
    def size_um(self) -> tuple[float, float]:
        """Height and width of the field."""
        return self.shape[0] * self.um_per_px, self.shape[1] * self.um_per_px

    def pieces(
        self, corner: tuple[int, int], size: tuple[int, int]
    ) -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        runs = []
        for start, length, side in zip(corner, size, self.shape, strict=True):
            part, done = [], 0
            while done < length:
                here = (start + done) % side
                count = min(side - here, length - done)
                part.append((slice(here, here + count), slice(done, done + count)))
                done += count
            runs.append(part)
        return [((y[0], x[0]), (y[1], x[1])) for y in runs[0] for x in runs[1]]


def noise(
    shape: tuple[int, int],
    um_per_px: float,
    rng: Rng,
    coarse_um: float,
    fine_um: float,
    slope: float = 1.0,
    along: tuple[float, float] | None = None,
    white: C64 | None = None,
) -> F32:
    """Periodic random field of mean 0 and variance 1 with detail from `coarse_um` to `fine_um`,
    amplitude falling as frequency to the power `slope`. `along`: (angle, length factor) draws it
    out along one direction; `white`: the spectrum of white noise to make it of."""
    fy = scipy.fft.fftfreq(shape[0], um_per_px).astype(np.float32)[:, None]
    fx = scipy.fft.rfftfreq(shape[1], um_per_px).astype(np.float32)[None, :]
    if along is None:
        f2 = fy * fy + fx * fx
    else:
        sine, cosine = np.float32(np.sin(along[0])), np.float32(np.cos(along[0]))
        f2 = (fy * cosine - fx * sine) ** 2 + np.float32(along[1] ** 2) * (
            fy * sine + fx * cosine
        ) ** 2
    low, high = np.float32(coarse_um**-2), np.float32(fine_um**-2)
    weight = (f2 + low) ** np.float32(-slope / 2) * np.exp(-f2 / high) * (f2 / (f2 + low))
    weight[0, 0] = 0.0
    if white is None:
        white = white_spectrum(shape, rng)
    out = scipy.fft.irfft2(white * weight, shape, overwrite_x=True)
    out /= max(float(out.std()), 1e-9)
    return np.asarray(out, np.float32)


def white_spectrum(shape: tuple[int, int], rng: Rng) -> C64:
    """Of white noise, for `noise`."""
    return np.asarray(scipy.fft.rfft2(rng.standard_normal(shape, dtype=np.float32)))


class Grain:
    """One periodic texture of which many small pieces are cut: chromatin, cytoplasm."""

    SIDE = 768

    def __init__(
        self, um_per_px: float, rng: Rng, coarse_um: float, fine_um: float, slope: float = 1.0
    ) -> None:
        side = (self.SIDE, self.SIDE)
        self._tile, self._rng = noise(side, um_per_px, rng, coarse_um, fine_um, slope), rng

    def cut(self, shape: tuple[int, int]) -> F32:
        """A piece from anywhere, mirrored at random; one larger than the tile repeats."""
        top, left = self._rng.integers(self.SIDE, size=2)
        rows = np.arange(top, top + shape[0]) % self.SIDE
        columns = np.arange(left, left + shape[1]) % self.SIDE
        if self._rng.uniform() < 0.5:
            rows = rows[::-1]
        tile = self._tile if self._rng.uniform() < 0.5 else self._tile.T
        return tile[np.ix_(rows, columns)]


def edge(inside_um: F32, softness_um: float) -> F32:
    """0 outside to 1 inside of an outline, over `softness_um`, from a distance to it."""
    t = np.clip(inside_um / np.float32(softness_um) + np.float32(0.5), 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def oval(
    y: F32, x: F32, rng: Rng, radius_um: float, stretch: float, angle: float, wobble: float = 0.06
) -> F32:
    """Distance (um) inside a slightly irregular ellipse; < 0 outside."""
    u = (x * np.cos(angle) + y * np.sin(angle)) / np.float32(stretch)
    v = (y * np.cos(angle) - x * np.sin(angle)) * np.float32(stretch)
    r = np.sqrt(u * u + v * v)
    limit = np.full(r.shape, 1.0, np.float32)
    theta = np.arctan2(v, u)
    for k in (2, 3, 4):
        limit += np.float32(rng.normal(0.0, wobble / k)) * np.cos(k * theta + rng.uniform(0, 6.28))
    return np.asarray((limit * np.float32(radius_um) - r), np.float32)


def polygon(y: F32, x: F32, rng: Rng, radius_um: float, sides: int, round_um: float) -> F32:
    """Distance (um) inside a convex polygon with rounded corners; < 0 outside."""
    angles = (np.arange(sides) + rng.uniform(-0.3, 0.3, sides)) * 2 * np.pi / sides
    angles += rng.uniform(0, 2 * np.pi)
    total: F32 | None = None
    for angle in angles:
        far = np.float32(radius_um * rng.uniform(0.72, 1.05))
        d = far - (y * np.float32(np.sin(angle)) + x * np.float32(np.cos(angle)))
        part = np.exp(-np.clip(d / np.float32(round_um), -12.0, 30.0))
        total = part if total is None else total + part
    assert total is not None
    return np.asarray(-np.float32(round_um) * np.log(total), np.float32)
