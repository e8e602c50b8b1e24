"""From a slide to models of a strange instrument: captured, labelled, adapted, by itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.appliance.cli import main
from edge.images.zstack import read_manifest, stacks
from edge.measure.aggregate import NoFocus, Reason
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Ranked, Sparsity
from edge.measure.sensor import Measurement
from edge.measure.sharpness import sharpness
from simulator import scan_simulated
from simulator.optics import NOMINAL
from simulator.world_slide import world_slide
from tests.support.scan_bed import bed

FIELDS = 24
#: a narrow condenser: contrast and depth of field of another microscope
STRANGE = replace(NOMINAL, condenser_sigma=0.35)


class Classes:
    """The frames are too small for the shipped RIN: bare where nothing is sharp."""

    def __init__(self) -> None:
        self.exposures: list = []

    def measure(self, frame, lap):
        rich = sharpness(frame) > 1.0
        sparsity = Sparsity.DENSE if rich else Sparsity.BLANK
        none = np.empty(0, np.float32)
        ranked = Ranked(np.zeros((2, 3), np.float32), sparsity, 0, (), none)
        patches = PatchDefocus(none, none, none, (), sparsity, True)
        no = NoFocus(Reason.BLANK, sparsity, frame.exposure_start_ns, frame.exposure_mid_ns)
        return Measurement(ranked, patches, no)


class Surface:
    """The slide, whose truth need not be told beyond where it lies."""

    def __init__(self, slide) -> None:
        self._slide = slide
        self.um_per_px, self.shape = slide.um_per_px, slide.shape
        self.picture, self.regions = slide.picture, slide.regions

    def focus_um(self, x_um, y_um, seconds):
        return float(self._slide.world.surface_um(x_um, y_um))


@pytest.mark.long
def test_a_strange_instrument_is_captured_and_learned(tmp_path: Path, monkeypatch) -> None:
    """Its objective falls as z rises, as its config says; nobody told the networks."""

    def open_simulated(options, regions):
        slide = world_slide("tissue", 3, size_mm=3.0, shape=(512, 704), tile_px=384,
                            instrument=STRANGE)  # fmt: skip
        return bed(Surface(slide), Classes(), focus_direction=-1, inverted=True,
                   start_um=1.0)  # fmt: skip

    monkeypatch.setattr(scan_simulated, "open_simulated", open_simulated)
    out, models, result = tmp_path / "out", tmp_path / "models", tmp_path / "result.json"
    words = ["--fields", str(FIELDS), "--planes", "11", "--step", "4", "--quiet"]
    assert main(["capture", "--simulate", "--out", str(out), *words]) == 0
    names = list(stacks(read_manifest(out / "manifest.csv")))
    assert len(names) == FIELDS
    adapt = ["calibrate", "--zstacks", str(out / "manifest.csv"), "--hold-out", *names[-4:],
             "--out", str(models), "--steps", "60", "--json", str(result), "--quiet"]  # fmt: skip
    assert main(adapt) == 0
    document = json.loads(result.read_text())
    print({key: document[key] for key in ("mirrored", "before", "after")})
    assert document["mirrored"]
    assert document["after"]["left_um"] < 0.3 * document["before"]["left_um"]
    assert document["after"]["direction"] >= 0.9
