"""What lies on the slide: layers of absorbance and phase, and the truth about them.

A specimen is a stack of thin layers. `content` layers are what a pathologist looks at;
`distractor` layers (dust, bubbles, pen) must not pull the focus. The truth that training and
evaluation need is kept beside the picture: content richness W* per patch (paper, section 4.3)
and the height of each patch's best focus.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]

PATCH_UM = 224 * 0.34  # a DPN patch is 76 um wide in the object, whatever the pixel size
GRID = 9

#: stain absorbance per unit dye in R, G, B (Ruifrok and Johnston 2001 for H and E; the
#: Papanicolaou dyes by their hue: EA cyan-green, eosin pink, OG orange)
STAINS: dict[str, tuple[float, float, float]] = {
    "haematoxylin": (0.650, 0.704, 0.286),
    "eosin": (0.072, 0.990, 0.105),
    "ea_green": (0.750, 0.270, 0.330),
    "orange_g": (0.050, 0.300, 0.900),
    "dab": (0.268, 0.570, 0.776),
    "neutral": (0.577, 0.577, 0.577),
}
#: dyes of one channel each: the absorbance of a photograph. They are the same on every slide
IDEAL_DYES: dict[str, tuple[float, float, float]] = {
    "cyan": (1.0, 0.0, 0.0),
    "magenta": (0.0, 1.0, 0.0),
    "yellow": (0.0, 0.0, 1.0),
}


@dataclass(slots=True)
class Layer:
    """A thin layer at height `z_um` (positive = nearer to the objective).

    `dyes` maps a stain's name to its amount (h, w) float32; `phase` is (h, w) rad at 0.535 um
    or None. `content` tells specimen from distractor.
    """

    z_um: float
    dyes: dict[str, F32]
    phase: F32 | None = None
    content: bool = True

    def absorbance(self, stain_rgb: dict[str, tuple[float, float, float]]) -> list[F32]:
        """Natural absorbance of the layer in R, G and B, each (h, w) float32."""
        out = []
        for channel in range(3):
            total: F32 | None = None
            for name, amount in self.dyes.items():
                unit = (IDEAL_DYES.get(name) or stain_rgb[name])[channel]
                if unit == 0.0:  # two of three products of a photograph: a third of its time
                    continue
                part = amount * np.float32(unit)
                total = part if total is None else total + part
            if total is None:
                total = np.zeros_like(next(iter(self.dyes.values())))
            out.append(np.asarray(total, np.float32))
        return out


@dataclass(slots=True)
class Specimen:
    """One field of view before the optics, `shape` (h, w) px of `um_per_px`."""

    kind: str  # "cell" | "tissue" | "texture" | "blank"
    um_per_px: float
    layers: list[Layer]
    stain_rgb: dict[str, tuple[float, float, float]] = field(default_factory=lambda: dict(STAINS))
    #: slope of the slide in um per mm along x (columns) and y (rows)
    tilt_um_per_mm: tuple[float, float] = (0.0, 0.0)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        first = next(iter(self.layers[0].dyes.values()))
        return first.shape[0], first.shape[1]

    def height_map_um(self, y_px: F32, x_px: F32) -> F32:
        """Height of the slide's surface at pixel positions, 0 at the frame's centre."""
        h, w = self.shape
        mm = self.um_per_px / 1000.0
        tilt_x, tilt_y = self.tilt_um_per_mm
        plane = (x_px - (w - 1) / 2) * tilt_x * mm + (y_px - (h - 1) / 2) * tilt_y * mm
        return np.asarray(plane, np.float32)


#: detail energy at which a patch is worth exp(-1) less than certain; see `content_richness`
DETAIL_SCALE = 0.0005


def detail_energy(specimen: Specimen) -> list[tuple[float, F32]]:
    """Per content layer: its height and the local energy (h, w) of its fine absorbance detail.

    Detail is green absorbance less its mean over 5 um: what still tells focus when the eye sees
    a flat wash of stain as empty.
    """
    window = max(3, round(5.0 / specimen.um_per_px) | 1)
    out = []
    for layer in specimen.layers:
        if layer.content:
            green = layer.absorbance(specimen.stain_rgb)[1]
            smooth = cv2.blur(green, (window, window), borderType=cv2.BORDER_REFLECT_101)
            out.append((layer.z_um, np.asarray((green - smooth) ** 2, np.float32)))
    return out


@dataclass(frozen=True, slots=True)
class PatchContent:
    """What the patches of a grid hold: richness W* in 0..1, and how high (um) the slide's tilt
    lifts their content. Where they are sharpest: `simulator.field_truth`."""

    richness: F32
    lift_um: F32


def patch_edges_px(
    specimen: Specimen, top_left_px: tuple[float, float], grid: tuple[int, int]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """First row of each patch and the end of the last one, and columns alike, inside the field."""
    step = PATCH_UM / specimen.um_per_px
    y, x = (
        np.clip(np.rint(start + step * np.arange(count + 1)), 0, size).astype(np.intp)
        for start, count, size in zip(top_left_px, grid, specimen.shape, strict=True)
    )
    return y, x


def patch_content(
    specimen: Specimen, top_left_px: tuple[float, float], grid: tuple[int, int] = (GRID, GRID)
) -> PatchContent:
    """W* and lift of the patches whose grid starts at `top_left_px` (row, column).

    W* = 1 - exp(-E / 0.0005) with E the mean detail energy of the content: 0.99 for one lone
    nucleus or plain stroma, 0.4 for a bare shred of cytoplasm. The scale is set so that the
    patches above 0.8 are those whose defocus the DPN can tell. The lift is the mean over the
    content's energy: a lone cell in a corner of its patch is where it is, not where the patch's
    middle is.
    """
    step = PATCH_UM / specimen.um_per_px
    energy = np.zeros(grid, np.float64)
    moment = np.zeros(grid, np.float64)
    height, width = specimen.shape
    y, x = patch_edges_px(specimen, top_left_px, grid)

    def per_patch(plane: F32) -> npt.NDArray[np.float64]:
        corner = cv2.integral(plane, sdepth=cv2.CV_64F)[np.ix_(y, x)]
        total = corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1]
        return np.asarray(total / step**2)

    lift: F32 | None = None
    if any(specimen.tilt_um_per_mm):
        down, across = (np.arange(size, dtype=np.float32) for size in (height, width))
        lift = specimen.height_map_um(down[:, None], across[None, :])
    for _, detail in detail_energy(specimen):
        energy += per_patch(detail)
        if lift is not None:
            moment += per_patch(detail * lift)
    richness = 1.0 - np.exp(-energy / DETAIL_SCALE)
    lifted = moment / np.maximum(energy, 1e-9)
    empty = energy < 1e-9  # as high as the slide is there
    centre = [(edges[1:] + edges[:-1] - 1) / np.float32(2.0) for edges in (y, x)]
    middle = specimen.height_map_um(
        centre[0][:, None].astype(np.float32), centre[1][None, :].astype(np.float32)
    )
    lifted[empty] = middle[empty]
    return PatchContent(richness.astype(np.float32), lifted.astype(np.float32))
