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
import copy
import itertools
import json
import math
import signal
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edge.appliance.files import replacing
from training.augment import BATCHES
from training.baselines.networks import BASELINES, Baseline, grey_table
from training.data_parallel import Alone, ProcessGroup, process_group, shared_state
from training.gpu_pool import GpuPool
from training.heads import Bins
from training.labels import FIELD_PX
from training.malloc_tuning import keep_memory
from training.muon import Muon, split_parameters
from training.nets import DPN, RIN, build, density_table
from training.pool import Pool

#: until this share of the run, this crop: small pictures first are cheap samples
CURRICULUM = ((0.40, 96), (0.80, 128), (1.01, 224))
LOG_EVERY = 50  # steps
FEWEST_FIELDS, WAIT_S = 2000, 600.0  # a device waits for so many fields, at most so long
LATER_HEADS = (
    "optics.",
    "novelty.",
    "thickness.",
    "depth_share",
)  # of a DPN; older weights lack them
OPTICS_SHARE = 1.0  # of the optics' likelihood in the loss
THICKNESS_SHARE = 0.5  # of the thickness'


@dataclass
class Plan:
    """What a run is; kept in its checkpoint."""

    kind: str
    seed: int = 0
    minutes: float = 0.0
    steps: int = 0  # instead of minutes when above 0
    batch: int = 64
    variant: str = "bins"
    muon_lr: float = 5e-3
    adam_lr: float = 2.5e-3
    warm_up: float = 0.02  # share of the run
    ema: float = 0.998
    earlier_minutes: float = 0.0  # of the run whose weights this one began with
    #: until this share of the run, DPN crops of this many pixels
    crops: tuple[tuple[float, int], ...] = CURRICULUM
    mixed_until: float = 0.0  # share of the run in bfloat16, on a device

    def share(self, step: int, seconds: float) -> float:
        """How much of the run is done, 0..1."""
        done = step / self.steps if self.steps else seconds / (60.0 * self.minutes)
        return min(done, 1.0)

    def rate(self, share: float) -> float:
        """Learning rate relative to its peak: short warm-up, then half a cosine to zero."""
        if share < self.warm_up:
            return (share + 1e-4) / self.warm_up
        return 0.5 * (1.0 + math.cos(math.pi * (share - self.warm_up) / (1.0 - self.warm_up)))


CPU = torch.device("cpu")


class Run:
    """A network in training with its optimisers, average and counters."""

    def __init__(
        self, plan: Plan, group: ProcessGroup | None = None, device: torch.device = CPU
    ) -> None:
        torch.manual_seed(plan.seed)
        self.device = device
        self.group: ProcessGroup = group or Alone()
        if plan.batch % self.group.size:
            raise SystemExit(
                f"--batch {plan.batch}: {self.group.size} processes must share it evenly"
            )
        self.plan, self.step, self.samples, self.seconds = plan, 0, 0, 0.0
        self.make = BATCHES[plan.kind]  # pictures and labels from a pool
        rival = BASELINES.get(plan.kind)
        self.net = rival() if rival else build(plan.kind, plan.variant)
        self.net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.net).eval()
        dense, rest = split_parameters(self.net)
        self.optimisers: list[torch.optim.Optimizer] = [
            Muon(dense, plan.muon_lr),
            torch.optim.AdamW(rest, plan.adam_lr, betas=(0.9, 0.99), weight_decay=0.01),
        ]
        self._peaks = (plan.muon_lr, plan.adam_lr)

    @property
    def share(self) -> float:
        """How much of the plan is done, 0..1."""
        return self.plan.share(self.step, self.seconds)

    @property
    def table(self) -> npt.NDArray[np.float32]:
        """(256,) what the network is given for each grey level."""
        return grey_table() if isinstance(self.net, Baseline) else density_table()

    def advance(self, pool: Pool | GpuPool) -> Tensor:
        """One step; returns the loss, which on a device may still be on its way."""
        start = self._clock()
        share = self.share
        crop = next((px for until, px in self.plan.crops if share < until), self.plan.crops[-1][1])
        images, labels, told_optics = self._batch(pool, crop)
        self.net.train()
        mixed = share < self.plan.mixed_until
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            loss = loss_of(self.net, images, labels, told_optics)
        for optimiser, peak in zip(self.optimisers, self._peaks, strict=True):
            optimiser.zero_grad(set_to_none=True)
            optimiser.param_groups[0]["lr"] = peak * self.plan.rate(share)
        loss.backward()
        loss_value = loss.detach().reshape(1)
        gradients = (p.grad for p in self.net.parameters() if p.grad is not None)
        self.group.average([loss_value, *gradients, *shared_state(self.net)])
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self._follow()
        self.step, self.samples = self.step + 1, self.samples + self.plan.batch
        self.seconds = self.group.from_first(self.seconds + self._clock() - start)
        return loss_value[0]

    def _clock(self) -> float:
        """Seconds of a core, fair on a shared machine: one thread does all the work; or of the
        wall where a device does it."""
        return time.process_time() if self.device == CPU else time.monotonic()

    def _batch(self, pool: Pool | GpuPool, crop: int) -> tuple[Tensor, Tensor, bool]:
        """Pictures and labels of this step, and whether the labels tell the slide's optics."""
        seed = [self.plan.seed, self.step]
        if isinstance(pool, GpuPool):
            pool.refresh()
            images, labels = pool.batch(seed, self.plan.batch, crop)
            return images, labels, pool.told_optics
        rng = np.random.default_rng(seed)
        drawn, truth = self.make(pool, pool.ready(), rng, self.plan.batch, crop)
        mine = slice(self.group.rank, None, self.group.size)
        drawn, truth = np.ascontiguousarray(drawn[mine]), np.ascontiguousarray(truth[mine])
        told_optics = bool(np.isfinite(truth[:, 1:]).all())
        return look_up(drawn, self.table), torch.from_numpy(truth), told_optics

    @torch.no_grad()
    def _follow(self) -> None:
        """Exponential average of weights and statistics; its horizon grows to 500 steps."""
        decay = min(self.plan.ema, (1.0 + self.step) / (10.0 + self.step))
        follow = self.average.state_dict().values()
        for slow, fast in zip(follow, self.net.state_dict().values(), strict=True):
            if slow.is_floating_point():
                slow.lerp_(fast, 1.0 - decay)
            else:
                slow.copy_(fast)

    def begin_from(self, path: Path) -> None:
        """Take the averaged weights of a checkpoint or of `save_weights`; the schedule starts
        anew."""
        state = torch.load(path, weights_only=True, map_location=self.device)
        own = self.net.state_dict()
        fresh: tuple[str, ...] = LATER_HEADS
        if state["plan"].get("variant", self.plan.variant) != self.plan.variant:
            fresh += ("head.",)
        weights = {
            name: value
            for name, value in state["average"].items()
            if not (name.startswith(fresh) and own[name].shape != value.shape)
        }
        try:
            missing, unknown = self.net.load_state_dict(weights, strict=False)
        except RuntimeError as error:  # shapes differ
            raise SystemExit(f"{path}: weights of another network") from error
        # only these may start fresh
        if unknown or any(not name.startswith(fresh) for name in missing):
            raise SystemExit(f"{path}: weights of another network ({(unknown or missing)[0]})")
        self.average.load_state_dict(self.net.state_dict())
        self.samples = state["counters"][1]
        earlier = state["plan"]["earlier_minutes"] + state["counters"][2] / 60.0
        self.plan.earlier_minutes = earlier

    def save(self, path: Path) -> None:
        """Write the checkpoint in one piece: a crash leaves the old one."""
        state = {
            "plan": asdict(self.plan),
            "counters": [self.step, self.samples, self.seconds],
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimisers": [o.state_dict() for o in self.optimisers],
        }
        with replacing(path) as file:
            torch.save(state, file)

    def save_weights(self, path: Path) -> None:
        """Only what `begin_from` needs: the averaged weights and where they come from."""
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "plan": asdict(self.plan),
            "counters": [self.step, self.samples, self.seconds],
            "average": self.average.state_dict(),
        }
        with replacing(path) as file:
            torch.save(state, file)

    @classmethod
    def load(cls, path: Path, group: ProcessGroup | None = None, device: torch.device = CPU) -> Run:
        """Continue from a checkpoint."""
        state = torch.load(path, weights_only=True, map_location=device)
        run = cls(Plan(**state["plan"]), group, device)
        run.step, run.samples, run.seconds = state["counters"]
        run.net.load_state_dict(state["net"])
        run.average.load_state_dict(state["average"])
        for optimiser, saved in zip(run.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        return run


def look_up(images: npt.NDArray[np.uint8], table: npt.NDArray[np.float32]) -> Tensor:
    """(..., h, w, 3) uint8 -> float32 of the same shape: each grey level's entry in `table`."""
    flat = images.reshape(-1, images.shape[-2], images.shape[-1])
    return torch.from_numpy(cv2.LUT(flat, table)).reshape(images.shape)


def loss_of(
    net: DPN | RIN | Baseline, images: Tensor, labels: Tensor, told_optics: bool = True
) -> Tensor:
    """Cross-entropy to Gaussian bins (DPN), L2 (its reference) or binary cross-entropy (RIN), or
    a rival's own.

    A DPN's labels are (n, 4): d in um, W040 in waves, axial colour and thickness in um. Real
    slides do not tell the last three (`told_optics` False), which are then not trained.
    """
    if isinstance(net, Baseline):
        return net.loss(images, labels[:, 0])
    if isinstance(net, RIN):
        return nn.functional.binary_cross_entropy_with_logits(net.logits(images), labels)
    strongest, texture = net.summaries(images)
    output, defocus = net.head(strongest), labels[:, 0]
    if isinstance(net.decode, Bins):
        loss = nn.functional.cross_entropy(output, net.decode.targets(defocus))
        if not told_optics:
            return loss
        optics, thickness = labels[:, 1:3], labels[:, 3:]
        loss = loss + OPTICS_SHARE * net.optics.loss(strongest, texture, optics)
        return loss + THICKNESS_SHARE * net.thickness.loss(strongest, texture, thickness)
    return nn.functional.mse_loss(output[:, 0], defocus / 10.0)


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
        "per_s": round(run.step * run.plan.batch / max(run.seconds, 1e-6), 1),
        "left_s": round(left),
    }
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
    print(
        f"step {run.step}: {share:.0%} done, {entry['left_s'] / 60:.0f} core min left, "
        f"loss {loss:.4f}, {entry['per_s']:.0f} samples/s",
        flush=True,
    )


def read_crops(text: str) -> tuple[tuple[float, int], ...]:
    """ "0.5:128,1:224" -> ((0.5, 128), (1.0, 224)); SystemExit where it cannot be that."""
    try:
        crops = tuple((float(s), int(px)) for s, px in (x.split(":") for x in text.split(",")))
    except ValueError as error:
        raise SystemExit(
            f"--crops {text}: expected SHARE:PIXELS,... such as 0.5:128,1:224"
        ) from error
    rising = all(a[0] < b[0] for a, b in itertools.pairwise(crops))
    if not rising or any(px % 32 or not 32 <= px <= FIELD_PX for _, px in crops):
        raise SystemExit(f"--crops {text}: rising shares, sizes of 32..{FIELD_PX} divisible by 32")
    return crops


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
    resident = GpuPool([Pool.open(folder) for folder in folders], device)
    wanted, start = min(FEWEST_FIELDS, resident.capacity), time.monotonic()
    while len(resident) < wanted:
        if time.monotonic() - start > WAIT_S:
            raise SystemExit(f"--pool: {len(resident)} of {wanted} fields after {WAIT_S:.0f} s")
        if not resident.refresh():
            time.sleep(0.05)
    return resident


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
        plan = Plan(options.kind, options.seed, options.minutes, options.steps, batch)
        plan.variant = options.variant
        plan.muon_lr, plan.adam_lr = options.muon_lr, options.adam_lr
        plan.crops = read_crops(options.crops) if options.crops else CURRICULUM
        plan.mixed_until = options.mixed_until
        run = Run(plan, group, device)
        if options.start:
            run.begin_from(options.start)
    train(run, pool, options.out)
    group.part()


if __name__ == "__main__":
    main()
