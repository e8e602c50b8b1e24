"""The processes of a `torchrun`, each with its share of every batch; or one process alone.

    torchrun --nproc-per-node 2 -m training.train dpn --pool P --out D

All draw the same batch from (seed, step) and take every n-th picture of it. Gradients and the
running statistics of batch normalisation are averaged after each step, so every process has the
same weights. The statistics within a step are those of a process's own share: n processes do what
one would with n smaller batches whose gradients it averages, not what it does with the whole batch.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Protocol

import torch
from torch import Tensor, distributed, nn


class ProcessGroup(Protocol):
    """Who trains together."""

    rank: int
    size: int

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Replace each by its mean over the processes, in place."""

    def anybody(self, flag: bool) -> bool:
        """Whether the flag is up anywhere."""

    def from_first(self, value: float) -> float:
        """The value that the first process has."""

    def part(self) -> None:
        """Wait for the others, then end what connects them."""


class Alone:
    """One process."""

    rank, size = 0, 1

    def average(self, tensors: Iterable[Tensor]) -> None:
        """Nothing to average."""

    def anybody(self, flag: bool) -> bool:
        """Its own."""
        return flag

    def from_first(self, value: float) -> float:
        """Its own."""
        return value

    def part(self) -> None:
        """Nobody to wait for."""


class Processes:
    """Those of a torchrun, over gloo: on CPUs, on one machine or several."""

    def __init__(self) -> None:
        distributed.init_process_group("gloo")
        self.rank, self.size = distributed.get_rank(), distributed.get_world_size()

    def average(self, tensors: Iterable[Tensor]) -> None:
        """See ProcessGroup. One message for all of them."""
        given = list(tensors)
        flat = torch.cat([each.detach().reshape(-1) for each in given])
        distributed.all_reduce(flat)
        flat /= self.size
        for each, mean in zip(given, flat.split([t.numel() for t in given]), strict=True):
            each.detach().copy_(mean.view_as(each))

    def anybody(self, flag: bool) -> bool:
        """See ProcessGroup."""
        votes = torch.tensor([float(flag)])
        distributed.all_reduce(votes, distributed.ReduceOp.MAX)
        return bool(votes.item())

    def from_first(self, value: float) -> float:
        """See ProcessGroup."""
        shared = torch.tensor([value], dtype=torch.float64)
        distributed.broadcast(shared, 0)
        return float(shared.item())

    def part(self) -> None:
        """See ProcessGroup. Left to the exit, gloo's threads outlive what they use and abort it."""
        distributed.barrier()
        distributed.destroy_process_group()


def process_group() -> ProcessGroup:
    """The group that torchrun started this process in, or Alone."""
    return Processes() if int(os.environ.get("WORLD_SIZE", "1")) > 1 else Alone()


def shared_state(net: nn.Module) -> list[Tensor]:
    """What a step changes beside the weights: running means and variances."""
    return [
        tensor
        for module in net.modules()
        if isinstance(module, nn.BatchNorm2d)
        for tensor in (module.running_mean, module.running_var)
        if tensor is not None
    ]
