"""Muon: momentum orthogonalised by Newton-Schulz, for the matrices of a convolutional network.

After K. Jordan, "Muon: an optimizer for hidden layers in neural networks" (2024). Here it trains
1x1 and downsampling convolutions; AdamW trains what is no matrix (depthwise kernels, norms,
biases) and the first and last layer.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """Nearest orthogonal-like matrix (singular values in about 0.7..1.2) by a quintic iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    x = x.t() if tall else x
    for _ in range(steps):
        gram = x @ x.t()
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.t() if tall else x


class Muon(torch.optim.Optimizer):
    """`lr` is the update's size per element relative to a unit matrix; Nesterov momentum."""

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float = 5e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group)

    def _update(self, p: Tensor, grad: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        momentum = state["momentum"].lerp_(grad, 1.0 - group["momentum"])
        look_ahead = grad.lerp(momentum, group["momentum"])
        update = orthogonalise(look_ahead.reshape(p.shape[0], -1)).reshape(p.shape)
        scale = max(1.0, p.shape[0] / (p.numel() / p.shape[0])) ** 0.5
        p.mul_(1.0 - group["lr"] * group["weight_decay"])
        p.add_(update, alpha=-group["lr"] * scale)


def split_parameters(net: nn.Module) -> tuple[list[Tensor], list[Tensor]]:
    """(for Muon, for AdamW): dense convolutions of hidden layers, and the rest."""
    dense = [
        m.weight
        for m in net.modules()
        if isinstance(m, nn.Conv2d) and m.groups == 1 and m.in_channels > 3 and m.out_channels > 1
    ]
    chosen = {id(p) for p in dense}
    return dense, [p for p in net.parameters() if id(p) not in chosen]
