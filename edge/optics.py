"""The objective: depth of field, and what a pixel of the image is in the object plane."""

from __future__ import annotations

from dataclasses import dataclass


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
    wavelength_um: float = 0.55
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

    def object_um(self, pixels: float) -> float:
        """Length in the object plane of `pixels` in the image."""
        return pixels * self.um_per_px
