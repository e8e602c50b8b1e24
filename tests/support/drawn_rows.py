"""Rows of an evaluation whose errors are drawn from a known model."""

from __future__ import annotations

import math

import numpy as np

from edge.measure.by_patches import NumberByPatches, number_for
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.interval import IntervalModel
from training.conformal import slide_share
from training.fit_interval import intervals
from training.frame_rows import FrameRow, slide_numbers

START = IntervalModel(range_um=27.0)
GROUPS = [(kind, name, k) for kind in ("cell", "tissue")
          for name, k in (("dense", 31), ("sparse", 9), ("ex-sparse", 3))]  # fmt: skip
USUAL = {"background": 230.0, "red balance": 0.02, "blue balance": -0.05, "saturated": 0.0,
         "black": 0.0, "colour": 0.2, "contrast": 0.15}  # fmt: skip
NOTHING = PatchDefocus(*[np.empty(0, np.float32)] * 3, (), Sparsity.DENSE, True)


def interval_rows(slides: int, seed: int, heavy: bool = False, frames: int = 2) -> list[FrameRow]:
    """Errors whose size follows everything known at run time, and the slide.

    Tissue chooses patches of less importance and errs more for it; a slide's frames share half of
    the logarithm of their size. `slides` per group.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for kind, name, k in GROUPS:
        for slide in range(slides):
            bad = math.exp(rng.normal(0, 0.3))
            for _ in range(frames):
                few = int(rng.integers(1, 4)) if k == 3 else k
                reading = float(rng.uniform(-25, 25))
                network = 0.15 * math.exp(rng.normal(0, 0.5)) * (1 + abs(reading) / 10)
                between = network * math.exp(rng.normal(0, 0.3))
                importance = 1 - float(rng.uniform(0, 0.2 if kind == "tissue" else 0.05))
                size = bad * math.hypot(
                    0.05, 0.5 * network * (1 + 1 / math.sqrt(few)), 3 * (1 - importance),
                    0.01 * reading,
                )  # fmt: skip
                error = abs(float(rng.standard_t(4) if heavy else rng.normal())) * size
                rows.append(FrameRow(
                    "everyday", f"{kind} {name}", f"{kind}{name}{slide}", few, error, reading,
                    network, between, importance, NOTHING, {},
                ))  # fmt: skip
    return rows


def at_every_k(exponent: NumberByPatches) -> list[float]:
    return [number_for(exponent, k) for k in (3, 9, 31)]


def group_coverage(rows: list[FrameRow], calibration: IntervalModel) -> dict[str, float]:
    inside = np.array([r.error_um for r in rows]) <= intervals(rows, calibration)
    return {
        f"{kind} {name}": slide_share(
            inside[mine], slide_numbers([r for r, m in zip(rows, mine, strict=True) if m])
        )[0]
        for kind, name, _ in GROUPS
        for mine in [np.array([row.group == f"{kind} {name}" for row in rows])]
    }


# --- the training range


def optics_rows(
    condition: str, slides: int, seed: int, w040: tuple[float, float] = (0.27, 0.63),
    colour: tuple[float, float] = (0.85, 1.15), novelty: float = 1.0, known: bool = True,
    frames: int = 1,
) -> list[FrameRow]:  # fmt: skip
    """Frames whose patches estimate their slide's optics with the deviation they claim."""
    rng = np.random.default_rng([seed, len(condition)])
    rows = []
    for kind, name, k in GROUPS:
        for slide in range(slides):
            truth = rng.uniform(*w040), rng.uniform(*colour)
            corner = condition == "edge"
            if corner:
                truth = w040[slide % 2], colour[slide // 2 % 2]
            for _ in range(frames):
                few = int(rng.integers(1, 4)) if k == 3 else k
                sd = np.stack([rng.uniform(0.03, 0.1, few), rng.uniform(0.04, 0.12, few)], 1)
                own = truth + rng.normal(0, 1, 2) * 0.5 * sd.mean(0)  # what all patches share
                values = own + rng.normal(0, 1, (few, 2)) * 0.8 * sd
                optics = np.stack([values[:, 0], sd[:, 0], values[:, 1], sd[:, 1]], 1)
                ones = np.ones(few, np.float32)
                strange = novelty * rng.lognormal(0, 0.15, few)
                patches = PatchDefocus(
                    ones, ones, ones, ((0, 0),) * few, Sparsity.DENSE, True,
                    optics.astype(np.float32) if known else None,
                    strange.astype(np.float32) if known else None,
                )  # fmt: skip
                photometry = {
                    key: value * float(rng.uniform(0.9, 1.1)) for key, value in USUAL.items()
                }
                rows.append(FrameRow(condition, f"{kind} {name}", f"{kind}{name}{slide}", few, 0.1,
                                     1.0, 0.2, 0.1, 1.0, patches, photometry))  # fmt: skip
    return rows


def inside_rows(slides: int, seed: int) -> list[FrameRow]:
    return [*optics_rows("everyday", slides, seed), *optics_rows("edge", slides // 2, seed)]


OUTSIDE = {"outside-w040": {"w040": (0.95, 0.95)}, "outside-axial": {"colour": (1.6, 1.6)}}


def outside_rows(slides: int, seed: int) -> list[FrameRow]:
    return [row for name, how in OUTSIDE.items() for row in optics_rows(name, slides, seed, **how)]
