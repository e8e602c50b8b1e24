"""What a DPN answers, from the features of a patch: distance, optics, thickness, novelty.

The distance as the posterior over bins (what ships) or as one number (the paper's, for reference).
Only operations that TensorRT takes.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Bins(nn.Module):
    """Defocus as a distribution over bins even in asinh(d / 4 um) within +-60 um.

    Narrow bins (0.23 um) where precision counts, wide ones far out where only the direction and
    rough distance do. +-60 covers twice the +-25 um range and more, so that a field far outside
    is still recognised with its direction.
    """

    lower: Tensor
    sums: Tensor
    quantile: Tensor

    def __init__(self, count: int = 121, limit_um: float = 60.0, scale_um: float = 4.0) -> None:
        super().__init__()
        self.count, self.scale_um = count, scale_um
        self.top = math.asinh(limit_um / scale_um)
        self.step = 2.0 * self.top / count
        # cumulative sum as a product with a triangle: below[i, j] = 1 where bin i lies below j
        self.register_buffer("sums", torch.triu(torch.ones(count, count), 1), persistent=False)
        levels = torch.tensor([0.16, 0.50, 0.84]).reshape(1, 3, 1)
        self.register_buffer("quantile", levels, persistent=False)

    def targets(self, defocus_um: Tensor, width: float = 1.5) -> Tensor:
        """(n,) um -> (n, count): Gaussian labels `width` bins wide, rows sum to 1."""
        place = (torch.asinh(defocus_um / self.scale_um) + self.top) / self.step - 0.5
        offset = torch.arange(self.count, device=place.device) - place[:, None]
        return torch.softmax(-0.5 * (offset / width) ** 2, dim=1)

    def forward(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """(n, count) -> median and half the 16..84 % distance of the posterior, um, both (n,).

        A quantile's position is the sum over bins of how much of each lies below it, with the
        mass spread evenly inside a bin.
        """
        mass = torch.softmax(logits, dim=1)
        below = torch.matmul(mass, self.sums)
        share = (self.quantile - below.unsqueeze(1)) / (mass.unsqueeze(1) + 1e-9)
        place = torch.clamp(share, 0.0, 1.0).sum(dim=2) * self.step - self.top
        um = (torch.exp(place) - torch.exp(-place)) * (0.5 * self.scale_um)
        return um[:, 1], (um[:, 2] - um[:, 0]) * 0.5


class Regression(nn.Module):
    """The paper's head: one number (here in units of 10 um), trained with L2; no spread."""

    count = 1

    def forward(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """(n, 1) -> defocus in um and a spread of zero, both (n,)."""
        defocus = output[:, 0] * 10.0
        return defocus, defocus * 0.0


#: W040 in waves and axial colour in um: middle and width of what training shows
OPTICS = ((0.5, 0.3), (1.05, 0.4))
#: thickness of the section in um
THICKNESS = ((1.0, 1.2),)


class SlideHead(nn.Module):
    """What a patch shows of its slide, as normal distributions: `quantities` of (middle, width).

    Nothing focuses by them. The optics tell when a slide lies outside what the defocus was
    calibrated on, the thickness how far a median over patches can be off; the defocus alone tells
    neither.
    """

    centre: Tensor
    scale: Tensor

    def __init__(
        self, width: int, quantities: tuple[tuple[float, float], ...], hidden: int = 96
    ) -> None:
        super().__init__()
        self.count = len(quantities)
        self.body = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, 2 * self.count)
        )
        for place, name in enumerate(("centre", "scale")):
            values = torch.tensor([quantity[place] for quantity in quantities])
            self.register_buffer(name, values, persistent=False)

    def normal(self, strongest: Tensor, texture: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log sd of normal distributions, both (k, n), in units of `scale`."""
        out = self.body(torch.cat([strongest, texture], dim=1))
        return out[:, : self.count], torch.clamp(out[:, self.count :], -4.0, 2.0)

    def loss(self, strongest: Tensor, texture: Tensor, truth: Tensor) -> Tensor:
        """Negative log likelihood of `truth` (k, n), weighted by the variance to the half so that
        sure patches do not run away with it (Seitzer et al. 2022)."""
        mean, log_sd = self.normal(strongest, texture)
        error = (truth - self.centre) / self.scale - mean
        likelihood = 0.5 * error**2 * torch.exp(-2.0 * log_sd) + log_sd
        return (likelihood * torch.exp(log_sd).detach()).mean()

    def forward(self, strongest: Tensor, texture: Tensor) -> Tensor:
        """The two of `DPN.summaries` -> (k, 2 n): each quantity and its sd in turn."""
        mean, log_sd = self.normal(strongest, texture)
        mean, sd = mean * self.scale + self.centre, torch.exp(log_sd) * self.scale
        columns = [part[:, i] for i in range(self.count) for part in (mean, sd)]
        return torch.stack(columns, dim=1)


class Novelty(nn.Module):
    """Squared Mahalanobis distance of the features from the training's, over their number.

    About 1 on patches like those trained on. Fitted after training (`fit`); the whitening is one
    constant matrix in the graph.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("whitening", torch.eye(width))

    def fit(self, summaries: Tensor, shrink: float = 0.02) -> None:
        """From (n, width) features of patches that were not trained on; n >> width."""
        data = summaries.double()
        centred = data - data.mean(0)
        covariance = centred.t() @ centred / len(data)
        ridge = shrink * covariance.diagonal().mean() * torch.eye(len(covariance)).double()
        values, vectors = torch.linalg.eigh(covariance + ridge)
        self.mean.copy_(data.mean(0))
        self.whitening.copy_(vectors / values.sqrt())

    def forward(self, summary: Tensor) -> Tensor:
        """(k, width) -> (k,)."""
        return torch.matmul(summary - self.mean, self.whitening).square().mean(dim=1)


class ColourOrder(nn.Module):
    """Whether red and blue are the right way round, as a log of the odds for each patch.

    A perceptron over the two of `DPN.summaries`, kept as constants: nothing else in the network
    trains with it. Fitted after training (`training.colour_order`); says 0 until then.
    """

    mean: Tensor
    scale: Tensor
    hidden: Tensor
    hidden_bias: Tensor
    out: Tensor
    out_bias: Tensor

    LIMIT = 6.0  # standard deviations: a feature that is further off tells no more

    def __init__(self, width: int, hidden: int = 128) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.register_buffer("hidden", torch.zeros(hidden, width))
        self.register_buffer("hidden_bias", torch.zeros(hidden))
        self.register_buffer("out", torch.zeros(1, hidden))
        self.register_buffer("out_bias", torch.zeros(1))

    def forward(self, strongest: Tensor, texture: Tensor) -> Tensor:
        """(k, a) and (k, b) -> (k,): positive = as in training, negative = exchanged."""
        x = (torch.cat([strongest, texture], dim=1) - self.mean) * self.scale
        x = torch.clamp(x, -self.LIMIT, self.LIMIT)
        x = torch.relu(nn.functional.linear(x, self.hidden, self.hidden_bias))
        return nn.functional.linear(x, self.out, self.out_bias)[:, 0]

    def fit(self, right: Tensor, exchanged: Tensor, epochs: int = 20, seed: int = 0) -> None:
        """From (n, a + b) features of the same n patches both ways; n >> a + b."""
        both = torch.cat([right, exchanged])
        self.mean.copy_(both.mean(0))
        self.scale.copy_(1.0 / (both.std(0) + 1e-6))
        x = torch.clamp((both - self.mean) * self.scale, -self.LIMIT, self.LIMIT)
        truth = torch.cat([torch.ones(len(right)), torch.zeros(len(exchanged))])
        generator = torch.Generator().manual_seed(seed)
        with torch.random.fork_rng(), torch.enable_grad():
            torch.manual_seed(seed)
            first, last = nn.Linear(x.shape[1], len(self.hidden)), nn.Linear(len(self.hidden), 1)
            net = nn.Sequential(first, nn.ReLU(), nn.Dropout(0.3), last)
            optimiser = torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=0.3)
            for _ in range(epochs):
                for rows in torch.randperm(len(x), generator=generator).split(256):
                    loss = nn.functional.binary_cross_entropy_with_logits(
                        net(x[rows])[:, 0], truth[rows]
                    )
                    optimiser.zero_grad()
                    loss.backward()
                    optimiser.step()
        for own, fitted in (
            (self.hidden, first.weight), (self.hidden_bias, first.bias),
            (self.out, last.weight), (self.out_bias, last.bias),
        ):  # fmt: skip
            own.copy_(fitted.detach())
