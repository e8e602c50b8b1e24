"""What a step makes smaller, by the kind of network."""

from __future__ import annotations

from torch import Tensor, nn

from training.baselines.networks import Baseline
from training.heads import Bins
from training.nets import DPN, RIN

OPTICS_SHARE = 1.0  # of the optics' likelihood in the loss


THICKNESS_SHARE = 0.5  # of the thickness'


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
