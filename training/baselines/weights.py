"""The trained rivals as small files: averaged weights in half precision, and how they came about.

    python -m training.baselines.weights runs/jiang/checkpoint.pt ...

puts them into `training/baselines/trained/`, where `make paper` finds them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from edge.appliance.files import replacing
from training.baselines.networks import Baseline
from training.nets import DPN, RIN
from training.run import LATER_HEADS, Run
from training.schedule import Schedule

TRAINED = Path(__file__).parent / "trained"


def write(run: Run, path: Path) -> None:
    """Write the averaged weights of a run in one piece."""
    average = {
        name: value.half() if value.is_floating_point() else value
        for name, value in run.average.state_dict().items()
    }
    state = {
        "plan": asdict(run.schedule),
        "counters": [run.step, run.samples, run.seconds],
        "average": average,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file:
        torch.save(state, file)


def read(path: Path) -> Baseline | DPN:
    """The network, ready to answer; FileNotFoundError, or ValueError for a RIN's weights."""
    state = torch.load(path, weights_only=True)
    net = Run(Schedule(**state["plan"])).average
    if isinstance(net, RIN):
        raise ValueError(f"{path}: the weights of a RIN, which answers no distance")
    weights = {name: _single(value) for name, value in state["average"].items()}
    missing, unknown = net.load_state_dict(weights, strict=False)
    if unknown or any(not name.startswith(LATER_HEADS) for name in missing):
        raise ValueError(f"{path}: the weights of another network ({(unknown or missing)[0]})")
    return net.eval()


def facts(path: Path) -> dict[str, Any]:
    """How the weights came about: kind, samples seen, core minutes, parameters."""
    state = torch.load(path, weights_only=True)
    _, samples, seconds = state["counters"]
    sizes = (v.numel() for v in state["average"].values() if v.is_floating_point())
    return {
        "kind": state["plan"]["kind"],
        "samples": samples,
        "core_minutes": round(seconds / 60.0, 1),
        "parameters": sum(sizes),
    }


def _single(value: torch.Tensor) -> torch.Tensor:
    return value.float() if value.is_floating_point() else value


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(
        prog="python -m training.baselines.weights", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="CHECKPOINT")
    parser.add_argument("--out", type=Path, default=TRAINED, metavar="DIR")
    options = parser.parse_args(arguments)
    for checkpoint in options.checkpoints:
        run = Run.load(checkpoint)
        path = options.out / f"{run.schedule.kind}.pt"
        write(run, path)
        print(f"{path}: {path.stat().st_size} bytes, {facts(path)}")


if __name__ == "__main__":
    main()
