"""Fields of view: how much lies in one, where, in how many layers, and which patches hold content.

Group names are those of the stacks: "cell dense", "tissue ex-sparse", "blank".
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from training.judge.canvas import F32, Canvas, Layer, edge, noise, oval
from training.judge.cells import Point, paint_cells
from training.judge.dyes import palette
from training.judge.instrument import PATCH_UM, Rng, Slide
from training.judge.tissue import paint_tissue

F64 = npt.NDArray[np.float64]

KINDS = ("cell", "tissue")
GROUPS = (*(f"{k} {s}" for k in KINDS for s in ("dense", "sparse", "ex-sparse")), "blank")
#: patches of 81 that hold content (W* above 0.8, the paper's section 4.3), by class
CLASSES = {"dense": (31, 81), "sparse": (9, 30), "ex-sparse": (1, 8)}
GRID, INFORMATIVE, DETAIL = 9, 0.8, 0.0005
#: rad of phase for each unit of a usual specimen's amount
USUAL_PHASE = 1.0
LAYER_UM = 1.5  # a thick specimen has a layer for every so many um, at least two
ATTEMPTS = 12


@dataclass(slots=True)
class Specimen:
    """Layers, lowest first, heights in um above the slide's own zero; `stained` False = it has
    phase only."""

    um_per_px: float
    layers: list[Layer]
    stained: bool = True

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in px."""
        height, width = self.layers[0].phase.shape
        return height, width


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """The 9 x 9 patches in a field's middle, or as many as fit; `side_px` each."""

    rows: int
    columns: int
    side_px: float
    top_px: float
    left_px: float

    @classmethod
    def of(cls, shape: tuple[int, int], um_per_px: float, patch_um: float = PATCH_UM) -> PatchGrid:
        """ValueError for a field smaller than one patch."""
        side = patch_um / um_per_px
        rows, columns = (min(GRID, int(length / side + 1e-6)) for length in shape)
        if not rows or not columns:
            raise ValueError(f"a field of {shape} px holds no patch of {side:.0f} px")
        top, left = (
            (length - n * side) / 2 for length, n in zip(shape, (rows, columns), strict=True)
        )
        return cls(rows, columns, side, top, left)

    def sums(self, plane: F32) -> F64:
        """Sum of a plane over each patch, (rows, columns)."""
        rows, columns = (
            np.rint(start + self.side_px * np.arange(n + 1)).astype(int)
            for start, n in ((self.top_px, self.rows), (self.left_px, self.columns))
        )
        corner = cv2.integral(plane, sdepth=cv2.CV_64F)[np.ix_(rows, columns)]
        return np.asarray(corner[1:, 1:] - corner[:-1, 1:] - corner[1:, :-1] + corner[:-1, :-1])


def richness(specimen: Specimen, grid: PatchGrid) -> F64:
    """W* of each patch: 1 - exp(-E / 0.0005), E the mean square of what is finer than 5 um in the
    content's green absorbance, or phase where it has no colour."""
    window = max(3, round(5.0 / specimen.um_per_px) | 1)
    energy = np.zeros((grid.rows, grid.columns))
    for layer in specimen.layers:
        if layer.content:
            plane = layer.absorbance[1] if specimen.stained else 2.0 * np.abs(layer.phase)
            detail = plane - cv2.blur(plane, (window, window), borderType=cv2.BORDER_REFLECT_101)
            energy += grid.sums(detail * detail)
    return np.asarray(1.0 - np.exp(-energy / grid.side_px**2 / DETAIL))


def draw_specimen(
    group: str, slide: Slide, shape: tuple[int, int], um_per_px: float, rng: Rng, check: bool = True
) -> Specimen:
    """Paint a field of a group, again until it falls into its class (`check`, and where the field
    holds 9 x 9 patches). ValueError for an unknown group or one that does not come out."""
    if group not in GROUPS:
        raise ValueError(f"group {group!r} must be one of {', '.join(GROUPS)}")
    if group == "blank":
        return Specimen(um_per_px, _layers(shape, um_per_px, rng, slide, 1))
    kind, sparsity = group.split(" ")
    if not check:
        return _paint(kind, sparsity, slide, shape, um_per_px, rng, 1.0)
    grid = PatchGrid.of(shape, um_per_px)
    low, high = CLASSES[sparsity]
    amount = 1.0
    for _ in range(ATTEMPTS):
        specimen = _paint(kind, sparsity, slide, shape, um_per_px, rng, amount)
        count = int((richness(specimen, grid) > INFORMATIVE).sum())
        if grid.rows * grid.columns < GRID * GRID or low <= count <= high:
            return specimen
        amount *= 0.6 if count > high else 1.7
    raise ValueError(f"no field of {group} in {ATTEMPTS} attempts")


def _layers(
    shape: tuple[int, int], um_per_px: float, rng: Rng, slide: Slide, count: int
) -> list[Layer]:
    canvas = Canvas(shape, um_per_px, rng, slide.softness, 0.0)
    for z_um in np.linspace(-0.5, 0.5, count) * slide.thickness_um if count > 1 else (0.0,):
        canvas.add_layer(float(z_um))
    return canvas.layers


def _paint(
    kind: str, sparsity: str, slide: Slide, shape: tuple[int, int], um_per_px: float, rng: Rng,
    amount: float,
) -> Specimen:  # fmt: skip
    count = 1
    if slide.thickness_um > 0.0:
        count = min(max(2, round(slide.thickness_um / LAYER_UM) + 1), 6)
    canvas = Canvas(shape, um_per_px, rng, slide.softness, USUAL_PHASE * slide.phase)
    canvas.layers = _layers(shape, um_per_px, rng, slide, count)
    dyes, stain = palette(slide.stain, kind, rng)
    strength = stain * slide.strength
    if kind == "cell":
        paint_cells(canvas, dyes, strength, _places(canvas, sparsity, amount), sparsity)
    else:
        mask = _mask(canvas, sparsity, amount)
        paint_tissue(canvas, dyes, strength, mask, rng.uniform(0.0, 45.0))
    return Specimen(um_per_px, canvas.layers, strength > 0.0)


def _places(canvas: Canvas, sparsity: str, amount: float) -> list[Point]:
    """Where cells lie: in drifts, thinly, or one to a few near the middle."""
    rng, (height, width) = canvas.rng, canvas.size_um
    area = height * width * 1e-6
    if sparsity == "ex-sparse":
        reach = 0.30 * min(height, width, GRID * PATCH_UM)
        spread = rng.uniform(-reach, reach, (max(1, int(rng.integers(1, 4) * min(amount, 2.0))), 2))
        return [(height / 2 + float(y), width / 2 + float(x)) for y, x in spread]
    per_mm2 = rng.uniform(25.0, 50.0) if sparsity == "sparse" else rng.uniform(180.0, 700.0)
    wanted = max(3, int(per_mm2 * area * amount))
    drift = noise((96, 96), max(height, width) / 96, rng, 300.0, 60.0, 1.5)
    bias = rng.uniform(0.0, 1.2)
    places: list[Point] = []
    while len(places) < wanted:
        v, u = rng.uniform(size=2)
        if bias * drift[int(v * 96), int(u * 96)] > rng.normal(0.0, 0.7):
            places.append((float(v * height), float(u * width)))
    return places


def _mask(canvas: Canvas, sparsity: str, amount: float) -> F32:
    """Where the section lies, 0 to 1: everywhere but for cracks, islands, or a shred or two."""
    rng, (height, width) = canvas.rng, canvas.size_um
    ragged = noise(canvas.shape, canvas.um_per_px, rng, 30.0, 2.0, 1.6)
    soft = max(1.2 * canvas.softness_um, canvas.um_per_px)
    if sparsity == "ex-sparse":
        mask = np.zeros(canvas.shape, np.float32)
        for _ in range(int(rng.integers(1, 4))):
            reach = 0.28 * min(height, width, GRID * PATCH_UM)
            at = (height / 2 + rng.uniform(-reach, reach), width / 2 + rng.uniform(-reach, reach))
            radius = min(rng.uniform(12.0, 40.0) * amount**0.5, 0.3 * min(height, width))
            corner, y, x = canvas.window(at, 2.0 * radius)
            shape = oval(y, x, rng, radius, rng.uniform(1.0, 1.6), rng.uniform(0, 3.14), 0.25)
            for here, there in canvas.pieces(corner, (shape.shape[0], shape.shape[1])):
                part = edge(shape[there] + np.float32(1.5) * ragged[here], soft)
                mask[here] = np.maximum(mask[here], part)
        return mask
    size = rng.uniform(150.0, 400.0) if sparsity == "dense" else rng.uniform(70.0, 160.0)
    lie = noise(canvas.shape, canvas.um_per_px, rng, size, 0.25 * size, 1.8)
    share = rng.uniform(0.6, 1.0) if sparsity == "dense" else 0.14
    share = float(np.clip(share * amount, 0.01, 1.0))
    level = np.quantile(lie[::8, ::8], 1.0 - share) if share < 1.0 else -np.inf
    # noise falls by its own size over about a third of its coarse period
    inside = (lie - np.float32(max(level, -50.0))) * np.float32(0.3 * size) + 1.5 * ragged
    return edge(np.asarray(inside, np.float32), soft)
