"""The models in the repository work: right direction on fresh slides, content told from dirt."""

from __future__ import annotations

import numpy as np

from engines.engine import MODELS, open_engine
from simulator.optics import NOMINAL
from simulator.render import Renderer, expose
from simulator.slide import KINDS, draw_variation, make_specimen
from training.evaluate import judge_rin, score_rin
from training.labels import block_label, pack_label, window_label
from training.pool import VALIDATION


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


def test_the_shipped_dpn_knows_the_direction() -> None:
    pictures, truth = fresh_patches(40)
    engine = open_engine(MODELS / "dpn.json", threads=1)
    found, spread, *_ = engine.infer(pictures)
    assert np.isfinite(spread).all()
    assert (spread > 0.0).all()
    assert (found * truth > 0.0).mean() >= 0.95
    assert np.median(np.abs(found - truth)) < 1.5


def test_the_shipped_rin_finds_content_and_passes_over_dirt() -> None:
    engine = open_engine(MODELS / "rin.json", threads=1)
    scores = score_rin(judge_rin(engine, 99, 8))
    assert scores["all"]["recall"] > 0.7
    assert scores["all"]["precision"] > 0.8
    assert scores["blank"]["false_per_field"] < 0.5


def test_the_shipped_files_are_small_and_say_what_they_are() -> None:
    for kind in ("rin", "dpn"):
        manifest = open_engine(MODELS / f"{kind}.json", threads=1).manifest
        assert (MODELS / manifest.file).stat().st_size < 3 << 20
        assert manifest.training["samples"] > 0
        assert manifest.accuracy["scores"]
