"""What no program on this machine can beat, measured in the same run."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engines.engine import MODELS
from engines.onnx_runtime import ort

U8 = npt.NDArray[np.uint8]
_SIDE = 1536
#: networks' inputs of one item
_SHAPES = {"rin": (1, 512, 512, 3), "dpn": (1, 224, 224, 3)}


def measure(pictures: Sequence[U8], repeats: int = 24) -> dict[str, Any]:
    """memory_read_ms: every byte of one frame, from memory; copy_crop_ms: of the centre crop;
    peak_gflops: float32 matrix product on all cores; gflop: of one item through each network."""
    crop = np.empty((2016, 2016, 3), np.uint8)
    a = np.random.default_rng(0).random((_SIDE, _SIDE), np.float32)
    out = np.empty_like(a)
    read, copied, product = [], [], []
    for i in range(repeats):  # the pictures together do not fit into any cache
        words = pictures[i % len(pictures)].reshape(-1).view(np.uint64)
        middle = pictures[(i + len(pictures) // 2) % len(pictures)][16:2032, 216:2232]
        read.append(_ms(words.max))
        copied.append(_ms(partial(np.copyto, crop, middle)))
        product.append(_ms(partial(np.matmul, a, a, out=out)))
    return {
        "memory_read_ms": round(statistics.median(read), 3),
        "copy_crop_ms": round(statistics.median(copied), 3),
        "peak_gflops": round(2 * _SIDE**3 / min(product) / 1e6, 1),
        "gflop": {
            name: round(gflop(MODELS / f"{name}.onnx", _SHAPES[name]), 5) for name in _SHAPES
        },
    }


def gflop(model: Path, shape: tuple[int, ...]) -> float:
    """Multiplications and additions of all convolutions and matrix products, counted from the
    shapes that ONNX Runtime saw on one run; everything else is left out."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.enable_profiling = True
    options.log_severity_level = 3
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = ort.InferenceSession(str(model), options, ["CPUExecutionProvider"])
        session.run(None, {session.get_inputs()[0].name: np.zeros(shape, np.uint8)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    ran = [e["args"] for e in events if e.get("cat") == "Node" and "op_name" in e["args"]]
    return sum(_flop(args) for args in ran) / 1e9


def _flop(args: dict[str, Any]) -> int:
    if args["op_name"] not in ("Conv", "Gemm", "MatMul") or "input_type_shape" not in args:
        return 0
    given = [next(iter(each.values())) for each in args["input_type_shape"]]
    answer = next(iter(args["output_type_shape"][0].values()))
    # A convolution's weights are (out, in per group, height, width). A matrix product sums over
    # the last axis of its input; ONNX Runtime no longer names a matrix that it has rearranged.
    depth = math.prod(given[1][1:]) if args["op_name"] == "Conv" else given[0][-1]
    return 2 * math.prod(answer) * depth


def _ms(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1e3
