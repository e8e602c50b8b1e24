"""What `sparsefocus selftest` finds out: are the engines right here, and how fast.

Every check compares with the CPU path, which is the reference, on pictures that ship with the
models. Nothing moves. On a machine without a GPU the CPU path itself is tested.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.camera import Frame, PixelFormat
from edge.latency import Lap
from edge.measure.preprocess import CROP_PX, GRID, PATCH_PX
from edge.measure.sensor import Measurer, measure
from engines import golden
from engines.engine import Engine
from engines.errors import PlanInaccurate

U8 = npt.NDArray[np.uint8]
SENSOR = (2048, 2448)  # a common 5 megapixel sensor, px
WARM_UP = 5  # frames before the clock runs: first calls allocate and capture
#: one of each way through the kernels
FORMATS = ("RGB8", "BGR8", "Mono8", "Mono10p", "Mono12p", "BayerRG8", "BayerGB12p")


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: what was looked at, whether it holds, and the numbers."""

    name: str
    ok: bool
    detail: str


@dataclass(slots=True)
class Findings:
    """All of a self-test. `latency_ms`: by stage {p50, p99, max}; `facts`: what was tested."""

    backend: str
    facts: dict[str, Any] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    latency_ms: dict[str, dict[str, float]] = field(default_factory=dict)
    health: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every check holds, and there was one."""
        return bool(self.checks) and all(check.ok for check in self.checks)


def machine() -> dict[str, str]:
    """What a report must say of the computer; no names or addresses of it."""
    return {
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "opencv": cv2.__version__,
        "numpy": np.__version__,
    }


def golden_check(engine: Engine, one_by_one: bool = False) -> Check:
    """`engine` on its golden pictures against ONNX Runtime on the CPU. `one_by_one`: where that is
    the engine itself, a batch is compared with its pictures alone."""
    model = engine.manifest
    given = golden.batches(model.name, shape=model.inputs[0].shape)
    names = [output.name for output in model.outputs]

    def answers(batch: U8) -> golden.Answers:
        return dict(zip(names, engine.infer(batch), strict=True))

    def alone(batch: U8) -> golden.Answers:
        parts = [answers(batch[i : i + 1]) for i in range(len(batch))]
        return {name: np.concatenate([part[name] for part in parts]) for name in names}

    expected = [alone(b) for b in given] if one_by_one else golden.reference(model, given)
    actual = [answers(batch) for batch in given]
    name = f"golden pictures, {model.name}"
    try:
        worst = golden.compare(model.file, model, expected, actual)
    except PlanInaccurate as error:
        return Check(name, False, str(error))
    numbers = ", ".join(
        f"{key} within {value:.2g} (limit {golden.LIMITS[key]:g})"
        for key, value in worst.items()
        if key in golden.LIMITS
    )
    return Check(name, True, numbers)


def picture() -> U8:
    """(2048, 2448, 3) uint8 RGB made of the DPN's golden pictures, so that many patches count."""
    tiles = golden.batches("dpn")[-1]
    chosen = tiles[np.arange(GRID * GRID) % len(tiles)]
    rows = chosen.reshape(GRID, GRID, PATCH_PX, PATCH_PX, 3).swapaxes(1, 2)
    whole = np.full((*SENSOR, 3), 230, np.uint8)
    top, left = ((size - CROP_PX) // 2 for size in SENSOR)
    whole[top : top + CROP_PX, left : left + CROP_PX] = rows.reshape(CROP_PX, CROP_PX, 3)
    return whole


def frame_of(rgb: U8, name: str, number: int = 0) -> Frame:
    """`rgb` as a camera would send it in the pixel format `name`."""
    pixels = rgb
    if name == "BGR8":
        pixels = np.ascontiguousarray(rgb[..., ::-1])
    elif name != "RGB8":
        pixels = _mosaic(rgb, name[5:7]) if name.startswith("Bayer") else rgb[..., 1]
        pixels = _packed(pixels, name) if name.endswith("p") else np.ascontiguousarray(pixels)
    return Frame(pixels, PixelFormat(name), number, 0, 0)


def timed(sensor: Measurer, frames: Sequence[Frame], count: int) -> dict[str, dict[str, float]]:
    """`count` frames after a warm-up; ms by stage, as the loop books them."""
    laps: list[Mapping[str, float]] = []
    for number in range(WARM_UP + count):
        lap = Lap()
        measure(sensor, frames[number % len(frames)], lap)
        laps.append(lap.ms)
    return quantiles(laps[WARM_UP:])


def quantiles(laps: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """p50, p99 and max by stage; p99 of few is their greatest."""
    table = {}
    for stage in laps[0]:
        values = np.sort([lap[stage] for lap in laps])
        at = [values[min(len(values) - 1, int(q * len(values)))] for q in (0.5, 0.99, 1.0)]
        table[stage] = dict(zip(("p50", "p99", "max"), map(_ms, at), strict=True))
    return table


def _ms(value: float) -> float:
    return round(float(value), 3)


def _mosaic(rgb: U8, phase: str) -> U8:
    """Each pixel's own colour of a Bayer pattern, named by its top left 2 x 2 in GenICam's way."""
    letters = {"RG": "RGGB", "GR": "GRBG", "GB": "GBRG", "BG": "BGGR"}[phase]
    out = np.empty(rgb.shape[:2], np.uint8)
    for i, letter in enumerate(letters):
        y, x = divmod(i, 2)
        out[y::2, x::2] = rgb[y::2, x::2, "RGB".index(letter)]
    return out


def _packed(pixels: U8, name: str) -> U8:
    """Eight bits as the top ones of 10 or 12, least significant bit first; low bits are 1."""
    depth = int(name[-3:-1])
    values = (pixels.astype(np.uint16) << (depth - 8)) | 1
    bits = (values[..., None] >> np.arange(depth, dtype=np.uint16)) & 1
    rows = bits.reshape(len(pixels), -1).astype(np.uint8)
    return np.packbits(rows, axis=1, bitorder="little")
