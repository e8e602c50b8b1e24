"""Ways to run the two networks, in turn on the same patches: docs/speed.md was chosen by this.

`ms`: median, least and 99 % by way and by input (rin; dpn with k patches). `differs`: the largest
distance from ONNX Runtime on the whole file: importance, um of a patch, um of a frame's median.
OpenVINO takes part where it is installed (pip install openvino); the product does not use it.

python -m benchmarks.network_ways [--repeats 40] [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import machine
from edge.camera import Frame, PixelFormat
from edge.measure.preprocess import GRID, CpuPreprocessor
from engines.engine import MODELS
from engines.manifest import Manifest
from engines.onnx_engine import OnnxEngine
from engines.onnx_runtime import ort
from engines.openvino_runtime import import_openvino
from engines.pixel_table import split
from simulator.bench.frames import render

KS = (3, 9, 31)
Infer = Callable[[Any], Any]
Networks = Mapping[str, Infer]  # "rin" and "dpn": uint8 batch -> outputs


def plain(threads: int, spin: bool) -> Networks:
    """ONNX Runtime on the whole file, a batch at once."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spin)))
    return {
        name: _session((MODELS / f"{name}.onnx").read_bytes(), options) for name in ("rin", "dpn")
    }


def looked_up(threads: int) -> Networks:
    """The same with the table, still a batch at once."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    networks = {}
    for name in ("rin", "dpn"):
        parts = split((MODELS / f"{name}.onnx").read_bytes())
        assert parts is not None
        networks[name] = _after_table(_session(parts.model, options), parts.table)
    return networks


def shipped(threads: int) -> Networks:
    """What the loop uses."""
    manifests = {name: Manifest.read(MODELS / f"{name}.json") for name in ("rin", "dpn")}
    return {name: OnnxEngine(each, threads).infer for name, each in manifests.items()}


def openvino(threads: int, precision: str, table: bool) -> Networks:
    """OpenVINO with fixed shapes, one stream."""
    ov = import_openvino()

    core, networks = ov.Core(), {}
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    for name, counts in (("rin", (1,)), ("dpn", KS)):
        data = (MODELS / f"{name}.onnx").read_bytes()
        parts = split(data)
        assert parts is not None
        by_count = {}
        for count in counts:
            model = core.read_model(parts.model if table else data)
            model.reshape([count, *model.input().partial_shape.get_max_shape()[1:]])
            by_count[count] = _request(core.compile_model(model, "CPU", settings))
        infer = lambda batch, by_count=by_count: by_count[len(batch)](batch)  # noqa: E731
        networks[name] = _after_table(infer, parts.table) if table else infer
    return networks


def _session(data: bytes, options: ort.SessionOptions) -> Infer:
    session = ort.InferenceSession(data, options, ["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda batch: session.run(None, {name: batch})


def _request(compiled: Any) -> Infer:
    request, count = compiled.create_infer_request(), len(compiled.outputs)

    def infer(batch: Any) -> Any:
        request.infer([batch], share_inputs=True)
        return [request.get_output_tensor(i).data.copy() for i in range(count)]

    return infer


def _after_table(infer: Infer, table: Any) -> Infer:
    values = np.empty(1, np.float32)

    def looked(batch: Any) -> Any:
        nonlocal values
        if values.shape != batch.shape:
            values = np.empty(batch.shape, np.float32)
        rows = batch.reshape(-1, batch.shape[2] * batch.shape[3])
        cv2.LUT(rows, table, dst=values.reshape(rows.shape))
        return infer(values)

    return looked


def inputs(seed: int) -> list[dict[str, Any]]:
    """For each rendered frame: the RIN's picture, and the 31 most important patches."""
    rin = OnnxEngine(Manifest.read(MODELS / "rin.json"), 1)
    frames_of = []
    for picture in render(seed).all:
        preprocess = CpuPreprocessor()
        patches = preprocess(Frame(picture, PixelFormat.RGB8, 0, 0, 0))
        scores = rin.infer(patches.small)[0].reshape(-1)
        cells = [(int(i) // GRID, int(i) % GRID) for i in np.argsort(-scores)[: KS[-1]]]
        best = preprocess.gather(patches, cells).copy()
        frames_of.append({"rin": patches.small.copy(), **{f"dpn {k}": best[:k].copy() for k in KS}})
    return frames_of


def differences(
    networks: Networks, reference: Networks, frames: list[dict[str, Any]]
) -> dict[str, float]:
    """Over all frames; um of patches and medians at k = 9 (the surest) and of all 31."""
    worst: dict[str, float] = defaultdict(float)
    for frame in frames:
        largest = float(
            np.abs(networks["rin"](frame["rin"])[0] - reference["rin"](frame["rin"])[0]).max()
        )
        worst["importance"] = max(worst["importance"], largest)
        for k in (9, 31):
            ours, theirs = (np.ravel(w["dpn"](frame[f"dpn {k}"])[0]) for w in (networks, reference))
            patch, median = np.abs(ours - theirs).max(), abs(np.median(ours) - np.median(theirs))
            worst[f"patch, k = {k}"] = max(worst[f"patch, k = {k}"], float(patch))
            worst[f"median, k = {k}"] = max(worst[f"median, k = {k}"], float(median))
    return {name: round(value, 6) for name, value in worst.items()}


def measure(
    variants: Mapping[str, Networks], frames: list[dict[str, Any]], repeats: int
) -> dict[str, Any]:
    """Milliseconds of each way on each input, in turn."""
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(-2, repeats):
        for key, batch in frames[number % len(frames)].items():
            for name, networks in variants.items():
                start = time.perf_counter()
                networks[key.split()[0]](batch)
                if number >= 0:
                    times[name, key].append((time.perf_counter() - start) * 1e3)
    return {
        name: {
            key: {
                "p50": round(statistics.median(times[name, key]), 2),
                "least": round(min(times[name, key]), 2),
                "p99": round(float(np.quantile(times[name, key], 0.99)), 2),
            }
            for key in frames[0]
        }
        for name in variants
    }


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    count = options.threads
    variants = {
        "whole file, 1 thread": plain(1, spin=False),
        f"whole file, {count} threads": plain(count, spin=False),
        f"whole file, {count} threads that spin": plain(count, spin=True),
        "table, 1 thread": looked_up(1),
        f"table, {count} threads": looked_up(count),
        "shipped, 1 thread": shipped(1),
        f"shipped, {count} threads": shipped(count),
    }
    if importlib.util.find_spec("openvino"):
        for threads in (1, count):
            for precision in ("f32", "bf16"):
                name = f"OpenVINO {precision}, {threads} threads"
                variants[name] = openvino(threads, precision, table=False)
                variants[f"{name}, table"] = openvino(threads, precision, table=True)
    frames = inputs(options.seed)
    reference = variants["whole file, 1 thread"]
    numbers = {
        "ms": measure(variants, frames, options.repeats),
        "differs": {
            name: differences(networks, reference, frames) for name, networks in variants.items()
        },
    }
    machine.write(options.json, numbers)


if __name__ == "__main__":
    main()
