"""AN ESTIMATE, not a measurement: how long a frame should take on a Jetson, from counted work.

A roofline: each layer takes the longer of its arithmetic and its memory traffic, plus the start of
a kernel. Operations and bytes are counted from the shipped ONNX; what a GPU reaches of its peak is
assumed as a range, so the answer is a range. Measure with `sparsefocus selftest`.

python -m engines.latency_model [--board NAME] [--gpu-mhz MHZ] [--json FILE]

GPU clocks differ between power modes: `sudo nvpmodel -q` names the mode, --gpu-mhz takes its clock.
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
from engines.manifest import Manifest
from engines.plan import PROFILES

LABEL = "estimate from counted work, not measured"
FP16_BYTES = 2
FRAME_PX = 2448 * 2048
CROP_PX, SMALL_PX, PATCH_PX = 2016**2, 512**2, 224**2
#: share of a peak that is reached: worst and best assumed, for small layers as these
ARITHMETIC, MEMORY = (0.15, 0.45), (0.5, 0.8)
KERNEL_US = (6.0, 2.0)  # start and end of a kernel inside a graph
WAIT_US = (150.0, 40.0)  # launch of the graph, waking of the host


@dataclass(frozen=True, slots=True)
class Board:
    """A GPU by its data sheet. An Ampere tensor core does 256 fused multiply-adds of FP16 in a
    clock, a CUDA core 2."""

    name: str
    cuda_cores: int
    tensor_cores: int
    gpu_mhz: float  # highest
    memory_gb_s: float

    def operations_per_s(self, on_tensor_cores: bool, gpu_mhz: float | None = None) -> float:
        """Peak of FP16 operations; a multiply-add is two."""
        per_clock = 256 * self.tensor_cores if on_tensor_cores else 2 * self.cuda_cores
        return 2.0 * per_clock * (gpu_mhz or self.gpu_mhz) * 1e6


#: data sheets of the modules, 2022 to 2024
BOARDS = (
    Board("Orin Nano 8GB", 1024, 32, 625, 68),
    Board("Orin Nano 8GB Super", 1024, 32, 1020, 102),
    Board("Orin NX 16GB", 1024, 32, 918, 102.4),
    Board("AGX Orin 64GB", 2048, 64, 1300, 204.8),
)


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
    found = {}
    for stage, works in _stages(k, models):
        best, worst = (sum(w.ms(board, b, gpu_mhz) for w in works) for b in (True, False))
        found[stage] = best, worst
    found["launch and wait"] = WAIT_US[True] / 1e3, WAIT_US[False] / 1e3
    totals = [sum(each[i] for each in found.values()) for i in (0, 1)]
    return {**found, "total": (totals[0], totals[1])}


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
    """Lines for a person."""
    clock = gpu_mhz or board.gpu_mhz
    yield f"{board.name}, GPU at {clock:g} MHz, {board.memory_gb_s:g} GB/s: {LABEL}"
    sizes = PROFILES["dpn"]
    columns = [predict(board, k, models, gpu_mhz) for k in sizes]
    yield f"  {'ms':<18}" + "".join(f"{f'k = {k}':>16}" for k in sizes)
    for stage in columns[0]:
        cells = (f"{low:.2f} - {high:.2f}" for low, high in (each[stage] for each in columns))
        yield f"  {stage:<18}" + "".join(f"{cell:>16}" for cell in cells)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 0, or 2 for wrong use."""
    parser = argparse.ArgumentParser(prog="engines.latency_model", description=LABEL)
    parser.add_argument("--board", choices=[board.name for board in BOARDS])
    parser.add_argument("--gpu-mhz", type=float, metavar="MHZ", help="clock of the power mode")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    if options.gpu_mhz is not None and not 50 <= options.gpu_mhz <= 5000:
        parser.error(f"--gpu-mhz {options.gpu_mhz:g} must be from 50 to 5000")
    boards = [board for board in BOARDS if options.board in (None, board.name)]
    try:
        for board in boards:
            print("\n".join(table(board, options.models, options.gpu_mhz)))
        if options.json:
            told = {
                board.name: {
                    str(k): predict(board, k, options.models, options.gpu_mhz)
                    for k in PROFILES["dpn"]
                }
                for board in boards
            }
            options.json.write_text(json.dumps({"label": LABEL, "ms": told}, indent=1) + "\n")
    except (EngineRejected, OSError) as error:
        print(f"latency_model: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
