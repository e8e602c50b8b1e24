"""Train one network from a pool: `python -m training.train dpn --pool P --minutes 35 --out D`.

Minutes are those of a core, not of the wall; of the wall with `--device cuda`, which trains a DPN
from as many pools as are named, their fields and batches on the accelerator (training.gpu_pool).
One thread, resumable, stops cleanly on SIGTERM. The schedule follows the share of the planned
minutes (or `--steps`) that is done. With `--steps` and a pool that stands still, an interrupted and
resumed run gives the same weights as one that ran through on a CPU: the batch of step i is drawn
from (seed, i) alone.
"""

from __future__ import annotations

import argparse
import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import torch
from torch import Tensor

from training.baselines.networks import BASELINES
from training.data_parallel import process_group
from training.gpu_pool import GpuPool
from training.malloc_tuning import keep_memory
from training.pool import Pool
from training.run import CPU, Run
from training.schedule import CURRICULUM, Schedule, read_crops

LOG_EVERY = 50  # steps


FEWEST_FIELDS, WAIT_S = 2000, 600.0  # a device waits for so many fields, at most so long


def train(run: Run, pool: Pool | GpuPool, out: Path, save_every_s: float = 120.0) -> bool:
    """Run to the end of the plan; False when SIGTERM ended it early (resume with --resume)."""
    stop: list[int] = []
    previous = signal.signal(signal.SIGTERM, lambda *_: stop.append(1))
    saved = time.monotonic()
    mean: Tensor | None = None
    first = run.group.rank == 0  # one of them writes
    while run.share < 1.0 and not run.group.anybody(bool(stop)):
        loss = run.advance(pool)
        mean = loss if mean is None else 0.98 * mean + 0.02 * loss
        if first and run.step % LOG_EVERY == 0:
            _log(run, float(mean), out)
        if first and time.monotonic() - saved > save_every_s:
            run.save(out / "checkpoint.pt")
            saved = time.monotonic()
    if first:
        run.save(out / "checkpoint.pt")
    signal.signal(signal.SIGTERM, previous)
    return not stop


def _log(run: Run, loss: float, out: Path) -> None:
    share = run.share
    left = run.seconds * (1.0 - share) / max(share, 1e-6)
    entry: dict[str, Any] = {
        "step": run.step,
        "samples": run.samples,
        "seconds": round(run.seconds, 1),
        "share": round(share, 4),
        "loss": round(loss, 4),
        "per_s": round(run.step * run.schedule.batch / max(run.seconds, 1e-6), 1),
        "left_s": round(left),
    }
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    print(
        f"step {run.step}: {share:.0%} done, {entry['left_s'] / 60:.0f} core min left, "
        f"loss {loss:.4f}, {entry['per_s']:.0f} samples/s",
        flush=True,
    )


def open_pools(folders: Sequence[Path], kind: str, device: torch.device) -> Pool | GpuPool:
    """The one pool that a core trains from, or all of them on a device as soon as enough has been
    rendered; SystemExit where that cannot be."""
    if device == CPU:
        if len(folders) > 1:
            raise SystemExit(f"--pool: a core trains from one pool, not {len(folders)}")
        return Pool.open(folders[0])
    if kind != "dpn":
        raise SystemExit(f"--device {device}: trains a dpn, no {kind}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit(f"--device {device}: PyTorch finds no such device")
    gpu_pool = GpuPool([Pool.open(folder) for folder in folders], device)
    wanted, start = min(FEWEST_FIELDS, gpu_pool.capacity), time.monotonic()
    while len(gpu_pool) < wanted:
        if time.monotonic() - start > WAIT_S:
            raise SystemExit(f"--pool: {len(gpu_pool)} of {wanted} fields after {WAIT_S:.0f} s")
        if not gpu_pool.refresh():
            time.sleep(0.05)
    return gpu_pool


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("dpn", "rin", *BASELINES))
    parser.add_argument("--pool", type=Path, nargs="+", required=True)
    parser.add_argument(
        "--device", default="cpu", help="cuda trains a DPN there, from several pools if named"
    )
    parser.add_argument(
        "--mixed-until", type=float, default=0.0, help="share of the run in bfloat16, on a device"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--batch", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--variant", choices=("bins", "regression"), default="bins")
    parser.add_argument("--crops", help="DPN, such as 0.5:128,1:224: until that share, that size")
    parser.add_argument("--muon-lr", type=float, default=5e-3)
    parser.add_argument("--adam-lr", type=float, default=2.5e-3)
    parser.add_argument(
        "--start", type=Path, help="begin with the weights of a checkpoint or of training/weights"
    )
    parser.add_argument("--resume", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_memory()
    options.out.mkdir(parents=True, exist_ok=True)
    group, device = process_group(), torch.device(options.device)
    torch.backends.cudnn.benchmark = True  # the shapes of a device's batches hardly change
    pool = open_pools(options.pool, options.kind, device)
    if options.resume:
        run = Run.load(options.out / "checkpoint.pt", group, device)
    else:
        batch = options.batch or {"rin": 8}.get(options.kind, 64)
        schedule = Schedule(options.kind, options.seed, options.minutes, options.steps, batch)
        schedule.variant = options.variant
        schedule.muon_lr, schedule.adam_lr = options.muon_lr, options.adam_lr
        schedule.crops = read_crops(options.crops) if options.crops else CURRICULUM
        schedule.mixed_until = options.mixed_until
        run = Run(schedule, group, device)
        if options.start:
            run.begin_from(options.start)
    train(run, pool, options.out)
    group.part()


if __name__ == "__main__":
    main()
