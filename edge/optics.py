"""The objective: depth of field, what a pixel is in the object plane, and normalised optics.

Measured in lambda/NA across and in waves of defocus at the pupil's edge along the axis, a
bright-field picture looks alike on every objective. So models made for one serve others: a frame is
brought to their pixel size (edge.measure.resample), and their answer to um of the instrument at
hand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from engines.manifest import NOMINAL_OPTICS, Optics

WAVELENGTH_UM = 0.55
#: a pixel size that differs by less is the models' own: not worth another way for the frame
SAME = 0.005


@dataclass(frozen=True, slots=True)
class Objective:
    """An objective on a camera.

    `um_per_px` is one pixel of a frame in the object plane. `detector_um` is the smallest
    distance the detector resolves: its pixel pitch before binning. The defaults reproduce the
    paper's depth of field (20x/0.75: 1.21 um; its error tables invert to a threshold of 0.63 um,
    half of that within their scatter).
    """

    na: float
    magnification: float
    um_per_px: float
    wavelength_um: float = WAVELENGTH_UM
    refractive_index: float = 1.0
    detector_um: float = 3.45

    @property
    def depth_of_field_um(self) -> float:
        """Total depth of field: lambda n / NA^2 + n e / (M NA) (Inoue and Spring 1997)."""
        n, na = self.refractive_index, self.na
        return self.wavelength_um * n / na**2 + n * self.detector_um / (self.magnification * na)

    @property
    def half_depth_um(self) -> float:
        """Half the depth of field: |defocus| below this counts as in focus (the paper's DoF)."""
        return self.depth_of_field_um / 2

    @property
    def deadband_um(self) -> float:
        """Default deadband: half of `half_depth_um`, the other half is left to the estimate."""
        return self.half_depth_um / 2

    @property
    def axial_um(self) -> float:
        """Way along the axis for one wave of defocus at the pupil's edge, exact, not paraxial."""
        n, na = self.refractive_index, self.na
        return self.wavelength_um / (n - math.sqrt(n * n - na * na))

    @property
    def axial_unit(self) -> float:
        """The same over that of the nominal instrument: um here that look like one um there."""
        return normalised(self, NOMINAL_OPTICS).axial_unit

    @property
    def pixel(self) -> float:
        """um per pixel in lambda/NA."""
        return self.um_per_px * self.na / self.wavelength_um

    def normalised(self, models: Optics) -> Normalised:
        """From here to models' optics; see `normalised`."""
        return normalised(self, models)


@dataclass(frozen=True, slots=True)
class Normalised:
    """What brings one instrument to the models'.

    pixels: of the models for one of the frame, each way; above 1 where the frame is coarser;
    axial_unit: um of this instrument's axis for one um of the models'. Both exactly 1 at the
    models' own instrument.
    """

    pixels: float = 1.0
    axial_unit: float = 1.0


def normalised(here: Objective, models: Optics) -> Normalised:
    """From an objective to models' optics. Both wavelengths are those of the middle of the light,
    as in `Objective`: white light unless the config says otherwise."""
    theirs = Objective(models.na, models.magnification, models.um_per_px)
    pixels = here.pixel / theirs.pixel
    return Normalised(1.0 if abs(pixels - 1.0) <= SAME else pixels, here.axial_um / theirs.axial_um)


#: the instrument that the shipped models were trained on
NOMINAL = Objective(NOMINAL_OPTICS.na, NOMINAL_OPTICS.magnification, NOMINAL_OPTICS.um_per_px)
