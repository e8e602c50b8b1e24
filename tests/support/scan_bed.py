"""A simulated scanner whose slide is a formula and whose networks are a table: a scan takes
milliseconds, and every answer is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge.appliance.config.config_file import read_config
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Ranked, Sparsity
from edge.measure.sensor import Measurement
from edge.wsi.regions import Mask, Region
from simulator.scanner import SimulatedScanner
from simulator.simulate_verb import NOMINAL

PICTURE = np.full((8, 8, 3), 200, np.uint8)
RANGE_UM = 25.0


@dataclass
class PlainSlide:
    """A tilted, wavy surface; content within a disc of `radius_um`."""

    radius_um: float = 1400.0
    um_per_px: float = 0.34
    shape: tuple[int, int] = (2016, 2016)
    relief_um: float = 0.5

    def picture(self, x_um, y_um, z_um, seconds):
        return PICTURE

    def surface_um(self, x_um, y_um):
        wave = self.relief_um * math.sin(x_um / 500.0) * math.cos(y_um / 400.0)
        return 200.0 + 1.5e-3 * x_um - 1e-3 * y_um + wave

    def focus_um(self, x_um, y_um, seconds):
        there = math.hypot(x_um, y_um) <= self.radius_um
        return self.surface_um(x_um, y_um) if there else None

    def regions(self) -> Sequence[Region]:
        """The middle alone: the rest is found by growth."""
        return [Mask(np.ones((1, 1), np.bool_), 900.0, -450.0, -450.0)]


@dataclass
class TableNets:
    """A Measurer that knows the truth: reads it with an error of `sd_um`, answers `answered` of
    all; `exposures` is the camera's list of places."""

    slide: PlainSlide
    sd_um: float = 0.0
    answered: float = 1.0
    seed: int = 0

    def __post_init__(self):
        self.exposures, self._rng = [], np.random.default_rng(self.seed)

    def measure(self, frame, lap):
        x_um, y_um, z_um = self.exposures[-1]
        focus_um = self.slide.focus_um(x_um, y_um, 0.0)
        start, mid = frame.exposure_start_ns, frame.exposure_mid_ns
        scores = np.full((9, 9), 0.0 if focus_um is None else 1.0, np.float32)
        if focus_um is None:
            return _measurement(NoFocus(Reason.BLANK, Sparsity.BLANK, start, mid), scores, 0)
        d_um = focus_um - z_um + float(self._rng.normal(0.0, 1.0)) * self.sd_um
        if abs(d_um) > RANGE_UM or self._rng.random() > self.answered:
            no = NoFocus(Reason.OUTSIDE_RANGE, Sparsity.DENSE, start, mid, d_um, 0.3)
            return _measurement(no, scores, 9)
        estimate = FocusEstimate(d_um, 0.3, 9, Sparsity.DENSE, start, mid, 0.1)
        return _measurement(estimate, scores, 9)


def _measurement(estimate, scores, k):
    none = np.empty(0, np.float32)
    cells = tuple((i, i) for i in range(k))
    ranked = Ranked(scores, estimate.sparsity, k, cells, none)
    return Measurement(
        ranked, PatchDefocus(none, none, none, cells, estimate.sparsity, True), estimate
    )


def bed(slide=None, nets=None, focus_direction=1, **more) -> SimulatedScanner:
    """A scanner on a plain slide; a context manager. `focus_direction`: what its config says."""
    slide = slide or PlainSlide()
    nets = nets or TableNets(slide)
    config = read_config(NOMINAL)
    config = replace(config, stage=replace(config.stage, focus_direction=focus_direction))
    scanner = SimulatedScanner(config, slide, nets, **more)
    nets.exposures = scanner.camera.exposures
    return scanner
