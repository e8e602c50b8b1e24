"""How much more several local processes do: frames rendered, frames measured, training samples.

python -m benchmarks.cluster_throughput [--most 2] [--slides 4] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from edge.appliance import cli
from training.fields import dpn_fields
from training.pool import Pool
from training.stack_render import Job
from training.stacks import fill

STEPS = 40


def rendered(folder: Path, slides: int, workers: int) -> float:
    """Frames per second into `folder`, the start of the workers left in."""
    begin = time.monotonic()
    frames = fill(folder, Job("calibration", 9, 1, False), ["clean"], slides, True, workers)
    return frames / (time.monotonic() - begin)


def measured(folder: Path, frames: int, workers: int) -> float:
    """Frames per second through both networks."""
    begin = time.monotonic()
    words = [str(folder / "manifest.csv"), "--workers", str(workers), "--quiet"]
    if cli.main(["evaluate", *words]) != 0:
        raise SystemExit("evaluate failed")
    return frames / (time.monotonic() - begin)


def trained(pool: Path, out: Path, processes: int) -> float:
    """Samples per second of the steady part of a short run."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node",
        str(processes), "-m", "training.train", "dpn", "--pool", str(pool), "--out", str(out),
        "--steps", str(STEPS), "--crops", "1:128",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    begin = time.monotonic()
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return STEPS * 64 / (time.monotonic() - begin)


def main() -> int:
    """0 = measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--most", type=int, default=os.cpu_count() or 1, help="workers")
    parser.add_argument("--slides", type=int, default=4, help="per group")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    record: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        pool = Pool.create(folder / "pool", 40, "dpn")
        import numpy as np

        for number, (image, label) in enumerate(dpn_fields(np.random.default_rng(1), heights=40)):
            pool.write(number, image, label)
        for workers in range(1, options.most + 1):
            made = folder / f"set-{workers}"
            row = {"rendered_per_s": rendered(made, options.slides, workers)}
            row["measured_per_s"] = measured(made, 6 * options.slides, workers)
            row["trained_samples_per_s"] = trained(pool.folder, folder / f"run-{workers}", workers)
            record[str(workers)] = {key: round(value, 2) for key, value in row.items()}
    machine.write(options.json, {"workers": record, "note": "the start of the processes counts"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
