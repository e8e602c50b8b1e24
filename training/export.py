"""Checkpoint to ONNX and manifest: `python -m training.export runs/dpn/checkpoint.pt`.

The averaged weights are exported in float32 (opset 17), compared with PyTorch in ONNX Runtime
and put into place with a manifest that names how they were trained and what they scored.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edge.appliance.files import put_in_place
from edge.measure.preprocess import PAPER, PatchGrid
from engines.engine import MODELS
from engines.manifest import NOMINAL_OPTICS, Input, Manifest, Optics, Output
from engines.onnx_runtime import ort
from training.nets import DPN, RIN
from training.run import Run

INPUTS = {
    "rin": Input("image", (1, 512, 512, 3)),
    "dpn": Input("patches", ("k", 224, 224, 3)),
}
OUTPUTS = {
    "dpn": (
        Output("defocus_um", ("k",), "um"),
        Output("spread_um", ("k",), "um"),
        Output("optics", ("k", 4), "W040 waves, sd, axial colour um, sd"),
        Output("novelty", ("k",), "1"),
        Output("colour_order", ("k",), "log of the odds that red and blue are right"),
    ),
}
#: averaged weights of what ships, to go on training from
WEIGHTS = Path(__file__).parent / "weights"
MAX_GRID = 32  # of the feature map
SIMULATED = "simulated slides, drawn afresh during training"
#: largest difference to PyTorch that passes, in the output's unit
TOLERANCE = {"rin": 1e-3, "dpn": 5e-3}


def outputs(net: nn.Module, kind: str) -> tuple[Output, ...]:
    """What the exported file answers; a RIN's depends on its grid."""
    if isinstance(net, RIN):
        grid = len(net.pool_rows), len(net.pool_columns)
        return (Output("importance", (1, *grid), "1"),)
    return OUTPUTS[kind]


def input_of(kind: str, grid: PatchGrid = PAPER) -> Input:
    """What the exported file takes."""
    given = INPUTS[kind]
    return replace(given, shape=(1, *grid.small_px, 3)) if kind == "rin" else given


def to_onnx(net: nn.Module, kind: str, path: Path, grid: PatchGrid = PAPER) -> float:
    """Write `net` as ONNX; returns the largest difference to PyTorch on random pictures.

    Raises ValueError when that difference is above TOLERANCE.
    """
    shape = [4 if d == "k" else int(d) for d in input_of(kind, grid).shape]
    image = torch.from_numpy(_pictures(tuple(shape)))
    net.eval().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    names = [output.name for output in outputs(net, kind)]
    name = INPUTS[kind].name
    free = {n: {0: "k"} for n in (name, *names)} if kind == "dpn" else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracing exporter announces its own retirement
        torch.onnx.export(
            net, (image,), str(path), opset_version=17, dynamo=False,
            input_names=[name], output_names=names, dynamic_axes=free,
        )  # fmt: skip
    difference = _difference(net, kind, path, image)
    if not difference <= TOLERANCE[kind]:
        raise ValueError(f"{path}: ONNX Runtime differs from PyTorch by {difference}")
    return difference


def _pictures(shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (shape[0], shape[1] // 8, shape[2] // 8, 3))
    smooth = coarse.repeat(8, axis=1).repeat(8, axis=2)
    return np.asarray(np.clip(smooth + rng.integers(-8, 9, shape), 0, 255), np.uint8)


def _difference(net: nn.Module, kind: str, path: Path, image: torch.Tensor) -> float:
    session = ort.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    worst = 0.0
    for count in (1, 3, 4) if kind == "dpn" else (1,):
        with torch.no_grad():
            want = net(image[:count])
        want = want if isinstance(want, tuple) else (want,)
        got = session.run(None, {INPUTS[kind].name: image[:count].numpy()})
        for a, b in zip(got, want, strict=True):
            worst = max(worst, float(np.abs(a - b.numpy()).max()))
    return worst


def export(
    run: Run,
    folder: Path = MODELS,
    accuracy: dict[str, Any] | None = None,
    calibration: dict[str, Any] | None = None,
    operating_point: float = 0.8,
    data: str = SIMULATED,
    optics: Optics = NOMINAL_OPTICS,
    grid: PatchGrid = PAPER,
) -> Manifest:
    """Write `<kind>.onnx` and `<kind>.json` into `folder`, each in one piece.

    `operating_point` (RIN only) is the raw importance that is moved to the runtime's threshold
    0.8 by a shift of the last bias; the ranking of the patches stays. `optics` and `grid`: of
    the instrument that it is for. Raises ValueError when `accuracy` names another file's hash:
    numbers stay with their model.
    """
    kind = run.schedule.kind
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(run.average, RIN):
        shift = math.log(4.0) - math.log(operating_point / (1.0 - operating_point))
        run.average.shift_logits(shift)
    part = folder / f".{kind}.onnx.part"
    difference = to_onnx(run.average, kind, part, grid)
    facts = {
        "samples": run.samples,
        "steps": run.step,
        "minutes": round(run.seconds / 60.0 + run.schedule.earlier_minutes, 1),
        "seed": run.schedule.seed,
        "head": run.schedule.variant if kind == "dpn" else "sigmoid",
        **({"operating_point": operating_point} if kind == "rin" else {}),
        "data": data,
        "onnx_minus_torch_max": float(f"{difference:.2g}"),
        "torch": torch.__version__,
    }
    digest = hashlib.sha256(part.read_bytes()).hexdigest()
    if accuracy and accuracy.get("sha256", digest) != digest:
        part.unlink()
        raise ValueError(f"the accuracy given belongs to model {accuracy['sha256'][:12]}...")
    manifest = Manifest(
        name=kind,
        file=f"{kind}.onnx",
        sha256=digest,
        inputs=(input_of(kind, grid),),
        outputs=outputs(run.average, kind),
        optics=optics,
        preprocessing=grid.preprocessing,
        calibration=calibration or {},
        accuracy=accuracy or {},
        training=facts,
        folder=folder,
    )
    put_in_place(part, folder / f"{kind}.onnx")
    manifest.write(folder / f"{kind}.json")
    return Manifest.read(folder / f"{kind}.json")


def regrid(net: RIN, grid: str) -> None:
    """Give a trained RIN another grid, "RxC" with 1..32 each; SystemExit for anything else."""
    parts = grid.lower().split("x")
    if len(parts) != 2 or not all(p.isdigit() and 1 <= int(p) <= MAX_GRID for p in parts):
        raise SystemExit(f"--grid {grid}: expected ROWSxCOLUMNS, each 1..{MAX_GRID}, such as 9x9")
    net.take_shape(PAPER.small_px, (int(parts[0]), int(parts[1])))


def set_depth_share(run: Run, share: float) -> None:
    """Give a trained DPN its `depth_share`; SystemExit for another network or a share not 0..2."""
    if not isinstance(run.average, DPN) or not 0.0 <= share <= 2.0:
        raise SystemExit(f"--depth-share {share:g}: a DPN takes 0 to 2")
    run.average.depth_share.fill_(share)


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--folder", type=Path, default=MODELS)
    parser.add_argument("--accuracy", type=Path, help="JSON that training.evaluate wrote")
    parser.add_argument("--operating-point", type=float, default=0.8, help="RIN; see export")
    parser.add_argument("--depth-share", type=float, help="DPN; see training.nets.DPN")
    parser.add_argument("--grid", default="9x9", help="RIN: rows x columns of patches")
    parser.add_argument("--data", default=SIMULATED, help="what it was trained on, in words")
    parser.add_argument("--weights", action="store_true", help=f"keep the weights in {WEIGHTS}")
    options = parser.parse_args()
    torch.set_num_threads(1)
    run = Run.load(options.checkpoint)
    if options.depth_share is not None:
        set_depth_share(run, options.depth_share)
    if options.weights:
        run.save_weights(WEIGHTS / f"{run.schedule.kind}.pt")
    if isinstance(run.average, RIN):
        regrid(run.average, options.grid)
    accuracy = json.loads(options.accuracy.read_text("utf-8")) if options.accuracy else {}
    manifest = export(run, options.folder, accuracy, None, options.operating_point, options.data)
    size = (options.folder / manifest.file).stat().st_size
    print(f"{options.folder / manifest.file}: {size} bytes, {manifest.training}")


if __name__ == "__main__":
    main()
