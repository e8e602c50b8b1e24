"""How far the zero that a rival learned lies from the one that it is judged by.

    python -m training.paper.zero [--slides 1]

The rivals in `training/baselines/trained` learned the former zero, the best focus of the absorption
(docs/decisions/0011). Their answers are moved by one number each: the median of answer less truth
over patches with content (W* above 0.8) within 3 um of focus, on slides of the calibration domain
that nothing here was trained on and nothing is judged on. That takes any constant error from a
rival, also one of its own, and so is never to its disadvantage; what differs from slide to slide
stays.
The numbers go into `zero.json` beside the weights, each with the digest of the weights that it
belongs to.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from edge.appliance.files import write_json
from edge.errors import SparseFocusError
from engines.engine import MODELS
from engines.manifest import EngineRejected
from simulator.slide import INFORMATIVE
from training.baselines.networks import BASELINES
from training.baselines.weights import TRAINED
from training.cases import CALIBRATION, NEAR_UM
from training.cluster import add_arguments
from training.paper.answers import SAME_TIME, Answers
from training.paper.judge import Job, judge

FILE = "zero.json"
SEED, PLANES, NEAR = 11, 1, 3  # one height anywhere, three near focus


def shifts(frames: Sequence[Answers]) -> dict[str, dict[str, float]]:
    """name -> `um`, what its answers lie above the truth, and of how many `patches`; 0 where no
    patch tells."""
    rows = {}
    for name in (SAME_TIME, *BASELINES):
        errors = [
            a.grid_um[name][a.richness > INFORMATIVE] - a.true_um
            for a in frames
            if abs(a.true_um) <= NEAR_UM
        ]
        together = np.concatenate(errors) if errors else np.empty(0)
        middle = float(np.median(together)) if len(together) else 0.0
        rows[name] = {"um": round(middle, 3), "patches": len(together)}
    return rows


def zeros(weights: Path) -> dict[str, float]:
    """name -> um to take from its answers. 0 where `zero.json` says nothing of these very weights.
    ValueError for a file that is something else."""
    path = weights / FILE
    kept = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known = {}
    for name in (SAME_TIME, *BASELINES):
        entry = kept.get(name, {}) if isinstance(kept, dict) else None
        if not isinstance(entry, dict):
            raise ValueError(f"{path}: {name} has no finite um")
        um = entry.get("um", 0.0)
        if not (isinstance(um, float | int) and math.isfinite(um)):
            raise ValueError(f"{path}: {name} has no finite um")
        same = isinstance(entry, dict) and entry.get("sha256") == _digest(weights, name)
        known[name] = float(um) if same else 0.0
    return known


def _digest(weights: Path, name: str) -> str:
    path = weights / f"{name}.pt"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def write(measured: Mapping[str, Mapping[str, float]], weights: Path) -> Path:
    """Into `zero.json` beside the weights."""
    path = weights / FILE
    rows = {name: {**each, "sha256": _digest(weights, name)} for name, each in measured.items()}
    write_json(rows, path)
    return path


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 = written, 2 = wrong use."""
    parser = argparse.ArgumentParser(
        prog="python -m training.paper.zero", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--slides", type=int, default=1, metavar="N", help="per group (1)")
    add("--weights", type=Path, default=TRAINED, metavar="DIR", help="the rivals' weights")
    add("--quiet", action="store_true")
    add_arguments(parser)
    options = parser.parse_args(arguments)
    if options.slides < 1:
        parser.error("--slides must be at least 1")
    cv2.setNumThreads(1)
    try:
        with tempfile.TemporaryDirectory() as folder:
            job = Job(Path(folder), MODELS, options.weights, options.slides, PLANES, SEED,
                      CALIBRATION, NEAR)  # fmt: skip
            frames = judge(job, options.workers, options.scheduler, options.quiet)
        measured = shifts(frames)
        path = write(measured, options.weights)
    except (EngineRejected, SparseFocusError, OSError, ValueError) as error:
        print(f"training.paper.zero: {error}", file=sys.stderr)
        return 2
    for name, each in measured.items():
        print(f"{name}: {each['um']:+.2f} um over {each['patches']} patches")
    print(f"written: {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
