"""How far FP16 moves the answers of the shipped networks: an estimate on the CPU, without a GPU.

python -m benchmarks.half_precision [--json benchmarks/results/half_precision.json]

Two estimates on frames of the simulated microscope. "onnx": the FP16 ONNX that TensorRT 10.12 and
later is given, in ONNX Runtime, whose sums are float32. "torch": the same weights as PyTorch half,
every layer's result rounded to FP16, batch normalisation not folded: the harsher one. TensorRT's
own numbers are measured on the device, after each build.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import machine
from edge.camera import Frame, PixelFormat
from edge.measure.preprocess import GRID, MAX_PATCHES, CpuPreprocessor
from engines.build import fp16
from engines.engine import MODELS
from engines.gpu.plan import TYPED
from engines.manifest import Manifest
from engines.onnx_engine import OnnxEngine
from simulator.microscope import Microscope
from training.export import WEIGHTS
from training.nets import DENSITY_MEAN, DENSITY_SD, DPN, RIN

FIELDS = (
    ("tissue", "dense", (-24.0, -9.0, 0.5, 6.0, 18.0)),
    ("cell", "sparse", (-15.0, 3.0, 12.0, 24.0)),
    ("cell", "ex-sparse", (-5.0, 1.0, 20.0)),
    ("tissue", "sparse", (-20.0, -3.0, 9.0)),
    ("cell", "dense", (-12.0, 0.0, 15.0)),
)
CONTENT = 0.8
U8 = npt.NDArray[np.uint8]
F32 = npt.NDArray[np.float32]


def inputs(seed: int) -> list[tuple[U8, U8, F32]]:
    """Per frame: RIN's input, the 31 best patches and their importance."""
    rin, microscope, prepare = engine("rin"), Microscope(seed, workers=1), CpuPreprocessor()
    frames = []
    for number, (kind, sparsity, heights) in enumerate(FIELDS):
        truth = microscope.load_field(kind, sparsity, number)
        for defocus_um in heights:
            pixels = microscope.picture(truth.z_focus_um - defocus_um)
            ready = prepare(Frame(pixels, PixelFormat.RGB8, 0, 0, 0))
            importance = rin.infer(ready.small)[0].reshape(-1)
            best = np.argsort(-importance, kind="stable")[:MAX_PATCHES]
            patches = prepare.gather(ready, [divmod(int(cell), GRID) for cell in best])
            frames.append((ready.small.copy(), patches.copy(), importance[best]))
    return frames


def engine(name: str, data: bytes | None = None) -> OnnxEngine:
    """A shipped network on the CPU, or `data` in its place."""
    return OnnxEngine(Manifest.read(MODELS / f"{name}.json"), threads=1, data=data)


def torch_nets(name: str) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The shipped weights in float32 and in FP16."""
    state = torch.load(WEIGHTS / f"{name}.pt", weights_only=True)["average"]
    nets = []
    for _ in range(2):
        net: Any = DPN() if name == "dpn" else RIN()
        net.load_state_dict(state)
        if name == "rin":
            point = Manifest.read(MODELS / "rin.json").training["operating_point"]
            net.shift_logits(math.log(4.0) - math.log(point / (1.0 - point)))
        nets.append(net.eval())
    return nets[0], nets[1].half()


def torch_answer(net: torch.nn.Module, image: U8, dtype: torch.dtype) -> F32:
    """First output, from optical density computed in `dtype`."""
    density = -torch.log((torch.from_numpy(image).to(dtype) + 1.0) / 256.0)
    with torch.no_grad():
        answer = net((density - DENSITY_MEAN) / DENSITY_SD)
    first = answer[0] if isinstance(answer, tuple) else answer
    return first.float().numpy().reshape(-1)


def summary(difference: F32) -> dict[str, float]:
    """Count, median, 99th percentile and maximum."""
    return {
        "count": int(difference.size),
        "median": float(f"{np.median(difference):.3g}"),
        "p99": float(f"{np.quantile(difference, 0.99):.3g}"),
        "max": float(f"{difference.max():.3g}"),
    }


def measure(seed: int) -> dict[str, Any]:
    """Differences between FP16 and float32, by estimate and by kind of patch."""
    frames = inputs(seed)
    importance = np.concatenate([frame[2] for frame in frames])
    single = [engine("dpn").infer(frame[1]) for frame in frames]
    spread = np.concatenate([answer[1] for answer in single])
    kinds = {
        "content, spread < 3 um": (importance > CONTENT) & (spread < 3.0),
        "content": importance > CONTENT,
        "all": np.ones(importance.size, bool),
    }
    rows: dict[str, Any] = {}
    for name, place in (("rin", 0), ("dpn", 1)):
        model = Manifest.read(MODELS / f"{name}.json")
        onnx = engine(name, fp16.prepare(model.model_bytes(), TYPED))
        plain, halved = torch_nets(name)
        estimates: dict[str, list[F32]] = {"onnx": [], "torch": []}
        for frame in frames:
            image = frame[place]
            want = engine(name).infer(image)[0].reshape(-1)
            estimates["onnx"].append(np.abs(onnx.infer(image)[0].reshape(-1) - want))
            both = (
                torch_answer(net, image, dtype)
                for net, dtype in ((plain, torch.float32), (halved, torch.float16))
            )
            estimates["torch"].append(np.abs(np.subtract(*both)))
        for estimate, parts in estimates.items():
            difference = np.concatenate(parts)
            chosen = kinds if name == "dpn" else {"all": np.ones(difference.size, bool)}
            for kind, mask in chosen.items():
                rows[f"{name}, {estimate}, {kind}"] = summary(difference[mask])
    return {"unit": {"rin": "importance", "dpn": "um of defocus"}, "differences": rows}


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    machine.write(options.json, measure(options.seed))


if __name__ == "__main__":
    main()
