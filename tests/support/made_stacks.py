"""Small through-focus stacks of simulated fields, written in the project's format."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np

from edge.measure.preprocess import PatchGrid
from simulator.optics import NOMINAL, SlideOptics
from simulator.render import Renderer, expose
from simulator.slide import draw_variation, make_specimen
from simulator.specimen import Specimen

COLUMNS = ("file", "page", "stack_id", "z_um", "focus_z_um", "um_per_px")
FOCUS_UM = 100.0


def field(seed, shape=(512, 512), kind="cell", coverage="dense", tilt=0.0):
    """A specimen and its slide."""
    rng = np.random.default_rng(seed)
    slide = draw_variation(rng, tilt_um_per_mm=0.0, thickness_um=0.0)
    specimen = make_specimen(kind, coverage, shape, NOMINAL.um_per_px, rng, slide, 0.0)
    specimen.tilt_um_per_mm = (tilt, 0.0)
    return specimen, slide


def phase_only(specimen: Specimen) -> Specimen:
    """The same, unstained: it only shifts the phase."""
    layers = []
    for layer in specimen.layers:
        amount = sum(layer.dyes.values())
        clear = {name: np.zeros_like(dye) for name, dye in layer.dyes.items()}
        layers.append(type(layer)(layer.z_um, clear, 0.8 * amount.astype(np.float32)))
    return Specimen(specimen.kind, specimen.um_per_px, layers, specimen.stain_rgb)


def pictures(made, away_um, optics=None, seed=0):
    """(n, h, w, 3) uint8: the field at these heights above focus."""
    specimen, slide = made
    rng = np.random.default_rng(seed)
    renderer = Renderer(specimen, optics or slide.optics)
    return np.stack([expose(renderer.intensity(float(d)), slide, rng) for d in away_um])


def write(folder: Path, stacks, focus_um: float | None = FOCUS_UM, um_per_px="0.34", up=1):
    """{name: (heights above focus, pictures)} -> the manifest's path; z = up * (focus + height)."""
    rows = []
    for name, (away_um, images) in stacks.items():
        for index, (height, image) in enumerate(zip(away_um, images, strict=True)):
            file = f"{name}_{index:02d}.png"
            cv2.imwrite(str(folder / file), np.ascontiguousarray(image[..., ::-1]))
            focus = "" if focus_um is None else f"{up * focus_um:.3f}"
            z_um = f"{up * (FOCUS_UM + height):.3f}"
            rows.append((file, "", name, z_um, focus, um_per_px))
    path = folder / "manifest.csv"
    with path.open("w", newline="") as out:
        csv.writer(out).writerows([COLUMNS, *rows])
    return path


def optics(w040=0.45, colour=1.0):
    """Of the slide."""
    return SlideOptics(w040, colour)


#: few patches: quick
SMALL = PatchGrid(2, 2)


def silent(line):
    """Say nothing."""
