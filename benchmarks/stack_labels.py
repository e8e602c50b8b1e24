"""How far a stack's measured focus lies from the simulator's truth: docs/adaptation.md.

    python benchmarks/stack_labels.py [--fields 3] [--json FILE]

Each field is 512 x 512 px (2 x 2 patches) of the nominal instrument, as a camera sees it through
focus, and is labelled as `sparsefocus calibrate --zstacks` does. The truth is that of decision 11:
where the patches with content (W* > 0.8), without dirt and noise, have the most gradient energy of
luminance together; of a specimen that only shifts the phase, the height of its layer.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.files import write_json
from edge.measure.preprocess import PATCH_PX, PatchGrid
from edge.measure.sharpness import gradient_energy
from simulator.optics import NOMINAL, SlideOptics
from simulator.render import Renderer, expose
from simulator.sharpness import peak_um
from simulator.slide import INFORMATIVE, KINDS, SlideVariation, draw_variation, make_specimen
from simulator.specimen import Specimen, patch_content
from training.adapt.label import label

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]
SHAPE = (512, 512)
PATCHES = PatchGrid.of_frame(*SHAPE)
FOCUS_UM = 100.0  # of the stage, where the objective is at the layer's height
TRUTH_UM = np.arange(-4.0, 4.1, 0.25)
Change = Callable[[SlideVariation], SlideVariation]
#: reach and step of a stack, which begins anywhere within a step
WIDE, NEAR, COARSE = (8.0, 1.0), (3.0, 0.5), (20.0, 2.0)


@dataclass(frozen=True, slots=True)
class Case:
    """What is special about a field and its stack."""

    planes_um: tuple[float, float]
    change: Mapping[str, object] = dataclasses.field(default_factory=dict)
    coverage: str = "dense"
    tilt_um_per_mm: float = 0.0
    dirt: Mapping[str, float] = dataclasses.field(default_factory=dict)
    stained: bool = True


CASES = {
    "thin": Case(WIDE),
    "thin, all planes within 3 um": Case(NEAR),
    "thin, planes 2 um apart": Case(COARSE),
    "sparse": Case(WIDE, coverage="sparse"),
    "thick, 3 um": Case(WIDE, {"thickness_um": 3.0}),
    "soft": Case(WIDE, {"softness_um": 0.5}),
    "noisy (a seventh of the light)": Case(WIDE, {"full_well_e": 1200.0}),
    "tilted, 4 um per mm": Case(WIDE, tilt_um_per_mm=4.0),
    "dusty": Case(WIDE, dirt={"dust": 1.0, "debris": 1.0}),
    "without phase": Case(WIDE, {"phase_share": 0.0}),
    "twice the phase": Case(WIDE, {"phase_share": 2.0}),
    "negative phase": Case(WIDE, {"phase_share": -0.5}),
    "strange optics": Case(WIDE, {"optics": SlideOptics(0.95, 1.6)}),
    "phase only": Case(WIDE, stained=False),
    "phase only, no aberration": Case(WIDE, {"optics": SlideOptics(0.0, 0.0)}, stained=False),
}


@dataclass(frozen=True, slots=True)
class Made:
    """A field as pictures, and what is true of it, heights over FOCUS_UM."""

    images: list[U8]
    away_um: F64
    true_um: float  # NaN where no patch has content
    richness: F32  # (rows, columns)


def made(case: Case, kind: str, index: int) -> Made:
    """The pictures and truth of one field."""
    rng = np.random.default_rng([21, index, KINDS.index(kind)])
    slide = draw_variation(rng, tilt_um_per_mm=0.0, thickness_um=0.0)
    slide = dataclasses.replace(slide, **{"softness_um": 0.0, "phase_share": 1.0, **case.change})
    specimen = make_specimen(kind, case.coverage, SHAPE, NOMINAL.um_per_px, rng, slide, case.dirt)
    specimen.tilt_um_per_mm = (case.tilt_um_per_mm, 0.0)
    grid = PATCHES.rows, PATCHES.columns
    top, left = ((size - PATCH_PX * n) // 2 for size, n in zip(SHAPE, grid, strict=True))
    corner = top, left
    content = patch_content(specimen, corner, grid)  # of the painted specimen, stained or not
    if not case.stained:
        specimen = _unstained(specimen)
    renderer = Renderer(specimen, slide.optics)
    energy = np.stack(
        [_patches(gradient_energy(renderer.luminance(float(z))), corner) for z in TRUTH_UM]
    )
    rich = content.richness > INFORMATIVE
    # the tilt is what the patches are lifted by: their curves are shifted, then added
    shifted = [
        np.interp(TRUTH_UM, TRUTH_UM + lift, curve)
        for lift, curve in zip(content.lift_um[rich], energy[:, rich].T, strict=True)
    ]
    true_um = 0.0 if not case.stained else math.nan
    if case.stained and rich.any():
        true_um = float(peak_um(TRUTH_UM, np.sum(shifted, axis=0)))
    noise = np.random.default_rng([22, index, KINDS.index(kind)])
    reach, step = case.planes_um
    away = np.arange(-reach, reach + step, step) + step * noise.uniform(-0.5, 0.5)
    images = [expose(renderer.intensity(float(z)), slide, noise) for z in away]
    return Made(images, away, true_um, content.richness)


def _unstained(specimen: Specimen) -> Specimen:
    """The same, but it only shifts the phase."""
    layers = [
        dataclasses.replace(
            layer,
            dyes={name: np.zeros_like(dye) for name, dye in layer.dyes.items()},
            phase=0.8 * np.sum(list(layer.dyes.values()), axis=0, dtype=np.float32),
        )
        for layer in specimen.layers
    ]
    return Specimen(specimen.kind, specimen.um_per_px, layers, specimen.stain_rgb)


def _patches(plane: F32, corner: tuple[int, int]) -> F64:
    top, left = corner
    part = plane[top : top + PATCH_PX * PATCHES.rows, left : left + PATCH_PX * PATCHES.columns]
    shape = PATCHES.rows, PATCH_PX, PATCHES.columns, PATCH_PX
    return np.asarray(part.reshape(shape).mean(axis=(1, 3)), np.float64)


def fields(case: Case, count: int) -> Iterator[Made]:
    """`count` of cells and as many of tissue."""
    for index in range(count):
        for kind in KINDS:
            yield made(case, kind, index)


def measure(count: int) -> list[dict[str, object]]:
    """A row per case: error of the field's focus, mean and greatest; of the patches' content, how
    many were found and how many of the found are true; and how often a dip was the focus."""
    rows = []
    for name, case in CASES.items():
        error, true, claims, both, dips = [], 0, 0, 0, 0
        for field in fields(case, count):
            heights = [FOCUS_UM + float(z) for z in field.away_um]
            labels = label(heights, lambda i, field=field: field.images[i], PATCHES, None)
            if not math.isfinite(field.true_um):
                continue  # nothing in it: no focus
            error.append(labels.measured_um - FOCUS_UM - field.true_um)
            claimed, rich = labels.richness > INFORMATIVE, field.richness > INFORMATIVE
            true, claims, both = (
                true + rich.sum(),
                claims + claimed.sum(),
                both + (claimed & rich).sum(),
            )
            dips += labels.reversed_contrast
        known = [e for e in error if np.isfinite(e)]
        rows.append({
            "case": name, "fields": len(error), "measured": len(known),
            "mean_um": round(float(np.mean(known)), 3),
            "mean_error_um": round(float(np.mean(np.abs(known))), 3),
            "worst_um": round(float(np.max(np.abs(known))), 3),
            "rich": int(true), "found": int(claims), "found_rightly": int(both), "dips": int(dips),
        })  # fmt: skip
        print("  ".join(f"{k} {v}" for k, v in rows[-1].items()), flush=True)
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fields", type=int, default=3, help="of each kind, cells and tissue")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    write_json({"fields": options.fields, "rows": measure(options.fields)}, options.json)


if __name__ == "__main__":
    main()
