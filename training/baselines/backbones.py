"""The rivals' backbones, from the blocks that the RIN is made of: depthwise layers get our faster
gradient, so that no rival is slow for a library's sake.

ResNet-18 (He et al. 2016), MobileNetV2 (Sandler et al. 2018), MobileNetV3-small (Howard et al.
2019), each ending in one number.
"""

from __future__ import annotations

from torch import Tensor, nn

from training.nets import SMALL, Bottleneck, conv_layers

#: MobileNetV2: expansion, channels, blocks, stride of the first
V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
#: MobileNetV3-small after stride 16, where the RIN is cut
SMALL_END = (
    (48, 288, 96, 5, 2, "hswish", True),
    (96, 576, 96, 5, 1, "hswish", True),
    (96, 576, 96, 5, 1, "hswish", True),
)


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a way around them."""

    def __init__(self, cin: int, cout: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *conv_layers(cin, cout, 3, stride, 1, "relu"),
            *conv_layers(cout, cout, 3, 1, 1, "none"),
        )
        same = stride == 1 and cin == cout
        self.around = (
            nn.Identity() if same else nn.Sequential(*conv_layers(cin, cout, 1, stride, 1, "none"))
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, cin, h, w) -> (n, cout, h / stride, w / stride)."""
        return nn.functional.relu(self.body(x) + self.around(x))


def resnet_18(width: int = 64) -> nn.Sequential:
    """(n, 3, h, w) -> (n, 1); `width` channels after the stem."""
    layers: list[nn.Module] = [*conv_layers(3, width, 7, 2, 1, "relu"), nn.MaxPool2d(3, 2, 1)]
    channels = width
    for stage in range(4):
        for block in range(2):
            stride = 2 if stage and not block else 1
            layers.append(BasicBlock(channels, width << stage, stride))
            channels = width << stage
    return nn.Sequential(*layers, *_one_number(channels, channels))


def mobilenet_v2(share: float = 1.0) -> nn.Sequential:
    """(n, 3, h, w) -> (n, 1); `share` of the published channels, in eights."""
    channels = _eights(32 * share)
    layers: list[nn.Module] = [*conv_layers(3, channels, 3, 2, 1, "relu6")]
    for expansion, published, blocks, first in V2:
        out = _eights(published * share)
        for block in range(blocks):
            stride = first if block == 0 else 1
            inner = channels * expansion
            layers.append(Bottleneck(channels, inner, out, 3, stride, "relu6", False))
            channels = out
    layers += conv_layers(channels, _eights(1280 * share), 1, 1, 1, "relu6")
    return nn.Sequential(*layers, *_one_number(_eights(1280 * share), _eights(1280 * share)))


def mobilenet_v3_small(share: float = 1.0) -> nn.Sequential:
    """(n, 3, h, w) -> (n, 1); `share` of the published channels, in eights."""
    channels = _eights(16 * share)
    layers: list[nn.Module] = [*conv_layers(3, channels, 3, 2, 1, "hswish")]
    for cin, inner, cout, kernel, stride, act, gate in (*SMALL, *SMALL_END):
        sizes = _eights(cin * share), _eights(inner * share), _eights(cout * share)
        layers.append(Bottleneck(*sizes, kernel, stride, act, gate))
    last = _eights(96 * share), _eights(576 * share)
    layers += conv_layers(*last, 1, 1, 1, "hswish")
    return nn.Sequential(*layers, *_one_number(last[1], _eights(1024 * share)))


def _one_number(cin: int, hidden: int) -> list[nn.Module]:
    """Average over the picture, then one number; through a hidden layer where it is wider."""
    pool: list[nn.Module] = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    if hidden == cin:
        return [*pool, nn.Linear(cin, 1)]
    return [*pool, nn.Linear(cin, hidden), nn.Hardswish(), nn.Linear(hidden, 1)]


def _eights(channels: float) -> int:
    """The nearest multiple of 8, at least 8, never more than a tenth below (MobileNet's rule)."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded
