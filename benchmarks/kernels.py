"""What the CUDA kernels take, and how their picture and the CPU path's stand to exact averaging.

Nothing here runs on a GPU. `code`: registers, shared memory, spills and sizes by real compilers.
`picture`: one simulated field, scaled as the networks get it, beside float64 area averaging.
`cpu_ms`: the CPU path on a frame of each pixel format, one thread.

python -m benchmarks.kernels [--repeats 20] [--json FILE]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import machine
from edge.camera import Frame, PixelFormat
from edge.measure.preprocess import CpuPreprocessor, centre_crop
from engines.kernels.compile import Built, Nvcc, Nvrtc
from simulator.microscope import Microscope

ROW_BYTES = {"10p": 2448 * 5 // 4, "12p": 2448 * 3 // 2}


def code() -> list[dict[str, Any]]:
    """JetPack 6.2's CUDA for Orin; JetPack 7's for Orin and Thor."""
    nvcc = Nvcc()
    return [
        _described(built)
        for built in (Nvrtc(12).build("sm_87"), nvcc.build("sm_87"), nvcc.build("sm_110"))
    ]


def _described(built: Built) -> dict[str, Any]:
    return {
        "compiler": built.compiler,
        "arch": built.arch,
        "cubin_bytes": len(built.cubin),
        "ptx_bytes": len(built.ptx.encode()),
        "spilling": list(built.spilling),
        "registers": {name: used.registers for name, used in sorted(built.usage.items())},
        "shared_bytes": {n: used.shared for n, used in sorted(built.usage.items()) if used.shared},
    }


def picture() -> dict[str, Any]:
    """Grey levels: mean and greatest distance of each way of scaling from exact averaging."""
    microscope = Microscope(11, workers=1)
    truth = microscope.load_field("tissue", "dense", number=2)
    rows = {}
    for name, off_um in (("in focus", 0.0), ("10 um off", 10.0)):
        pixels = microscope.picture(truth.z_focus_um - off_um)
        frame = Frame(pixels, PixelFormat.RGB8, 0, 0, 0)
        crop = centre_crop(frame)
        exact = area_average(area_average(crop.astype(float)).swapaxes(0, 1)).swapaxes(0, 1)
        small = CpuPreprocessor()(frame).small[0]
        half = cv2.resize(crop, (1008, 1008), interpolation=cv2.INTER_AREA)
        fast = cv2.resize(half, (512, 512), interpolation=cv2.INTER_LINEAR)
        rows[name] = {
            "from_exact_mean": round(float(np.abs(small - exact).mean()), 3),
            "from_exact_p99": round(float(np.quantile(np.abs(small - exact), 0.99)), 3),
            "bias": round(float((small - exact).mean()), 4),
            "opencv_linear_differs_share": round(float((fast != small).mean()), 4),
            "opencv_linear_differs_most": int(np.abs(fast.astype(int) - small).max()),
        }
    return rows


def area_average(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Rows 2016 -> 512, each the exact mean of the 3.9375 rows under it."""
    edges = np.arange(513) * (2016 / 512)
    sums = np.concatenate((np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)))
    first = np.floor(edges).astype(int)
    next_row = np.minimum(first + 1, 2016)
    part = (edges - first).reshape(-1, *[1] * (values.ndim - 1))
    at = sums[first] * (1 - part) + sums[next_row] * part
    return (at[1:] - at[:-1]) * (512 / 2016)


def cpu_ms(repeats: int) -> dict[str, float]:
    """Median time of the small picture, by pixel format, for 2448 x 2048."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    took = {}
    for pixel_format in PixelFormat:
        shape: tuple[int, ...] = (2048, ROW_BYTES.get(pixel_format.value[-3:], 2448))
        if pixel_format in (PixelFormat.RGB8, PixelFormat.BGR8):
            shape = (*shape, 3)
        frame = Frame(rng.integers(0, 256, shape, dtype=np.uint8), pixel_format, 0, 0, 0)
        preprocess, times = CpuPreprocessor(), []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            preprocess(frame)
            times.append((time.perf_counter() - start) * 1e3)
        took[pixel_format.value] = round(statistics.median(times[1:]), 2)
    return took


def main() -> None:
    """Measure; exit 1 when a kernel spills."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    numbers = {"code": code(), "picture": picture(), "cpu_ms": cpu_ms(options.repeats)}
    machine.write(options.json, numbers)
    sys.exit(any(built["spilling"] for built in numbers["code"]))


if __name__ == "__main__":
    main()
