"""Dyes by their natural absorbance in red, green and blue (strongest = 1), mixed for a slide."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from training.judge.canvas import Dye

Rng = np.random.Generator

#: read off published absorption spectra at the three wavelengths, rounded
_DYES: Mapping[str, Dye] = {
    "haemalum": (0.78, 1.00, 0.46),  # blue-violet
    "eosin": (0.06, 1.00, 0.30),
    "fast_green": (1.00, 0.42, 0.16),
    "orange": (0.05, 0.38, 1.00),
    "red_cell": (0.07, 1.00, 0.62),
    "dab": (0.42, 0.74, 1.00),
    "azure": (1.00, 0.72, 0.22),
    "grey": (1.00, 1.00, 1.00),
}
#: what stands for (nucleus, plasma a, plasma b, fibre, red cell)
ROLES = ("nucleus", "plasma_a", "plasma_b", "fibre", "red_cell")
_PALETTES: Mapping[str, tuple[str, ...]] = {
    "pap": ("haemalum", "fast_green", "eosin", "eosin", "orange"),
    "he": ("haemalum", "eosin", "haemalum", "eosin", "red_cell"),
    "dab": ("haemalum", "dab", "haemalum", "haemalum", "haemalum"),
    "giemsa": ("azure", "eosin", "azure", "eosin", "eosin"),
    "eosin": ("eosin", "eosin", "eosin", "eosin", "red_cell"),
    "blue": ("haemalum", "haemalum", "azure", "haemalum", "haemalum"),
    "grey": ("grey", "grey", "grey", "grey", "grey"),
}
#: stains by name: what dyes them, and how strongly
STAINS: Mapping[str, float] = {
    "usual": 1.0, "faded": 0.4, "strong": 1.8, "dab": 1.0, "giemsa": 1.0, "eosin": 1.0,
    "blue": 1.0, "grey": 1.0, "unstained": 0.0,
}  # fmt: skip


def palette(stain: str, kind: str, rng: Rng) -> tuple[dict[str, Dye], float]:
    """Dye of each role, a little different on every slide, and the stain's strength; Pap on cells
    and H&E on tissue where the stain does not say. ValueError for an unknown stain."""
    if stain not in STAINS:
        raise ValueError(f"stain {stain!r} must be one of {', '.join(STAINS)}")
    usual = "pap" if kind == "cell" else "he"
    names = _PALETTES.get(stain, _PALETTES[usual])
    drawn = {}
    for role, name in zip(ROLES, names, strict=True):
        bent = np.array(_DYES[name]) * np.exp(rng.normal(0.0, 0.10, 3)) + 0.03 * rng.uniform(
            0, 1, 3
        )
        bent /= bent.max()
        drawn[role] = (float(bent[0]), float(bent[1]), float(bent[2]))
    return drawn, STAINS[stain]
