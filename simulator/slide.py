"""A slide: what varies from slide to slide, and the fields of view that lie on it.

Everything is drawn from one seed: the same seed gives the same slide, field by field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from simulator import distractors
from simulator.cells import paint_cells
from simulator.optics import SlideOptics
from simulator.photograph import Photographs, paint_photograph
from simulator.specimen import PATCH_UM, STAINS, Layer, PatchContent, Specimen, patch_content
from simulator.texture import noise_field, smoothstep
from simulator.tissue import paint_tissue

F32 = npt.NDArray[np.float32]
Rng = np.random.Generator

KINDS = ("cell", "tissue")  # what the painters know
TEXTURE = "texture"  # needs photographs
SPARSITIES = ("dense", "sparse", "ex-sparse")
#: patches of 81 with W* above 0.8 that make the class (as edge.measure.importance.ClassRule)
CLASS_RANGE = {"dense": (31, 81), "sparse": (9, 30), "ex-sparse": (1, 8), "blank": (0, 0)}
INFORMATIVE = 0.8
#: chance of each distractor at dirt = 1: about half of the fields carry at least one
DIRT = {"dust": 0.30, "debris": 0.20, "bubbles": 0.08, "pen": 0.06, "fold": 0.10}

#: grains on the specimen's own plane: only where a mapping of chances names them
PARTICLES = "particles"

#: a specimen's phase goes from none to this many times the usual; on this share of the slides it is
#: negative, and half as much
MOST_PHASE, NEGATIVE_PHASE = 2.0, 0.08
#: share of the slides whose specimen is soft, and how soft (sd)
SOFT, SOFTNESS_UM = 0.5, (0.05, 0.5)


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
    #: the specimen's phase, as a share of the usual for its stain; negative in a mountant denser
    #: than the specimen
    phase_share: float = 1.0
    softness_um: float = 0.0  # sd by which the specimen itself is soft, before any optics


def draw_variation(
    rng: Rng,
    tilt_um_per_mm: float = 3.0,
    thickness_um: float = 4.0,
    w040_waves: tuple[float, float] = (0.27, 0.63),
    axial_colour_um: tuple[float, float] = (0.85, 1.15),
) -> SlideVariation:
    """Draw a slide from the nominal instrument's spread.

    Tilt and thickness are per slide maxima; the two optics are drawn evenly from their range.
    """
    stains = {}
    for name, rgb in STAINS.items():
        drawn = np.maximum(np.array(rgb) * rng.normal(1.0, 0.12, 3) + rng.normal(0, 0.02, 3), 0.01)
        stains[name] = tuple(float(v) for v in drawn / np.linalg.norm(drawn))
    angle, slope = rng.uniform(0, 2 * np.pi), tilt_um_per_mm * rng.uniform() ** 2
    level = rng.uniform(195.0, 240.0)
    return SlideVariation(
        optics=SlideOptics(float(rng.uniform(*w040_waves)), float(rng.uniform(*axial_colour_um))),
        stain_rgb=stains,  # type: ignore[arg-type]
        strength=float(np.exp(rng.normal(0.0, 0.3))),
        thickness_um=float(thickness_um * rng.uniform() if rng.uniform() < 0.5 else 0.0),
        tilt_um_per_mm=(float(slope * np.cos(angle)), float(slope * np.sin(angle))),
        light_rgb=tuple(float(level * v) for v in rng.normal(1.0, 0.025, 3)),  # type: ignore[arg-type]
        vignetting=float(rng.uniform(0.0, 0.15)),
        full_well_e=float(rng.uniform(6000.0, 11000.0)),
        read_noise_e=float(rng.uniform(2.0, 6.0)),
        phase_share=_phase_share(rng),
        softness_um=float(rng.uniform(*SOFTNESS_UM)) if rng.uniform() < SOFT else 0.0,
    )


def _phase_share(rng: Rng) -> float:
    share = float(rng.uniform(0.0, MOST_PHASE))
    return -0.5 * share if rng.uniform() < NEGATIVE_PHASE else share


def make_specimen(
    kind: str,
    sparsity: str,
    shape: tuple[int, int],
    um_per_px: float,
    rng: Rng,
    variation: SlideVariation,
    dirt: float | Mapping[str, float] = 1.0,
    photographs: Photographs | None = None,
) -> Specimen:
    """Paint one field of view of the wanted kind and coverage.

    `kind` is "cell", "tissue" or "texture", which is cut from `photographs`; `sparsity`
    "dense", "sparse", "ex-sparse" or "blank". The class is checked by W* over the central 9 x 9
    patches, and painting is repeated until it fits (where the field holds that grid). `dirt`
    scales how much dust, debris, bubbles, pen and folds there are, 0 = clean; or it gives the
    chance of each by name, as in {"pen": 1.0}, and of the others none. ValueError for a kind,
    sparsity or dirt that does not exist, and for a texture without photographs.
    """
    if kind not in (*KINDS, TEXTURE) or sparsity not in CLASS_RANGE:
        raise ValueError(f"no specimen of kind {kind!r} and sparsity {sparsity!r}")
    if kind == TEXTURE and photographs is None:
        raise ValueError("a specimen of kind 'texture' needs photographs")
    chances = _chances(dirt, kind)
    amount = 1.0
    low, high = CLASS_RANGE[sparsity]
    for _ in range(16 if kind == TEXTURE else 8):  # another photograph each time
        layers = _content(kind, sparsity, shape, um_per_px, rng, variation, amount, photographs)
        _vary(layers, variation, um_per_px)
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
    specimen.layers.extend(_dirt(layers, shape, um_per_px, rng, chances))
    return specimen


def grid_corner_px(specimen: Specimen) -> tuple[float, float]:
    """Row and column at which the central 9 x 9 patches begin; negative in a smaller field."""
    h, w = specimen.shape
    side = 9 * PATCH_UM / specimen.um_per_px
    return (h - side) / 2, (w - side) / 2


def field_content(specimen: Specimen) -> PatchContent | None:
    """W* and lift of the central 9 x 9 patches; None when the field is smaller."""
    corner = grid_corner_px(specimen)
    return None if min(corner) < -0.25 else patch_content(specimen, corner)


def informative_count(specimen: Specimen) -> int | None:
    """Patches with W* above 0.8 of the central 9 x 9; None when the field is smaller."""
    content = field_content(specimen)
    return None if content is None else int((content.richness > INFORMATIVE).sum())


def _content(
    kind: str,
    sparsity: str,
    shape: tuple[int, int],
    um_per_px: float,
    rng: Rng,
    variation: SlideVariation,
    amount: float,
    photographs: Photographs | None,
) -> list[Layer]:
    if sparsity == "blank":
        return [Layer(0.0, {"eosin": np.zeros(shape, np.float32)})]
    if kind == "cell":
        centres = _cell_centres(sparsity, shape, um_per_px, rng, amount)
        return paint_cells(
            shape, um_per_px, rng, centres, variation.thickness_um, variation.strength
        )
    if kind == TEXTURE:
        assert photographs is not None
        planes = photographs.draw(rng, shape)
        islands = (
            None if sparsity == "dense" else _tissue_mask(sparsity, shape, um_per_px, rng, amount)
        )
        return paint_photograph(
            planes, um_per_px, rng, islands, variation.thickness_um, variation.strength
        )
    mask = _tissue_mask(sparsity, shape, um_per_px, rng, amount)
    return paint_tissue(shape, um_per_px, rng, mask, variation.thickness_um, variation.strength)


def _vary(layers: list[Layer], variation: SlideVariation, um_per_px: float) -> None:
    """Scale the content's phase and soften it, in place."""
    for layer in layers:
        planes = list(layer.dyes.items())
        if variation.softness_um > 0.0:
            sd = variation.softness_um / um_per_px
            layer.dyes = {name: _soft(plane, sd) for name, plane in planes}
            layer.phase = None if layer.phase is None else _soft(layer.phase, sd)
        if layer.phase is not None and variation.phase_share != 1.0:
            layer.phase = layer.phase * np.float32(variation.phase_share)


def _soft(plane: F32, sd_px: float) -> F32:
    """A specimen lives on a torus: what leaves at one edge comes in at the other."""
    return np.asarray(gaussian_filter(plane, sd_px, mode="wrap", truncate=3.0), np.float32)


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


def _chances(dirt: float | Mapping[str, float], kind: str) -> Mapping[str, float]:
    """Chance of each distractor that may come; cells do not fold unless a mapping says so."""
    if isinstance(dirt, Mapping):
        for name, chance in dirt.items():
            if name not in (*DIRT, PARTICLES) or not 0.0 <= chance <= 1.0:
                names = [*DIRT, PARTICLES]
                raise ValueError(f"dirt: no chance {chance!r} of {name!r}; 0..1 of {names}")
        return dirt
    return {name: dirt * share for name, share in DIRT.items() if name != "fold" or kind != "cell"}


def _dirt(
    layers: list[Layer],
    shape: tuple[int, int],
    um_per_px: float,
    rng: Rng,
    chances: Mapping[str, float],
) -> list[Layer]:
    """Distractors, each with its chance; one that is not named costs no random draw."""
    mm2 = shape[0] * shape[1] * (um_per_px / 1000.0) ** 2

    def comes(name: str) -> bool:
        return name in chances and rng.uniform() < chances[name]

    out: list[Layer] = []
    if comes("dust"):
        out.append(distractors.dust(shape, um_per_px, rng, 1 + int(rng.poisson(40 * mm2))))
    if comes("debris"):
        out.append(distractors.debris(shape, um_per_px, rng, 1 + int(rng.poisson(60 * mm2))))
    if comes("particles"):
        many = float(np.exp(rng.uniform(np.log(4.0), np.log(120.0))))
        out.append(distractors.particles(shape, um_per_px, rng, 1 + int(rng.poisson(many * mm2))))
    if comes("bubbles"):
        out.append(distractors.bubbles(shape, um_per_px, rng, 1 + int(rng.poisson(5 * mm2))))
    if comes("pen"):
        out.append(distractors.pen(shape, um_per_px, rng))
    if comes("fold"):
        crease = distractors.fold(layers, um_per_px, rng)
        out.extend([crease] if crease else [])
    return out
