"""A slide: what varies from slide to slide, and the fields of view that lie on it.

Everything is drawn from one seed: the same seed gives the same slide, field by field.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from simulator import distractors
from simulator.cells import paint_cells
from simulator.optics import SlideOptics
from simulator.specimen import PATCH_UM, STAINS, Layer, PatchTruth, Specimen, patch_truth
from simulator.texture import noise_field, smoothstep
from simulator.tissue import paint_tissue

F32 = npt.NDArray[np.float32]
Rng = np.random.Generator

KINDS = ("cell", "tissue")
SPARSITIES = ("dense", "sparse", "ex-sparse")
#: patches of 81 with W* above 0.8 that make the class (the run-time rule, k = 31 / 9 / 3)
CLASS_RANGE = {"dense": (31, 81), "sparse": (9, 30), "ex-sparse": (1, 8), "blank": (0, 0)}
INFORMATIVE = 0.8


@dataclass(frozen=True, slots=True)
class SlideVariation:
    """One slide's optics, stain, light and geometry."""

    optics: SlideOptics
    stain_rgb: dict[str, tuple[float, float, float]]
    strength: float  # of the stain, 1 = usual
    thickness_um: float
    tilt_um_per_mm: tuple[float, float]
    light_rgb: tuple[float, float, float]  # background level of 255
    vignetting: float  # fall-off at the frame's corner, fraction
    full_well_e: float
    read_noise_e: float


def draw_variation(
    rng: Rng, tilt_um_per_mm: float = 3.0, thickness_um: float = 4.0
) -> SlideVariation:
    """Draw a slide from the nominal instrument's spread; the two limits are per slide maxima."""
    stains = {}
    for name, rgb in STAINS.items():
        drawn = np.maximum(np.array(rgb) * rng.normal(1.0, 0.12, 3) + rng.normal(0, 0.02, 3), 0.01)
        stains[name] = tuple(float(v) for v in drawn / np.linalg.norm(drawn))
    angle, slope = rng.uniform(0, 2 * np.pi), tilt_um_per_mm * rng.uniform() ** 2
    level = rng.uniform(195.0, 240.0)
    return SlideVariation(
        optics=SlideOptics(float(rng.uniform(0.27, 0.63)), float(rng.uniform(0.85, 1.15))),
        stain_rgb=stains,  # type: ignore[arg-type]
        strength=float(np.exp(rng.normal(0.0, 0.3))),
        thickness_um=float(thickness_um * rng.uniform() if rng.uniform() < 0.5 else 0.0),
        tilt_um_per_mm=(float(slope * np.cos(angle)), float(slope * np.sin(angle))),
        light_rgb=tuple(float(level * v) for v in rng.normal(1.0, 0.025, 3)),  # type: ignore[arg-type]
        vignetting=float(rng.uniform(0.0, 0.15)),
        full_well_e=float(rng.uniform(6000.0, 11000.0)),
        read_noise_e=float(rng.uniform(2.0, 6.0)),
    )


def make_specimen(
    kind: str,
    sparsity: str,
    shape: tuple[int, int],
    um_per_px: float,
    rng: Rng,
    variation: SlideVariation,
    dirt: float = 1.0,
) -> Specimen:
    """Paint one field of view of the wanted kind and coverage.

    `kind` is "cell" or "tissue"; `sparsity` "dense", "sparse", "ex-sparse" or "blank". The
    class is checked by W* over the central 9 x 9 patches, and painting is repeated until it
    fits (where the field holds that grid). `dirt` scales how much dust, debris, bubbles, pen
    and folds there are; 0 = clean.
    """
    if kind not in KINDS or sparsity not in CLASS_RANGE:
        raise ValueError(f"no specimen of kind {kind!r} and sparsity {sparsity!r}")
    amount = 1.0
    low, high = CLASS_RANGE[sparsity]
    for _ in range(8):
        layers = _content(kind, sparsity, shape, um_per_px, rng, variation, amount)
        specimen = Specimen(
            kind if sparsity != "blank" else "blank",
            um_per_px,
            layers,
            variation.stain_rgb,
            variation.tilt_um_per_mm,
        )
        count = informative_count(specimen)
        if count is None or low <= count <= high:
            break
        amount *= 0.6 if count > high else 1.6
    specimen.layers.extend(_dirt(layers, shape, um_per_px, rng, dirt, kind))
    return specimen


def field_truth(specimen: Specimen) -> PatchTruth | None:
    """W* and focus height of the central 9 x 9 patches; None when the field is smaller."""
    h, w = specimen.shape
    side = 9 * PATCH_UM / specimen.um_per_px
    if min(h, w) < side - 0.5:
        return None
    return patch_truth(specimen, ((h - side) / 2, (w - side) / 2))


def informative_count(specimen: Specimen) -> int | None:
    """Patches with W* above 0.8 of the central 9 x 9; None when the field is smaller."""
    truth = field_truth(specimen)
    return None if truth is None else int((truth.richness > INFORMATIVE).sum())


def _content(
    kind: str,
    sparsity: str,
    shape: tuple[int, int],
    um_per_px: float,
    rng: Rng,
    variation: SlideVariation,
    amount: float,
) -> list[Layer]:
    if sparsity == "blank":
        return [Layer(0.0, {"eosin": np.zeros(shape, np.float32)})]
    if kind == "cell":
        centres = _cell_centres(sparsity, shape, um_per_px, rng, amount)
        return paint_cells(
            shape, um_per_px, rng, centres, variation.thickness_um, variation.strength
        )
    mask = _tissue_mask(sparsity, shape, um_per_px, rng, amount)
    return paint_tissue(shape, um_per_px, rng, mask, variation.thickness_um, variation.strength)


def _cell_centres(
    sparsity: str, shape: tuple[int, int], um_per_px: float, rng: Rng, amount: float
) -> list[tuple[int, int]]:
    """Where cells lie: crowded with clumps, thinly strewn, or a last few near the middle."""
    h, w = shape
    area = h * w * um_per_px**2
    if sparsity == "dense":
        count = int(area * np.exp(rng.uniform(np.log(1.6e-4), np.log(8e-4))) * amount)
    elif sparsity == "sparse":
        count = int(area * rng.uniform(1.6e-5, 4.5e-5) * amount)
    else:
        count = int(rng.integers(1, 4) * min(amount, 2.0))
    side = min(9 * PATCH_UM / um_per_px, h, w) * (1.0 if sparsity == "dense" else 0.92)
    span_y, span_x = (h, w) if sparsity == "dense" else (side, side)
    clump = noise_field((64, 64), 1.0, rng, 10.0)
    centres: list[tuple[int, int]] = []
    while len(centres) < max(count, 1):
        v, u = rng.uniform(size=2)
        if sparsity == "dense" and clump[int(v * 63), int(u * 63)] < rng.normal(-0.3, 0.6):
            continue
        centres.append((int(h / 2 + (v - 0.5) * span_y), int(w / 2 + (u - 0.5) * span_x)))
    return centres


def _tissue_mask(
    sparsity: str, shape: tuple[int, int], um_per_px: float, rng: Rng, amount: float
) -> F32:
    """Where the section lies: nearly everywhere, islands, or a few shreds."""
    scale = {"dense": (120.0, 300.0), "sparse": (40.0, 120.0), "ex-sparse": (14.0, 45.0)}[sparsity]
    field = noise_field(shape, um_per_px, rng, rng.uniform(*scale))
    rough = noise_field(shape, um_per_px, rng, 5.0) * 0.12
    cover = {"dense": (0.6, 1.0), "sparse": (0.10, 0.26), "ex-sparse": (0.006, 0.035)}[sparsity]
    cover_now = min(rng.uniform(*cover) * amount, 1.0)
    if sparsity == "ex-sparse":  # shreds lie where the camera looks
        h, w = shape
        y, x = np.mgrid[0:h, 0:w].astype(np.float32)
        side = min(9 * PATCH_UM / um_per_px, h, w) * 0.46
        outside = np.maximum(np.abs(y - h / 2), np.abs(x - w / 2)) > side
        field = np.where(outside, np.float32(-9.0), field)
    if cover_now >= 0.97:
        return np.ones(shape, np.float32)
    level = float(np.quantile(field[::4, ::4], 1.0 - cover_now))
    return smoothstep((field + rough - np.float32(level)) / np.float32(0.10) + np.float32(0.5))


def _dirt(
    layers: list[Layer], shape: tuple[int, int], um_per_px: float, rng: Rng, dirt: float, kind: str
) -> list[Layer]:
    """Distractors; at dirt = 1 about half of the fields carry at least one."""
    mm2 = shape[0] * shape[1] * (um_per_px / 1000.0) ** 2
    out: list[Layer] = []
    if rng.uniform() < 0.30 * dirt:
        out.append(distractors.dust(shape, um_per_px, rng, 1 + int(rng.poisson(40 * mm2))))
    if rng.uniform() < 0.20 * dirt:
        out.append(distractors.debris(shape, um_per_px, rng, 1 + int(rng.poisson(60 * mm2))))
    if rng.uniform() < 0.08 * dirt:
        out.append(distractors.bubbles(shape, um_per_px, rng, 1 + int(rng.poisson(5 * mm2))))
    if rng.uniform() < 0.06 * dirt:
        out.append(distractors.pen(shape, um_per_px, rng))
    if kind == "tissue" and rng.uniform() < 0.10 * dirt:
        crease = distractors.fold(layers, um_per_px, rng)
        out.extend([crease] if crease else [])
    return out
