"""The four one-shot methods that the paper compares with, as their descriptions allow.

Each is a network on single patches; a frame's answer is the median over the whole 9 x 9 grid
(paper, section 2.3). Backbones are thin enough for two CPU cores, trained from
nothing by the same trainer, on the same pool, with the same rates as our DPN. What the papers do
not say, or what a CPU cannot carry, is written beside each network. Depthwise layers get our
faster gradient, so no rival is slow for a library's sake.

KDAF (the paper's reference 30) is not here: it distils kernels of a virtual refocusing, and neither
the refocusing network, nor its loss, nor how a distance is read from it is in any description that
could be found; the paper lists no number for it either.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.baselines.backbones import mobilenet_v2, mobilenet_v3_small, resnet_18

UNIT_UM = 10.0  # networks answer in tens of micrometres, as our own regression
GREY_MEAN, GREY_SD = 0.6, 0.25  # of a bright-field picture in 0..1


def grey_table() -> npt.NDArray[np.float32]:
    """(256,) float32: each grey level in 0..1, normalised, for cv2.LUT."""
    return ((np.arange(256) / 255.0 - GREY_MEAN) / GREY_SD).astype(np.float32)


def intensity(image: Tensor) -> Tensor:
    """(n, h, w, 3) uint8 -> (n, 3, h, w) float, normalised; float is taken as normalised."""
    if image.is_floating_point():
        return image.permute(0, 3, 1, 2)
    return (image.permute(0, 3, 1, 2).float() / 255.0 - GREY_MEAN) / GREY_SD


class Baseline(nn.Module):
    """A rival. `shots`: pictures per answer; with two, they are stacked in a patch,
    (n, 2, h, w, 3), the second taken training.fields.STEP_UM higher."""

    shots = 1

    def loss(self, image: Tensor, defocus_um: Tensor) -> Tensor:
        """What training lowers: patches and their true correction (n,) um -> a scalar."""
        return nn.functional.mse_loss(self(image), defocus_um / UNIT_UM)

    def defocus_um(self, image: Tensor) -> Tensor:
        """(n, h, w, 3) uint8, or with two shots (n, 2, h, w, 3) -> (n,) um, + = raise."""
        answer: Tensor = self(image)
        return answer * UNIT_UM


class Jiang(Baseline):
    """Jiang et al. 2018: a residual network regresses the distance from one RGB patch.

    Here ResNet-18 of half the width. Their Fourier and autocorrelation inputs are left out, as the
    paper leaves them out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.net = resnet_18(width=32)

    def forward(self, image: Tensor) -> Tensor:
        """(n, h, w, 3) -> (n,) in tens of um."""
        answer: Tensor = self.net(intensity(image))
        return answer[:, 0]


class Liao(Baseline):
    """Liao et al. 2022: MobileNetV3 regresses the distance from one patch. Here the small one."""

    def __init__(self) -> None:
        super().__init__()
        self.net = mobilenet_v3_small()

    def forward(self, image: Tensor) -> Tensor:
        """(n, h, w, 3) -> (n,) in tens of um."""
        answer: Tensor = self.net(intensity(image))
        return answer[:, 0]


class Dastidar(Baseline):
    """Dastidar and Ethirajan 2020: MobileNetV2 on the difference of two pictures a known step
    apart. Here of half the width, and the step of 2 um is our choice."""

    shots = 2

    def __init__(self) -> None:
        super().__init__()
        self.net = mobilenet_v2(share=0.5)

    def forward(self, image: Tensor) -> Tensor:
        """(n, 2, h, w, 3) -> (n,) in tens of um, from the first picture's height."""
        # the difference is small: four times it is of the order of 1
        difference = 4.0 * (intensity(image[:, 1]) - intensity(image[:, 0]))
        answer: Tensor = self.net(difference)
        return answer[:, 0]


class Li(Baseline):
    """Li et al. 2021: one network tells the side of focus, one network for each side the distance.

    Here three MobileNetV3-small of half the width; each patch trains the direction and the
    distance of its own side.
    """

    def __init__(self) -> None:
        super().__init__()
        self.side, self.above, self.below = (mobilenet_v3_small(share=0.5) for _ in range(3))

    def loss(self, image: Tensor, defocus_um: Tensor) -> Tensor:
        """Cross-entropy of the side plus L2 of the distance by the network of the true side."""
        pictures, target = intensity(image), defocus_um / UNIT_UM
        up = target > 0
        side = self.side(pictures)[:, 0]
        total = nn.functional.binary_cross_entropy_with_logits(side, up.float())
        for net, chosen in ((self.above, up), (self.below, ~up)):
            if int(chosen.sum()) > 1:  # batch statistics need two
                distance = net(pictures[chosen])[:, 0]
                error = (distance - target[chosen].abs()).square().sum()
                total = total + error / len(target)
        return total

    def forward(self, image: Tensor) -> Tensor:
        """(n, h, w, 3) -> (n,) in tens of um."""
        pictures = intensity(image)
        up = self.side(pictures)[:, 0] > 0
        above, below = (net(pictures)[:, 0].clamp(min=0) for net in (self.above, self.below))
        return torch.where(up, above, -below)


BASELINES: dict[str, type[Baseline]] = {
    "dastidar": Dastidar,
    "liao": Liao,
    "jiang": Jiang,
    "li": Li,
}
