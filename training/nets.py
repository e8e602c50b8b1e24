"""The two networks: Region Importance Network (paper 4.1) and Defocus Prediction Network (4.2).

Both take raw uint8 NHWC RGB and carry their own preprocessing, so the exported file is the whole
computation. Colour becomes optical density: stain adds up in it and a change of lamp is a plain
offset. Only operations that TensorRT takes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from training.depthwise import DepthwiseConv2d
from training.heads import OPTICS, THICKNESS, Bins, ColourOrder, Novelty, Regression, SlideHead

GRID = 9
#: optical density of light background and of a well stained spot, roughly; fixed, not fitted
DENSITY_MEAN, DENSITY_SD = 0.30, 0.35


def density(image: Tensor) -> Tensor:
    """(n, h, w, 3) uint8 RGB -> (n, 3, h, w) float: -log((x + 1) / 256), normalised.

    Float input is taken as density already (training looks it up in a table).
    """
    if image.is_floating_point():
        return image.permute(0, 3, 1, 2)
    value = -torch.log((image.permute(0, 3, 1, 2).float() + 1.0) / 256.0)
    return (value - DENSITY_MEAN) / DENSITY_SD


def density_table() -> npt.NDArray[np.float32]:
    """(256,) float32: `density` of each grey level, for cv2.LUT."""
    value = -np.log((np.arange(256) + 1.0) / 256.0)
    return ((value - DENSITY_MEAN) / DENSITY_SD).astype(np.float32)


class Block(nn.Module):
    """DFENet block: 7x7 depthwise, BN, 1x1 expand, ReLU, 1x1 project, BN, residual."""

    def __init__(self, width: int, expansion: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            DepthwiseConv2d(width, 7),
            nn.BatchNorm2d(width),
            nn.Conv2d(width, width * expansion, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width * expansion, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same shape."""
        return x + self.body(x)


class DPN(nn.Module):
    """Defocus of each patch: (k, 224, 224, 3) uint8 -> defocus_um, spread_um, both (k,), the
    optics it saw (k, 4), its novelty (k,) and the odds of its colours' order (k,).

    Positive = raise the objective. `variant` "bins" is what ships; "regression" is the paper's
    L2 head, kept as the reference. In a thick section no height is everywhere in focus: the spread
    has `depth_share` of the thickness that the patch shows added in squares (training.calibrate's
    intervals need it; 0 until it is set).
    """

    depth_share: Tensor

    def __init__(
        self,
        widths: tuple[int, ...] = (16, 32, 64, 128),
        depths: tuple[int, ...] = (1, 1, 3, 1),
        expansion: int = 2,
        variant: str = "bins",
    ) -> None:
        super().__init__()
        self.decode: Bins | Regression = Bins() if variant == "bins" else Regression()
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 4, bias=False)]
        layers.append(nn.BatchNorm2d(widths[0]))
        ends = []
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            if stage:
                layers.append(nn.Conv2d(widths[stage - 1], width, 2, 2, bias=False))
                layers.append(nn.BatchNorm2d(width))
            layers += [Block(width, expansion) for _ in range(depth)]
            ends.append(len(layers))
        self._stage_ends = tuple(ends)
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(widths[-1], self.decode.count)
        width = widths[-1] + 2 * sum(widths)
        self.optics, self.thickness = SlideHead(width, OPTICS), SlideHead(width, THICKNESS)
        self.register_buffer("depth_share", torch.zeros(()))
        self.novelty = Novelty(widths[-1])
        self.colour_order = ColourOrder(width)

    def summaries(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """(k, h, w, 3) of any h, w divisible by 32 -> two (k, n): the strongest of each feature,
        by which the defocus and the novelty go, and the texture of every stage (mean and mean
        absolute deviation of each of its features), which tells the optics.

        Optics shows in how much fine detail each colour has kept, not in any one spot. The
        absolute deviation instead of the square stays small enough for FP16.
        """
        x, begin, texture = density(image), 0, []
        for end in self._stage_ends:
            x = self.features[begin:end](x)
            mean = x.mean(dim=(2, 3), keepdim=True)
            texture += [mean.flatten(1), (x - mean).abs().mean(dim=(2, 3))]
            begin = end
        return x.amax(dim=(2, 3)), torch.cat(texture, dim=1)

    def logits(self, image: Tensor) -> Tensor:
        """What the defocus loss sees: (k, h, w, 3) -> (k, bins)."""
        return self.head(self.summaries(image)[0])

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """See the class."""
        strongest, texture = self.summaries(image)
        defocus, spread = self.decode(self.head(strongest))
        thickness = torch.clamp(self.thickness(strongest, texture)[:, 0], min=0.0)
        spread = torch.sqrt(spread.square() + (self.depth_share * thickness).square())
        order = self.colour_order(strongest, texture)
        return defocus, spread, self.optics(strongest, texture), self.novelty(strongest), order


def averaging_matrix(size: int, out: int = GRID) -> Tensor:
    """(out, size): row i averages the inputs along its `1/out` of their length, each by how much of
    it lies there.

    Adaptive average pooling counts an input on a border in both patches whole: of 32 inputs each
    of 9 patches gets up to two fifths of its content from its neighbours.
    """
    edges = torch.arange(out + 1, dtype=torch.float64) * size / out
    places = torch.arange(size, dtype=torch.float64)
    last = torch.minimum(edges[1:, None], places + 1.0)
    first = torch.maximum(edges[:-1, None], places)
    return ((last - first).clamp(min=0.0) * out / size).float()


class SqueezeExcite(nn.Module):
    """Channel gates from the global mean (Howard et al. 2019, MobileNetV3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = max(8, (width // 4 + 4) // 8 * 8)
        self.gate = nn.Sequential(
            nn.Conv2d(width, inner, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, width, 1),
            nn.Hardsigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same shape."""
        return x * self.gate(x.mean(dim=(2, 3), keepdim=True))


def conv_layers(
    cin: int, cout: int, kernel: int, stride: int, groups: int, act: str
) -> list[nn.Module]:
    """Convolution, batch normalisation and activation, as a list to be put into a Sequential."""
    acts: dict[str, list[nn.Module]] = {
        "relu": [nn.ReLU(inplace=True)],
        "relu6": [nn.ReLU6(inplace=True)],
        "hswish": [nn.Hardswish()],
        "none": [],
    }
    conv: nn.Module
    if groups == cin == cout and groups > 1:
        conv = DepthwiseConv2d(cin, kernel, stride)
    else:
        conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(cout), *acts[act]]


class Bottleneck(nn.Module):
    """MobileNetV3's inverted residual."""

    def __init__(
        self, cin: int, inner: int, cout: int, kernel: int, stride: int, act: str, gate: bool
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [] if inner == cin else conv_layers(cin, inner, 1, 1, 1, act)
        layers += conv_layers(inner, inner, kernel, stride, inner, act)
        layers += [SqueezeExcite(inner)] if gate else []
        layers += conv_layers(inner, cout, 1, 1, 1, "none")
        self.body = nn.Sequential(*layers)
        self.residual = stride == 1 and cin == cout

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, cout, h / stride, w / stride)."""
        return x + self.body(x) if self.residual else self.body(x)


#: in, expanded, out, kernel, stride, activation, squeeze-excite: MobileNetV3-small to stride 16
SMALL = (
    (16, 16, 16, 3, 2, "relu", True),
    (16, 72, 24, 3, 2, "relu", False),
    (24, 88, 24, 3, 1, "relu", False),
    (24, 96, 40, 5, 2, "hswish", True),
    (40, 240, 40, 5, 1, "hswish", True),
    (40, 240, 40, 5, 1, "hswish", True),
    (40, 120, 48, 5, 1, "hswish", True),
    (48, 144, 48, 5, 1, "hswish", True),
)


class RIN(nn.Module):
    """Importance of the patches: (n, 512, 512, 3) uint8 -> (n, rows, columns) in 0..1.

    MobileNetV3-small cut at stride 16; its 32 x 32 map is averaged to the grid (9 x 9 for the
    paper's crop) by two constant matrices, each patch over just its own area. The weights do not
    depend on the grid.
    """

    pool_rows: Tensor
    pool_columns: Tensor

    def __init__(
        self, size_px: tuple[int, int] = (512, 512), grid: tuple[int, int] = (GRID, GRID)
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *conv_layers(3, 16, 3, 2, 1, "hswish"),
            *(Bottleneck(*row) for row in SMALL),
            *conv_layers(48, 96, 1, 1, 1, "hswish"),
        )
        self.head = nn.Sequential(nn.Conv2d(96, 96, 1), nn.Hardswish(), nn.Conv2d(96, 1, 1))
        for name, size, count in zip(("pool_rows", "pool_columns"), size_px, grid, strict=True):
            matrix = averaging_matrix(size // 16, count)
            self.register_buffer(name, matrix, persistent=False)

    def take_shape(self, size_px: tuple[int, int], grid: tuple[int, int]) -> None:
        """From now on (n, *size_px, 3) -> (n, *grid); sizes are multiples of 16."""
        self.pool_rows, self.pool_columns = (
            averaging_matrix(size // 16, count) for size, count in zip(size_px, grid, strict=True)
        )

    def logits(self, image: Tensor) -> Tensor:
        """What the loss sees: (n, 512, 512, 3) uint8 -> (n, rows, columns)."""
        features = self.features(density(image))
        grid = torch.matmul(torch.matmul(self.pool_rows, features), self.pool_columns.t())
        return self.head(grid).squeeze(1)

    def shift_logits(self, amount: float) -> None:
        """Raise every logit by `amount`: moves what the threshold 0.8 means, keeps the ranking."""
        bias = self.head[2].bias
        assert isinstance(bias, Tensor)
        with torch.no_grad():
            bias.add_(amount)

    def forward(self, image: Tensor) -> Tensor:
        """See the class."""
        return torch.sigmoid(self.logits(image))


def build(kind: str, variant: str = "bins") -> DPN | RIN:
    """The shipped shape of a network: "dpn" or "rin"."""
    return DPN(variant=variant) if kind == "dpn" else RIN()
