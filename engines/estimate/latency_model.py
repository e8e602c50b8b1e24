"""AN ESTIMATE, not a measurement: how long a frame should take on a Jetson, from counted work.

A roofline: each layer takes the longer of its arithmetic and its memory traffic, plus the start of
a kernel. Operations and bytes are counted from the shipped ONNX; what a GPU reaches of its peak is
assumed as a range, so the answer is a range. Measure with `sparsefocus selftest`.

sparsefocus bench --predict [--board NAME] [--power-mode MODE] [--gpu-mhz MHZ] [--json FILE]

The same without the bench's packages: python -m engines.estimate.latency_model. `sudo nvpmodel -q`
names the mode a board is in; --gpu-mhz takes another clock than the mode's.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from engines.engine import MODELS
from engines.errors import EngineRejected
from engines.estimate.boards import NAMES, Board, chosen
from engines.gpu.plan import PROFILES
from engines.manifest import Manifest
from engines.whole_file import replace_file

LABEL = "estimate from counted work, not measured"
FP16_BYTES = 2
FRAME_PX = 2448 * 2048
CROP_PX, SMALL_PX, PATCH_PX = 2016**2, 512**2, 224**2
#: share of a peak that is reached: worst and best assumed, for small layers as these
ARITHMETIC, MEMORY = (0.15, 0.45), (0.5, 0.8)
KERNEL_US = (6.0, 2.0)  # start and end of a kernel inside a graph
WAIT_US = (150.0, 40.0)  # launch of the graph, waking of the host


@dataclass(frozen=True, slots=True)
class Work:
    """What one kernel has to do."""

    operations: float
    bytes: float
    on_tensor_cores: bool = False

    def ms(self, board: Board, best: bool, gpu_mhz: float | None = None) -> float:
        """The roofline, at the best or worst assumed shares."""
        peak = board.operations_per_s(self.on_tensor_cores, gpu_mhz) * ARITHMETIC[best]
        traffic = board.memory_gb_s * 1e9 * MEMORY[best]
        return 1e3 * max(self.operations / peak, self.bytes / traffic) + KERNEL_US[best] / 1e3


def work_of(manifest: Manifest, k: int) -> list[Work]:
    """The layers of a network on `k` inputs. EngineRejected without the package onnx.

    Convolutions and products count; what is done to each of their outputs is taken to be fused
    into them, an addition of two pictures costs reading the second.
    """
    graph = _shaped(manifest, k)
    shapes = {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    shapes |= {each.name: tuple(each.dims) for each in graph.initializer}
    constant = {each.name for each in graph.initializer}
    return [work for node in graph.node for work in _layer(node, shapes, constant)]


def predict(
    board: Board, k: int, models: Path = MODELS, gpu_mhz: float | None = None
) -> dict[str, tuple[float, float]]:
    """(least, most) ms by stage of an RGB8 frame with `k` patches, and their total."""
    predictions = {}
    for stage, works in _stages(k, models):
        best, worst = (sum(w.ms(board, b, gpu_mhz) for w in works) for b in (True, False))
        predictions[stage] = best, worst
    predictions["launch and wait"] = WAIT_US[True] / 1e3, WAIT_US[False] / 1e3
    totals = [sum(each[i] for each in predictions.values()) for i in (0, 1)]
    return {**predictions, "total": (totals[0], totals[1])}


def _stages(k: int, models: Path) -> Iterator[tuple[str, list[Work]]]:
    frame, patches = 3 * FRAME_PX, 3 * k * PATCH_PX
    # by the host into pinned memory, then to the GPU: read and written each time
    yield "copy", [Work(0, 2 * frame), Work(0, 2 * frame)]
    # 16 pixels of 3 colours a pixel, two steps of integer arithmetic
    yield "preprocess", [Work(SMALL_PX * 16 * 3 * 4, 3 * (CROP_PX + SMALL_PX))]
    yield "rin", work_of(Manifest.read(models / "rin.json"), 1)
    yield "select", [Work(81 * 81 * 8, 1000)]
    yield "gather", [Work(patches * 4, 2 * patches)]
    yield "dpn", work_of(Manifest.read(models / "dpn.json"), k)
    yield "aggregate", [Work(31 * 31 * 8, 15000)]


def _layer(node: Any, shapes: dict[str, tuple[int, ...]], constant: set[str]) -> Iterator[Work]:
    given = [shapes.get(name, ()) for name in node.input]
    made = shapes.get(node.output[0], ())
    if node.op_type in ("Conv", "Gemm", "MatMul"):
        weights = given[1]
        # (out, in / groups, h, w) or, of a product, the length that is summed over
        each = prod(weights[1:]) if node.op_type == "Conv" else given[0][-1]
        moved = prod(given[0]) + prod(weights) + prod(made)
        # one input channel a group leaves tensor cores nothing to do
        dense = node.op_type != "Conv" or weights[1] > 1
        yield Work(2.0 * prod(made) * each, float(FP16_BYTES * moved), dense)
    elif node.op_type.startswith("Reduce"):
        yield Work(float(prod(given[0])), float(FP16_BYTES * (prod(given[0]) + prod(made))))
    elif node.op_type == "Add" and not constant & set(node.input) and len(made) == 4:
        yield Work(float(prod(made)), float(FP16_BYTES * prod(made)))


def _shaped(manifest: Manifest, k: int) -> Any:
    """The graph with all shapes known for a batch of `k`."""
    try:
        onnx = importlib.import_module("onnx")
        inference = importlib.import_module("onnx.shape_inference")
    except ImportError as error:
        raise EngineRejected("counting a network's work needs the package onnx") from error
    model = onnx.load_from_string(manifest.model_bytes())
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = k
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return inference.infer_shapes(model, data_prop=True).graph


def table(board: Board, models: Path = MODELS, gpu_mhz: float | None = None) -> Iterator[str]:
    """Lines for a person: every stage of one board in one mode."""
    clock = gpu_mhz or board.gpu_mhz
    mode = f" {board.mode}" if board.mode else ""
    yield f"{board.name}{mode}, GPU at {clock:g} MHz, {board.memory_gb_s:g} GB/s: {LABEL}"
    sizes = PROFILES["dpn"]
    columns = [predict(board, k, models, gpu_mhz) for k in sizes]
    yield f"  {'ms':<18}" + "".join(f"{f'k = {k}':>16}" for k in sizes)
    for stage in columns[0]:
        yield f"  {stage:<18}" + "".join(f"{_span(each[stage]):>16}" for each in columns)


def totals(boards: Sequence[Board], models: Path = MODELS) -> Iterator[str]:
    """Lines for a person: the whole frame on each board in each mode."""
    yield f"A frame, ms: {LABEL}"
    sizes = PROFILES["dpn"]
    yield f"{'':<22}{'mode':<12}{'GPU MHz':>8}{'GB/s':>7}" + "".join(
        f"{f'k = {k}':>16}" for k in sizes
    )
    for board in boards:
        spans = (_span(predict(board, k, models)["total"]) for k in sizes)
        yield (
            f"{board.name:<22}{board.mode:<12}{board.gpu_mhz:>8g}{board.memory_gb_s:>7g}"
            + "".join(f"{span:>16}" for span in spans)
        )


def _span(ms: tuple[float, float]) -> str:
    return f"{ms[0]:.2f} - {ms[1]:.2f}"


def as_json(
    boards: Sequence[Board], models: Path = MODELS, gpu_mhz: float | None = None
) -> dict[str, Any]:
    """Label, assumptions, and per board, mode and k the least and most ms of every stage."""
    rows = [
        {
            "board": board.name,
            "mode": board.mode,
            "gpu_mhz": gpu_mhz or board.gpu_mhz,
            "memory_gb_s": board.memory_gb_s,
            "ms": {str(k): predict(board, k, models, gpu_mhz) for k in PROFILES["dpn"]},
        }
        for board in boards
    ]
    assumed = {
        "share_of_peak_arithmetic": ARITHMETIC,
        "share_of_peak_memory": MEMORY,
        "us_per_kernel": KERNEL_US[::-1],
        "us_launch_and_wait": WAIT_US[::-1],
    }
    return {"label": LABEL, "assumed": assumed, "boards": rows}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to predict for."""
    parser.add_argument("--board", choices=NAMES, help="every stage of this one")
    parser.add_argument("--power-mode", metavar="MODE", help="of nvpmodel, such as 15W")
    parser.add_argument(
        "--gpu-mhz", type=float, metavar="MHZ", help="another clock than the mode's"
    )


def report(options: argparse.Namespace, models: Path = MODELS) -> tuple[str, dict[str, Any]]:
    """Text and JSON for the options of `add_arguments`.

    ValueError for a mode or clock that cannot be, EngineRejected without the package onnx.
    """
    mhz = options.gpu_mhz
    if mhz is not None and not 50 <= mhz <= 5000:
        raise ValueError(f"--gpu-mhz {mhz:g} must be from 50 to 5000")
    boards = chosen(options.board, options.power_mode)
    if options.board is None and mhz is None:
        lines = list(totals(boards, models))
    else:
        lines = [line for board in boards for line in table(board, models, mhz)]
    return "\n".join(lines), as_json(boards, models, mhz)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 0, or 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="engines.estimate.latency_model", description=LABEL)
    add_arguments(parser)
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        text, numbers = report(options, options.models)
        print(text)
        if options.json:
            replace_file(options.json, json.dumps(numbers, indent=1) + "\n")
    except (EngineRejected, OSError, ValueError) as error:
        print(f"latency_model: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
