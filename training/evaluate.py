"""Judge exported models on fresh slides: `python -m training.evaluate dpn|rin --seed 7`.

The slides come from the validation domain (see `training.pool`), so no model has seen them; they
come from the same simulator, so the numbers say nothing about real slides. DPN: single patches
with known content, no RIN. RIN: whole crops with distractors.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.files import write_json
from engines.engine import MODELS, Engine, open_engine
from simulator.optics import NOMINAL
from simulator.render import Renderer, expose
from simulator.slide import INFORMATIVE, KINDS, draw_variation, make_specimen
from training.fields import COVERAGE, render_crop
from training.labels import BLOCK_PX, FIELD_PX, block_label, pack_label, window_label
from training.pool import VALIDATION

F32 = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
PATCH_PX = 224
#: half the depth of field of the nominal objective, um
DOF_UM = 0.63
NEAR_UM, RANGE_UM, FAR_UM = 3.0, 25.0, 55.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One patch: where it came from, its content, the true correction and the network's."""

    kind: str
    coverage: str
    draw: str  # "range" even in +-25, "near" +-3, "far" 26..55
    richness: float
    true_um: float
    found_um: float
    spread_um: float


def _deltas(rng: np.random.Generator) -> Iterator[tuple[str, float]]:
    for _ in range(3):
        yield "range", float(rng.uniform(-RANGE_UM, RANGE_UM))
    yield "near", float(rng.uniform(-NEAR_UM, NEAR_UM))
    for sign in (-1.0, 1.0):
        yield "far", float(sign * rng.uniform(26.0, FAR_UM))


def judge_dpn(engine: Engine, seed: int, specimens: int) -> list[Judged]:
    """Six z of each specimen, one window with W* > 0.3 per picture."""
    out: list[Judged] = []
    for index in range(specimens):
        rng = np.random.default_rng([VALIDATION, seed, index])
        kind, coverage = KINDS[index % 2], list(COVERAGE)[index // 2 % 3]
        variation = draw_variation(rng, tilt_um_per_mm=0.0)
        shape = (FIELD_PX, FIELD_PX)
        specimen = make_specimen(kind, coverage, shape, NOMINAL.um_per_px, rng, variation)
        renderer = Renderer(specimen, variation.optics)
        blocks = block_label(specimen, renderer)
        for draw, delta in _deltas(rng):
            richness, correction = window_label(pack_label(delta, *blocks, variation), PATCH_PX)
            places = np.argwhere(richness > 0.3)
            if not len(places):
                continue
            row, column = (int(v) for v in places[rng.integers(len(places))])
            top, left = row * BLOCK_PX, column * BLOCK_PX
            image = expose(renderer.intensity(delta), variation, rng)
            patch = image[None, top : top + PATCH_PX, left : left + PATCH_PX]
            answers, spread, *_ = engine.infer(np.ascontiguousarray(patch))
            rich, true = float(richness[row, column]), float(correction[row, column])
            out.append(
                Judged(kind, coverage, draw, rich, true, float(answers[0]), float(spread[0]))
            )
    return out


def score_dpn(judged: list[Judged]) -> dict[str, Any]:
    """Error (um), direction and share within half the depth of field, per group of patches.

    Direction is right where true and found do not differ in sign; zero counts as right (the
    text around the paper's Eq. 4).
    """
    in_range = [j for j in judged if j.draw == "range"]
    groups = {"range": in_range}
    for low, high in ((0, 3), (3, 10), (10, 25)):
        groups[f"{low}-{high} um"] = [
            j for j in judged if j.draw != "far" and low <= abs(j.true_um) < high
        ]
    groups["26-55 um"] = [j for j in judged if j.draw == "far"]
    groups["range, W*>0.8"] = [j for j in in_range if j.richness > INFORMATIVE]
    for kind in KINDS:
        for coverage in COVERAGE:
            groups[f"range, {kind} {coverage}"] = [
                j for j in in_range if j.kind == kind and j.coverage == coverage
            ]
    surest = sorted(in_range, key=lambda j: j.spread_um)[: len(in_range) // 2]
    groups["range, surer half"] = surest
    return {name: _row(rows) for name, rows in groups.items() if rows}


def _row(rows: list[Judged]) -> dict[str, float]:
    true = np.array([j.true_um for j in rows])
    answer = np.array([j.found_um for j in rows])
    error = np.abs(answer - true)
    spread = np.array([j.spread_um for j in rows])
    clear = np.abs(true) > DOF_UM
    right = true * answer >= 0.0
    return {
        "patches": len(rows),
        "mae_um": round(float(error.mean()), 3),
        "median_um": round(float(np.median(error)), 3),
        "p95_um": round(float(np.quantile(error, 0.95)), 3),
        "direction": round(float(right.mean()), 4),
        "direction_outside_dof": round(float(right[clear].mean()), 4) if clear.any() else 1.0,
        "within_dof": round(float((error < DOF_UM).mean()), 3),
        # a 95 % interval of one patch is this many times its spread
        "p95_error_per_spread": round(float(np.quantile(error / (spread + 1e-3), 0.95)), 2),
    }


def judge_rin(engine: Engine, seed: int, fields: int) -> list[tuple[str, float, F32, F32]]:
    """(class, delta, W*, W) of fresh crops: every class in turn, half of them at |z| >= 20."""
    out = []
    classes = (*COVERAGE, "blank")
    for index in range(fields):
        rng = np.random.default_rng([VALIDATION, seed, index])
        kind, coverage = KINDS[index % 2], classes[index // 2 % 4]
        variation = draw_variation(rng, tilt_um_per_mm=0.0)
        sign = float(rng.choice((-1.0, 1.0)))
        deltas = [float(rng.uniform(-20.0, 20.0)), sign * float(rng.uniform(20.0, 30.0))]
        for image, label in render_crop(kind, coverage, rng, variation, deltas, dirt=1.5):
            (importance,) = engine.infer(image[None])
            out.append((coverage, float(label[0]), label[1:].reshape(9, 9), importance[0]))
    return out


def score_rin(judged: list[tuple[str, float, F32, F32]]) -> dict[str, Any]:
    """Recall and precision at 0.8, near and far; what the fields' classes would have been."""
    groups: dict[str, list[tuple[str, float, F32, F32]]] = {"all": judged}
    groups["|z|<20"] = [j for j in judged if abs(j[1]) < 20]
    groups["|z|>=20"] = [j for j in judged if abs(j[1]) >= 20]
    for coverage in (*COVERAGE, "blank"):
        groups[coverage] = [j for j in judged if j[0] == coverage]
    return {name: _rin_row(rows) for name, rows in groups.items() if rows}


def _rin_row(rows: list[tuple[str, float, F32, F32]]) -> dict[str, float]:
    truth, found_importance = np.stack([j[2] for j in rows]), np.stack([j[3] for j in rows])
    want: npt.NDArray[np.bool_] = np.greater(truth, INFORMATIVE)
    got: npt.NDArray[np.bool_] = np.greater(found_importance, INFORMATIVE)
    # chosen although nearly empty: what would let dust or glass vote
    false: npt.NDArray[np.bool_] = got & np.less(truth, 0.3)
    hits = [bool((w & g).any()) for w, g in zip(want, got, strict=True) if w.any()]
    return {
        "fields": len(rows),
        "recall": round(float((want & got).sum() / max(want.sum(), 1)), 4),
        "precision": round(float((want & got).sum() / max(got.sum(), 1)), 4),
        "false_per_field": round(float(false.sum() / len(rows)), 4),
        "fields_with_false": round(float(false.any((1, 2)).mean()), 4),
        "content_found": round(float(np.mean(hits)), 4) if hits else 1.0,
    }


def table(scores: dict[str, Any]) -> str:
    """The scores as aligned text."""
    columns = list(next(iter(scores.values())))
    lines = [f"{'':24}" + "".join(f"  {c}" for c in columns)]
    lines += [
        f"{n:24}" + "".join(f"{r[c]:>{len(c) + 2}}" for c in columns) for n, r in scores.items()
    ]
    return "\n".join(lines)


def main() -> None:
    """Command line; see the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("dpn", "rin"))
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--count", type=int, default=120, help="specimens (dpn) or fields (rin)")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="keep the scores in the manifest")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    engine = open_engine(options.models / f"{options.kind}.json", threads=1)
    if options.kind == "dpn":
        scores = score_dpn(judge_dpn(engine, options.seed, options.count))
    else:
        scores = score_rin(judge_rin(engine, options.seed, options.count))
    print(table(scores))
    facts = {"seed": options.seed, "count": options.count, "sha256": engine.manifest.sha256}
    if options.json:
        write_json({**facts, "scores": scores}, options.json)
    if options.write:
        changed = dataclasses.replace(engine.manifest, accuracy={**facts, "scores": scores})
        changed.write(options.models / f"{options.kind}.json")


if __name__ == "__main__":
    main()
