"""The microscope: a slide under an objective whose height the mechanics decide.

It renders what the camera would see at a height and keeps the truth that reports and tests
compare with. The runtime gets frames only, through `simulator.camera`.
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

from simulator.field_truth import FieldTruth, find_truth
from simulator.optics import NOMINAL, Instrument
from simulator.render import Renderer, expose
from simulator.slide import SlideVariation, draw_variation, make_specimen

U8 = npt.NDArray[np.uint8]

SENSOR = (2048, 2448)


class Microscope:
    """One slide, one field loaded at a time.

    `seed` fixes the slide (optics, stain, light) and, with a field's number, the field. Loading
    a 2048 x 2448 field costs 1-4 s and up to 0.5 GB, each new height 1-4 s (three layers, tilt);
    measured on two cores by `benchmarks/render_cost.py`.
    """

    def __init__(
        self,
        seed: int,
        shape: tuple[int, int] = SENSOR,
        instrument: Instrument = NOMINAL,
        slide_z_um: float = 200.0,
        dirt: float = 1.0,
        tilt_um_per_mm: float = 3.0,
        workers: int = 2,
    ) -> None:
        self.seed, self.shape, self.instrument, self.dirt = seed, shape, instrument, dirt
        self._slide_z_um, self._workers = slide_z_um, workers
        self._tilt_um_per_mm = tilt_um_per_mm
        self._renderer: Renderer | None = None
        self._variation: SlideVariation | None = None
        self._surface_um = slide_z_um
        self._noise = np.random.default_rng(seed)
        self._loaded: tuple[str, str, int, int] | None = None
        self.truth: FieldTruth | None = None

    def load_field(self, kind: str, sparsity: str, number: int, slide: int = 0) -> FieldTruth:
        """Put field `number` of a slide of `kind` under the objective; what is true of it.

        The one that lies there already is not painted again: only its noise begins anew.
        """
        # a stable hash: Python's own changes from run to run
        words = [self.seed, slide, number, zlib.crc32(f"{kind}/{sparsity}".encode())]
        self._noise = np.random.default_rng([*words, 1])
        field = (kind, sparsity, number, slide)
        if self.truth is not None and self._loaded == field:
            return self.truth
        self._loaded = None
        slide_rng = np.random.default_rng([self.seed, slide, zlib.crc32(kind.encode())])
        rng = np.random.default_rng(words)
        self._variation = draw_variation(slide_rng, self._tilt_um_per_mm)
        specimen = make_specimen(
            kind, sparsity, self.shape, self.instrument.um_per_px, rng, self._variation, self.dirt
        )
        self._surface_um = self._slide_z_um + float(rng.uniform(-5.0, 5.0))
        self._renderer = Renderer(specimen, self._variation.optics, self.instrument, self._workers)
        self.truth = find_truth(specimen, self._renderer, kind, sparsity, self._surface_um)
        self._loaded = field
        return self.truth

    def picture(self, z_um: float) -> U8:
        """What the camera sees with the objective at `z_um`: (h, w, 3) uint8 RGB."""
        if self._renderer is None or self._variation is None:
            raise RuntimeError("load a field first")
        intensity = self._renderer.intensity(z_um - self._surface_um)
        return expose(intensity, self._variation, self._noise)
