"""What the shipped models reach on small fixed sets of fresh slides, and the least that is taken.

A test of a model is only a test while its bound lies near what the model reaches. So the numbers
reached stand here beside the hash of the files that reached them, and the bounds follow from them.
Whoever ships other models runs `python -m tests.support.shipped_models`, looks at what became
better and worse, and puts the new numbers here, on purpose. The sets are small: docs/model_card.md
has what is claimed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.engine import MODELS, Engine, open_engine
from simulator.optics import NOMINAL
from simulator.render import Renderer, expose
from simulator.slide import KINDS, draw_variation, make_specimen
from training.evaluate import judge_rin, score_rin
from training.labels import block_label, pack_label, window_label
from training.pool import VALIDATION

#: SHA-256 of the ONNX files that reached the numbers below
MEASURED_WITH = {
    "dpn": "7abc873be701a1dba5289144e580cb133e8e7d4d454389d24c95690edd652b34",
    "rin": "76c85da52f81331807586b72a458130d31c36d91cf7cfb7a0d3821f7a0b49ed6",
}
#: shares, larger is better; and errors or false finds, smaller is better
REACHED: dict[str, dict[str, float]] = {
    "dpn": {"direction": 0.975, "median_um": 0.322, "p90_um": 0.815},
    "rin": {"recall": 0.995, "precision": 0.851, "false_per_field": 0.625, "false_on_blank": 0.25},
}
#: um from best focus at the end of a field, in tests/test_closed_loop.py
IN_THE_LOOP_UM = {"tissue dense": 0.14, "cell sparse": 0.06, "tissue ex-sparse": 0.27}
LOOP_SLACK_UM = 0.2  # the simulated drive repeats to 0.15 um
SHARES = ("direction", "recall", "precision")
SHARE_SLACK = 0.03  # one of 40 patches; runtimes and processors differ in the sixth digit only
ERROR_SLACK = 1.25


def worse(kind: str, numbers: dict[str, float]) -> list[str]:
    """Which numbers are worse than what the shipped model reached, and by how much, in words."""
    assert numbers.keys() == REACHED[kind].keys()
    faults = []
    for name, reached in REACHED[kind].items():
        share = name in SHARES
        bound = reached - SHARE_SLACK if share else reached * ERROR_SLACK
        good = numbers[name] >= bound if share else numbers[name] <= bound  # NaN is not
        if not good:
            now = f"{kind}: {name} is {numbers[name]:.4g}"
            faults.append(f"{now}, was {reached:.4g}, bound {bound:.4g}")
    return faults


def fresh_patches(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Patches with W* > 0.8 at +-3..20 um, four per specimen: pictures, true corrections."""
    pictures, truth, index = [], [], 0
    while len(pictures) < count:
        rng = np.random.default_rng([VALIDATION, 99, index])
        kind, coverage = KINDS[index % 2], ("dense", "sparse")[index // 2 % 2]
        variation = draw_variation(rng, tilt_um_per_mm=0.0)
        specimen = make_specimen(kind, coverage, (512, 512), NOMINAL.um_per_px, rng, variation)
        renderer = Renderer(specimen, variation.optics)
        blocks = block_label(specimen, renderer)
        index += 1
        for sign in (-1.0, 1.0, -1.0, 1.0):
            delta = float(sign * rng.uniform(3.0, 20.0))
            richness, correction = window_label(pack_label(delta, *blocks, variation), 224)
            row, column = np.unravel_index(int(richness.argmax()), richness.shape)
            if richness[row, column] > 0.8:
                image = expose(renderer.intensity(delta), variation, rng)
                top, left = 16 * int(row), 16 * int(column)
                pictures.append(image[top : top + 224, left : left + 224])
                truth.append(float(correction[row, column]))
    return np.stack(pictures[:count]), np.array(truth[:count])


def reached_by_dpn(engine: Engine) -> tuple[dict[str, float], np.ndarray]:
    """The numbers of REACHED on 40 patches, and the spreads that the network told."""
    pictures, truth = fresh_patches(40)
    defocus, spread, *_ = engine.infer(pictures)
    error = np.abs(defocus - truth)
    numbers = {
        "direction": float((defocus * truth > 0.0).mean()),
        "median_um": float(np.median(error)),
        "p90_um": float(np.quantile(error, 0.9)),
    }
    return numbers, spread


def reached_by_rin(engine: Engine) -> dict[str, float]:
    """The numbers of REACHED on 16 pictures with distractors, four of them blank."""
    scores: dict[str, Any] = score_rin(judge_rin(engine, 99, 8))
    every = scores["all"]
    return {
        "recall": every["recall"],
        "precision": every["precision"],
        "false_per_field": every["false_per_field"],
        "false_on_blank": scores["blank"]["false_per_field"],
    }


def main() -> None:
    """Print what stands above, measured anew."""
    dpn = open_engine(MODELS / "dpn.json", threads=1)
    rin = open_engine(MODELS / "rin.json", threads=1)
    print({"dpn": dpn.manifest.sha256, "rin": rin.manifest.sha256})
    for kind, numbers in (("dpn", reached_by_dpn(dpn)[0]), ("rin", reached_by_rin(rin))):
        print(kind, {name: float(f"{value:.3g}") for name, value in numbers.items()})
        print("\n".join(worse(kind, numbers)) or f"{kind}: nothing is worse than before")


if __name__ == "__main__":
    main()
