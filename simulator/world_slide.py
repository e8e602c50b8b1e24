"""A slide of the world (simulator/world.py) as a scanner meets it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edge.wsi.regions import Mask, Region
from simulator.optics import NOMINAL, Instrument
from simulator.topography import TopographyParameters
from simulator.world import World, WorldParameters
from simulator.world_layout import Specimen, pap
from simulator.world_truth import field_truth

U8 = npt.NDArray[np.uint8]
SHAPE = (2016, 2016)  # the least that is measured
TILE_PX = 512  # of the palette: a ninth of the cost of the full one
CELL_UM = 100.0  # of the mask that a macro picture would give
LEAST_COVER = 0.05


class WorldSlide:
    """A simulator.scanner.Slide."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.um_per_px, self.shape = world.um_per_px, world.parameters.shape
        self._truth = lru_cache(maxsize=8192)(self._told)

    def picture(self, x_um: float, y_um: float, z_um: float, seconds: float) -> U8:
        """See Slide."""
        return self.world.frame(x_um, y_um, z_um, minutes=seconds / 60.0)

    def focus_um(self, x_um: float, y_um: float, seconds: float) -> float | None:
        """See Slide."""
        return self._truth(round(x_um, 1), round(y_um, 1), round(seconds / 60.0, 2))

    def regions(self) -> Sequence[Region]:
        """See Slide: where the outline of the specimen has more than a trace of it."""
        half_um = 500.0 * self.world.parameters.specimen.size_mm
        n = math.ceil(2 * half_um / CELL_UM)
        places = (np.arange(n) + 0.5) * CELL_UM - half_um
        cover = self.world.layout.cover(*np.meshgrid(places, places))
        return [Mask(cover > LEAST_COVER, CELL_UM, -half_um, -half_um)]

    def _told(self, x_um: float, y_um: float, minutes: float) -> float | None:
        truth = field_truth(self.world, x_um, y_um, minutes)
        return None if truth.sparsity == "blank" else truth.z_focus_um


def world_slide(
    kind: str,
    seed: int,
    roughness: float = 1.0,
    size_mm: float = 4.0,
    shape: tuple[int, int] = SHAPE,
    cache: Path | None = None,
    drift_um_per_min: float = 0.0,
    tile_px: int = TILE_PX,
    instrument: Instrument = NOMINAL,
) -> WorldSlide:
    """A section of tissue within a square, or a smear in a circle, of `size_mm`."""
    specimen = Specimen("tissue", size_mm) if kind == "tissue" else pap(size_mm)
    topography = TopographyParameters(
        roughness=roughness, size_mm=max(size_mm, 15.0), drift_um_per_min=drift_um_per_min
    )
    parameters = WorldParameters(specimen, topography, shape, tile_px)
    return WorldSlide(World(seed, parameters, instrument, cache))
