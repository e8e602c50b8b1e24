"""A network in training: one step, its running average, its checkpoint."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from edge.appliance.files import replacing
from training.augment import BATCHES
from training.baselines.networks import BASELINES, Baseline, grey_table
from training.data_parallel import Alone, ProcessGroup, shared_state
from training.gpu_pool import GpuPool
from training.losses import loss_of
from training.muon import Muon, split_parameters
from training.nets import build, density_table
from training.pool import Pool
from training.schedule import Schedule

LATER_HEADS = (
    "optics.",
    "novelty.",
    "thickness.",
    "depth_share",
    "colour_order.",
)  # of a DPN; older weights lack them


#: of these, what is fitted after training: a checkpoint without them is gone on with
FITTED_HEADS = ("colour_order.",)

CPU = torch.device("cpu")


class Run:
    """A network in training with its optimisers, average and counters."""

    def __init__(
        self, schedule: Schedule, group: ProcessGroup | None = None, device: torch.device = CPU
    ) -> None:
        torch.manual_seed(schedule.seed)
        self.device = device
        self.group: ProcessGroup = group or Alone()
        if schedule.batch % self.group.size:
            raise SystemExit(
                f"--batch {schedule.batch}: {self.group.size} processes must share it evenly"
            )
        self.schedule, self.step, self.samples, self.seconds = schedule, 0, 0, 0.0
        self.make = BATCHES[schedule.kind]  # pictures and labels from a pool
        rival = BASELINES.get(schedule.kind)
        self.net = rival() if rival else build(schedule.kind, schedule.variant)
        self.net.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.net).eval()
        dense, rest = split_parameters(self.net)
        self.optimisers: list[torch.optim.Optimizer] = [
            Muon(dense, schedule.muon_lr),
            torch.optim.AdamW(rest, schedule.adam_lr, betas=(0.9, 0.99), weight_decay=0.01),
        ]
        self._peaks = (schedule.muon_lr, schedule.adam_lr)

    @property
    def share(self) -> float:
        """How much of the plan is done, 0..1."""
        return self.schedule.share(self.step, self.seconds)

    @property
    def table(self) -> npt.NDArray[np.float32]:
        """(256,) what the network is given for each grey level."""
        return grey_table() if isinstance(self.net, Baseline) else density_table()

    def advance(self, pool: Pool | GpuPool) -> Tensor:
        """One step; returns the loss, which on a device may still be on its way."""
        start = self._clock()
        share = self.share
        crop = next(
            (px for until, px in self.schedule.crops if share < until), self.schedule.crops[-1][1]
        )
        images, labels, told_optics = self._batch(pool, crop)
        self.net.train()
        mixed = share < self.schedule.mixed_until
        with torch.autocast(self.device.type, torch.bfloat16, enabled=mixed):
            loss = loss_of(self.net, images, labels, told_optics)
        for optimiser, peak in zip(self.optimisers, self._peaks, strict=True):
            optimiser.zero_grad(set_to_none=True)
            optimiser.param_groups[0]["lr"] = peak * self.schedule.rate(share)
        loss.backward()
        loss_value = loss.detach().reshape(1)
        gradients = (p.grad for p in self.net.parameters() if p.grad is not None)
        self.group.average([loss_value, *gradients, *shared_state(self.net)])
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        for optimiser in self.optimisers:
            optimiser.step()
        self._follow()
        self.step, self.samples = self.step + 1, self.samples + self.schedule.batch
        self.seconds = self.group.from_first(self.seconds + self._clock() - start)
        return loss_value[0]

    def _clock(self) -> float:
        """Seconds of a core, fair on a shared machine: one thread does all the work; or of the
        wall where a device does it."""
        return time.process_time() if self.device == CPU else time.monotonic()

    def _batch(self, pool: Pool | GpuPool, crop: int) -> tuple[Tensor, Tensor, bool]:
        """Pictures and labels of this step, and whether the labels tell the slide's optics."""
        seed = [self.schedule.seed, self.step]
        if isinstance(pool, GpuPool):
            pool.refresh()
            images, labels = pool.batch(seed, self.schedule.batch, crop)
            return images, labels, pool.told_optics
        rng = np.random.default_rng(seed)
        drawn, truth = self.make(pool, pool.ready(), rng, self.schedule.batch, crop)
        mine = slice(self.group.rank, None, self.group.size)
        drawn, truth = np.ascontiguousarray(drawn[mine]), np.ascontiguousarray(truth[mine])
        told_optics = bool(np.isfinite(truth[:, 1:]).all())
        return look_up(drawn, self.table), torch.from_numpy(truth), told_optics

    @torch.no_grad()
    def _follow(self) -> None:
        """Exponential average of weights and statistics; its horizon grows to 500 steps."""
        decay = min(self.schedule.ema, (1.0 + self.step) / (10.0 + self.step))
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
        if state["plan"].get("variant", self.schedule.variant) != self.schedule.variant:
            fresh += ("head.",)
        weights = {
            name: value
            for name, value in state["average"].items()
            if not (name.startswith(fresh) and own[name].shape != value.shape)
        }
        _take(self.net, weights, fresh, path)
        self.average.load_state_dict(self.net.state_dict())
        self.samples = state["counters"][1]
        earlier = state["plan"]["earlier_minutes"] + state["counters"][2] / 60.0
        self.schedule.earlier_minutes = earlier

    def save(self, path: Path) -> None:
        """Write the checkpoint in one piece: a crash leaves the old one."""
        state = {
            "plan": asdict(self.schedule),
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
            "plan": asdict(self.schedule),
            "counters": [self.step, self.samples, self.seconds],
            "average": self.average.state_dict(),
        }
        with replacing(path) as file:
            torch.save(state, file)

    @classmethod
    def load(cls, path: Path, group: ProcessGroup | None = None, device: torch.device = CPU) -> Run:
        """Continue from a checkpoint."""
        state = torch.load(path, weights_only=True, map_location=device)
        run = cls(Schedule(**state["plan"]), group, device)
        run.step, run.samples, run.seconds = state["counters"]
        for net, weights in ((run.net, state["net"]), (run.average, state["average"])):
            _take(net, weights, FITTED_HEADS, path)
        for optimiser, saved in zip(run.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        return run


def _take(
    net: torch.nn.Module, weights: Mapping[str, Tensor], fresh: tuple[str, ...], path: Path
) -> None:
    """Load `weights`; only what `fresh` names may be missing of them."""
    try:
        missing, unknown = net.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # shapes differ
        raise SystemExit(f"{path}: weights of another network") from error
    if unknown or any(not name.startswith(fresh) for name in missing):
        raise SystemExit(f"{path}: weights of another network ({(unknown or missing)[0]})")


def look_up(images: npt.NDArray[np.uint8], table: npt.NDArray[np.float32]) -> Tensor:
    """(..., h, w, 3) uint8 -> float32 of the same shape: each grey level's entry in `table`."""
    flat = images.reshape(-1, images.shape[-2], images.shape[-1])
    return torch.from_numpy(cv2.LUT(flat, table)).reshape(images.shape)
