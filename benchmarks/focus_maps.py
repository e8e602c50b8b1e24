"""Focus maps against the truth, on simulated slides of published parameters.

python -m benchmarks.focus_maps [--slides 10] [--roughness 1] [--json FILE]

Every way gets the same slides. Readings are the truth with an error of 0.15 um (sd), of which a
share is anywhere within 10 um; the error of a map is taken over all tissue fields. A place of which
a map says nothing counts as out of focus. The numbers are of the interpolation alone: how long a
reading takes, and what the networks say of a picture, is not in them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks import machine
from edge.wsi.focus_map import Anchor, FocusMap, MapLimits, farthest_first
from edge.wsi.focus_priors import PRIORS
from simulator.topography import Topography, TopographyParameters

F64 = npt.NDArray[np.float64]
HALF_DOF_UM = 0.605
SD_UM = 0.15
RETAKE_UM = 0.35
TISSUE = 0.55
WIDE = MapLimits(reach_um=1e6, support=3, support_um=1e6)


@dataclass(slots=True)
class Slide:
    """Tissue fields in the order of a snake, and the focus of each."""

    x_um: F64
    y_um: F64
    z_um: F64
    rng: np.random.Generator

    def read(self, i: int, wild: float) -> float:
        """What a reading of field i says."""
        off = self.rng.uniform(-10, 10) if self.rng.random() < wild else 0.0
        return float(self.z_um[i] + self.rng.normal(0, SD_UM) + off)

    def anchor(self, i: int, wild: float) -> Anchor:
        """The same, as the map takes it."""
        return Anchor(self.x_um[i], self.y_um[i], self.read(i, wild), 1.96 * SD_UM, 0)


def slide(seed: int, roughness: float) -> Slide:
    """15 x 15 mm in fields 749 x 627 um apart, 55 % of them tissue."""
    truth = Topography(seed, TopographyParameters(roughness=roughness))
    x, y = np.meshgrid((np.arange(20) - 9.5) * 749.0, (np.arange(24) - 11.5) * 627.0)
    x[1::2] = x[1::2, ::-1]
    content = truth.tissue(x, y)
    tissue = content > np.quantile(content, 1 - TISSUE)
    z = truth.height_um(x[tissue], y[tissue])
    return Slide(x[tissue], y[tissue], z, np.random.default_rng(1000 + seed))


def key_points(name: str, count: int, wild: float) -> Callable[[Slide], F64]:
    """A map from `count` fields far apart."""

    def way(on: Slide) -> F64:
        places = zip(on.x_um.tolist(), on.y_um.tolist(), strict=True)
        fields = {place: i for i, place in enumerate(places)}
        focus_map = FocusMap(PRIORS[name](), WIDE)
        for place in farthest_first(fields, count):
            focus_map.add(on.anchor(fields[place], wild))
        return _error(on, focus_map)

    return way


def two_step(name: str, wild: float) -> Callable[[Slide], F64]:
    """One shot on every tissue field, of which nine in ten are answered."""

    def way(on: Slide) -> F64:
        focus_map = FocusMap(PRIORS[name]())
        for i in range(len(on.z_um)):
            if on.rng.random() < 0.9:
                focus_map.add(on.anchor(i, wild))
        return _error(on, focus_map)

    return way


def one_step(retake: bool, wild: float) -> Callable[[Slide], F64]:
    """Each field is taken where the map of the fields behind expects it, and measured as it is
    taken; with `retake`, once more where it was farther off than 0.35 um."""

    def way(on: Slide) -> F64:
        focus_map, errors, z_um = FocusMap(), [], float(on.z_um[0])
        for i, truth in enumerate(on.z_um):
            expected = focus_map.at(on.x_um[i], on.y_um[i])
            z_um = expected.z_um if expected.interval_um < np.inf else z_um  # else the last field's
            reading = on.anchor(i, wild) if on.rng.random() < 0.9 else None
            if reading is not None:
                focus_map.add(reading)
                if retake and abs(reading.z_um - z_um) > RETAKE_UM:
                    z_um = reading.z_um
            errors.append(z_um - truth)
        return np.abs(errors)

    return way


def _error(on: Slide, focus_map: FocusMap) -> F64:
    heights_um = [focus_map.at(x, y).z_um for x, y in zip(on.x_um, on.y_um, strict=True)]
    return np.nan_to_num(np.abs(np.array(heights_um) - on.z_um), nan=np.inf)


def ways() -> dict[str, Callable[[Slide], F64]]:
    """By the name in the table."""
    functions: dict[str, Callable[[Slide], F64]] = {}
    for name in PRIORS:
        for count in (9, 16, 25, 49, 100):
            functions[f"{count} key points, {name}"] = key_points(name, count, 0.0)
    for name in ("thin-plate", "gaussian-process"):
        functions[f"25 key points, 3 % wild, {name}"] = key_points(name, 25, 0.03)
    for name in PRIORS:
        functions[f"two-step, 1 % wild, {name}"] = two_step(name, 0.01)
    functions["one-step, 1 % wild"] = one_step(False, 0.01)
    functions["one-step with retake, 1 % wild"] = one_step(True, 0.01)
    return functions


def row(errors: Sequence[F64]) -> dict[str, float]:
    """The numbers of one way: over all fields, and of the worst slide."""
    every, finite = np.concatenate(errors), [e[np.isfinite(e)] for e in errors]
    known = np.concatenate(finite)
    return {
        "mean_um": round(float(known.mean()), 3),
        "p95_um": round(float(np.quantile(known, 0.95)), 3),
        "within_half_dof": round(float((every <= HALF_DOF_UM).mean()), 4),
        "worst_slide": round(min(float((e <= HALF_DOF_UM).mean()) for e in errors), 4),
        "unknown": round(float(np.isinf(every).mean()), 4),
    }


def main() -> None:
    """Print a table; with --json, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slides", type=int, default=10)
    parser.add_argument("--roughness", type=float, default=1.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: dict[str, Any] = {}
    for name, way in ways().items():
        errors = [way(slide(seed, options.roughness)) for seed in range(options.slides)]
        rows[name] = row(errors)
    machine.write(
        options.json, {"slides": options.slides, "roughness": options.roughness, "ways": rows}
    )


if __name__ == "__main__":
    main()
