"""Where thin slides are sharpest, by which measure, with how much phase: docs/decisions/0011.

    python benchmarks/sharpest_plane.py [--fields 8] [--json FILE] [--picture FILE]

Each field is 512 x 512 px of the nominal instrument, rendered every 0.125 um. A height is the
objective's less that of the layer. "noisy": the peak of ten noisy pictures' curves, its spread.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.files import write_json
from edge.measure.sharpness import LUMINANCE, gradient_energy
from simulator.optics import NOMINAL
from simulator.render import Renderer, expose
from simulator.sharpness import peak_um
from simulator.slide import KINDS, SlideVariation, draw_variation, make_specimen

F32 = npt.NDArray[np.float32]
SHAPE = (512, 512)
HEIGHTS = np.arange(-2.0, 2.01, 0.125)
PHASE = (0.0, 0.5, 1.0, 2.0, -0.5)
NOISY = 10
SHOWN_UM, SHOWN_PX, SCALE = (-1.25, -0.625, 0.0, 0.625, 1.25), 72, 3


def luminance(picture: F32) -> F32:
    """Linear luminance of (h, w, 3)."""
    return np.asarray(picture @ np.array(LUMINANCE, np.float32), np.float32)


def octave(plane: F32) -> F32:
    """Half the size."""
    half = (plane.shape[1] // 2, plane.shape[0] // 2)
    return np.asarray(cv2.resize(plane, half, interpolation=cv2.INTER_AREA), np.float32)


def laplacian(plane: F32) -> F32:
    """Squared Laplacian per pixel."""
    return np.asarray(cv2.Laplacian(plane, cv2.CV_32F) ** 2, np.float32)


MEASURES: dict[str, Callable[[F32], float]] = {
    "Tenengrad, luminance": lambda p: float(gradient_energy(luminance(p)).mean()),
    "the same, one octave coarser": lambda p: float(gradient_energy(octave(luminance(p))).mean()),
    "Tenengrad, green": lambda p: float(gradient_energy(np.ascontiguousarray(p[..., 1])).mean()),
    "Laplacian, green": lambda p: float(laplacian(np.ascontiguousarray(p[..., 1])).mean()),
    "variance, luminance": lambda p: float(luminance(p).var()),
}


def slides(count: int) -> list[tuple[str, SlideVariation, int]]:
    """Thin flat slides without softness, cells and tissue in turn."""
    made = []
    for index, kind in itertools.product(range(count), KINDS):
        rng = np.random.default_rng([11, index])
        drawn = draw_variation(rng, tilt_um_per_mm=0.0, thickness_um=0.0)
        made.append((kind, dataclasses.replace(drawn, softness_um=0.0), index))
    return made


def renderer_of(kind: str, slide: SlideVariation, index: int, phase: float) -> Renderer:
    """The same specimen whatever its phase."""
    slide = dataclasses.replace(slide, phase_share=phase)
    rng = np.random.default_rng([12, index])
    specimen = make_specimen(kind, "dense", SHAPE, NOMINAL.um_per_px, rng, slide, 0.0)
    return Renderer(specimen, slide.optics)


def measure(count: int) -> list[dict[str, object]]:
    """A row per measure: mean and sd over slides of the sharpest height per share of phase."""
    shares: dict[tuple[str, float], list[float]] = {}
    noise: dict[str, list[float]] = {name: [] for name in MEASURES}
    gain: dict[float, list[float]] = {phase: [] for phase in PHASE}
    for (kind, slide, index), phase in itertools.product(slides(count), PHASE):
        renderer = renderer_of(kind, slide, index, phase)
        planes = [renderer.intensity(float(z)) for z in HEIGHTS]
        for name, of in MEASURES.items():
            curve = np.array([of(plane) for plane in planes])
            shares.setdefault((name, phase), []).append(float(peak_um(HEIGHTS, curve)))
            if name.startswith("Tenengrad, lum"):
                gain[phase].append(float(curve.max() / curve[np.abs(HEIGHTS).argmin()]))
        if phase == 1.0:
            rng = np.random.default_rng([13, index])
            every = range(0, len(HEIGHTS), 4)
            for name, of in MEASURES.items():
                peaks = [
                    float(peak_um(HEIGHTS[::4], np.array([
                        of(expose(planes[i], slide, rng).astype(np.float32)) for i in every
                    ])))
                    for _ in range(NOISY)
                ]  # fmt: skip
                noise[name].append(float(np.std(peaks)))
    return [
        {
            "measure": name,
            **{f"{phase:g}": [round(float(np.mean(shares[name, phase])), 3),
                              round(float(np.std(shares[name, phase])), 3)] for phase in PHASE},
            "noisy_sd": round(float(np.mean(noise[name])), 3),
        }
        for name in MEASURES
    ] + [{"measure": "energy of the sharpest plane over that of height 0",
          **{f"{p:g}": [round(float(np.mean(v)), 2), round(float(np.std(v)), 2)]
             for p, v in gain.items()}}]  # fmt: skip


def picture(path: Path) -> None:
    """Nuclei at five heights (columns), with none, the usual and a negative phase (rows)."""
    rows = []
    for kind, phase in itertools.product(KINDS, (0.0, 1.0, -0.5)):
        _, slide, index = next(s for s in slides(1) if s[0] == kind)
        renderer = renderer_of(kind, slide, index, phase)
        planes = [renderer.intensity(z) for z in SHOWN_UM]
        detail = cv2.blur(gradient_energy(luminance(planes[2])), (SHOWN_PX, SHOWN_PX))
        half = SHOWN_PX // 2
        inner = detail[half:-half, half:-half]
        row, column = np.unravel_index(int(inner.argmax()), inner.shape)
        part = slice(row, row + SHOWN_PX), slice(column, column + SHOWN_PX)
        energy = [float(gradient_energy(luminance(plane))[part].mean()) for plane in planes]
        cells = []
        for z_um, plane, value in zip(SHOWN_UM, planes, energy, strict=True):
            pixels = np.clip(plane[part] * 225.0, 0, 255).astype(np.uint8)[..., ::-1]
            size = (SHOWN_PX * SCALE, SHOWN_PX * SCALE)
            cell = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
            words = f"{kind}, phase x {phase:g}, {z_um:+.2f} um, {value / max(energy):.2f}"
            cv2.putText(cell, words, (4, 12), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (0, 0, 0), 1,
                        cv2.LINE_AA)  # fmt: skip
            cells.append(cell)
        rows.append(np.hstack(cells))
    cv2.imwrite(str(path), np.vstack(rows), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--fields", type=int, default=8, help="of each kind")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="PNG of nuclei through focus")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.picture is not None:
        picture(options.picture)
    rows = measure(options.fields)
    for row in rows:
        values = "  ".join(f"{k} {v}" for k, v in row.items() if k != "measure")
        print(f"{row['measure']:<52}{values}")
    write_json({"fields": options.fields, "rows": rows}, options.json)


if __name__ == "__main__":
    main()
