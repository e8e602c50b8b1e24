"""Measure the paper's tables and figures on fresh slides: `python -m training.paper --out DIR`.

Renders the test slides, lets every method answer on the same frames, climbs hills on a few
fields, and writes one page. Answers are kept in DIR/answers, by what was asked and who answered: a
run that was broken off goes on, and no model is judged by another's answers.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge.appliance.config.config_file import read_config
from edge.appliance.evaluate.metrics import PAPER_DOF_UM, tables
from edge.appliance.machine import description
from edge.errors import SparseFocusError
from engines.engine import MODELS
from engines.manifest import EngineRejected, Manifest
from simulator.bench.climb import Climb
from simulator.closed_loop import RANGE_UM, Scenario, SimulatedInstrument
from simulator.simulate_verb import NOMINAL
from training.baselines.networks import BASELINES
from training.baselines.weights import TRAINED, facts
from training.cluster import add_arguments
from training.paper import climbing
from training.paper.answers import SAME_TIME
from training.paper.choose import NAMES, OURS, OURS_SAME_TIME, ablated, compared
from training.paper.judge import Job, judge
from training.paper.page import Findings, write
from training.paper.published import GROUPS
from training.paper.zero import zeros


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; 0 = done, 2 = wrong use."""
    options = _options(arguments)
    begin = time.monotonic()
    try:
        folder = options.out / "answers" / asked(options)
        job = Job(folder, options.models, options.weights, options.slides, options.planes,
                  options.seed)  # fmt: skip
        frames = judge(job, options.workers, options.scheduler, options.quiet)
        climbs = climb(options.climb_fields, options.seed, options.quiet)
        moved = zeros(options.weights)
        trained = {
            name: {**facts(options.weights / f"{file}.pt"), "zero_um": moved[file]}
            for name, file in _files().items()
        }
    except (EngineRejected, SparseFocusError, OSError, ValueError) as error:
        print(f"training.paper: {error}", file=sys.stderr)
        return 2
    rows = compared(frames, moved)
    findings = Findings(
        rows, tables(rows, PAPER_DOF_UM), tables(ablated(frames), PAPER_DOF_UM), climbs,
        {OURS: _shipped(options), **trained}, PAPER_DOF_UM,
        _facts(options, len(frames), time.monotonic() - begin),
    )  # fmt: skip
    print(f"page: {write(findings, options.out)}")
    return 0


def asked(options: argparse.Namespace) -> str:
    """What names the answers: a digest of the slides' seed, the heights and every network."""
    digest = hashlib.sha256(f"{options.seed} {options.planes}".encode())
    manifests = (options.models / f"{name}.json" for name in ("rin", "dpn"))  # these pin the ONNX
    weights = (options.weights / f"{name}.pt" for name in (SAME_TIME, *BASELINES))
    for file in (*manifests, *weights):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def climb(fields: int, seed: int, quiet: bool) -> Mapping[str, Sequence[Climb]]:
    """Hill climbing and our loop on `fields` fields, the groups in turn."""
    if not fields:
        return {}
    rng = np.random.default_rng([seed, 7])
    scenarios = []
    for number in range(fields):
        kind, _, sparsity = GROUPS[number % len(GROUPS)].rpartition(" ")
        sign = rng.choice((-1.0, 1.0))
        scenarios.append(Scenario(number, kind, sparsity, float(sign * rng.uniform(5.0, RANGE_UM))))
    with SimulatedInstrument(read_config(NOMINAL), seed, dirt=0.0) as instrument:
        return climbing.compare(instrument, scenarios, quiet)


def _files() -> dict[str, str]:
    return {OURS_SAME_TIME: SAME_TIME, **{NAMES[name]: name for name in BASELINES}}


def _shipped(options: argparse.Namespace) -> dict[str, Any]:
    training = Manifest.read(options.models / "dpn.json").training
    return {
        "samples": training.get("samples", 0),
        "core_minutes": training.get("minutes", 0.0),
        "parameters": facts(options.weights / f"{SAME_TIME}.pt")["parameters"],
    }


def _facts(options: argparse.Namespace, frames: int, seconds: float) -> dict[str, str]:
    here = description()
    return {
        "slides": f"{options.slides} per group, {options.planes} heights within ±{RANGE_UM:g} µm "
        f"each, {frames} frames of 2448 x 2048, test set “clean”, seed {options.seed}",
        "95 % ranges": "slides drawn again 2000 times, not frames",
        "command": "python -m training.paper " + " ".join(sys.argv[1:]),
        "took": f"{seconds / 60.0:.0f} minutes (what was kept from an earlier run not counted)",
        "machine": ", ".join(f"{k} {v}" for k, v in here.items() if k != "load_average"),
    }


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.paper", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--out", type=Path, default=Path("report/paper"), metavar="DIR")
    add("--slides", type=int, default=30, metavar="N", help="per group (30)")
    add("--planes", type=int, default=2, metavar="N", help="heights per slide (2)")
    add("--climb-fields", type=int, default=6, metavar="N", help="fields for hill climbing (6)")
    add("--seed", type=int, default=1)
    add_arguments(parser)
    add("--models", type=Path, default=MODELS, metavar="DIR", help="rin.json and dpn.json")
    add("--weights", type=Path, default=TRAINED, metavar="DIR", help="the rivals' weights")
    add("--quiet", action="store_true")
    options = parser.parse_args(arguments)
    for name, least in (("slides", 1), ("planes", 1), ("climb_fields", 0)):
        if getattr(options, name) < least:
            parser.error(f"--{name.replace('_', '-')} must be at least {least}")
    cv2.setNumThreads(1)
    return options


if __name__ == "__main__":
    sys.exit(main())
