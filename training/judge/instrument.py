"""The microscope that the judge looks through, and what differs from slide to slide.

Heights are the objective's, in um, positive = up; a specimen in the layer z = 0 of a slide is in
the paraxial focus of green light with the objective at 0. Light comes from below, so an objective
too high looks at a plane which the light reaches after the specimen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

Rng = np.random.Generator
Range = tuple[float, float]
RGB = tuple[float, float, float]

#: rows, columns of the sensor
SENSOR = (2048, 2448)
GREEN_UM = 0.535
#: a patch is so wide in the object at the nominal instrument: 224 px
PATCH_UM = 224 * 0.34


@dataclass(frozen=True, slots=True)
class Scope:
    """Objective, condenser and sensor. `condenser` is its aperture over the objective's;
    `axial_colour` where red, green and blue focus, um of the objective per um of a slide's own
    `axial_um`; `curvature_um` how much higher the corners of the field must stand to be sharp;
    `light_tilt_na` how far the condenser's aperture is off the axis (along the rows)."""

    na: float = 0.75
    um_per_px: float = 0.34
    condenser: float = 0.7
    wavelength_um: RGB = (0.610, GREEN_UM, 0.460)
    axial_colour: RGB = (0.7, 0.0, -0.9)
    curvature_um: float = 0.0
    light_tilt_na: float = 0.0
    index: float = 1.0  # of the medium before the objective

    @property
    def axial_unit(self) -> float:
        """um along the axis that look like one at NA 0.75: the defocus of the pupil's edge."""
        return (1.0 - math.sqrt(1.0 - 0.75**2)) / (
            self.index - math.sqrt(self.index**2 - self.na**2)
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """What slides are drawn from; each a range, drawn evenly, or a chance.

    `phase`: of the specimen, 1 = usual; so many as `phase_negative` have it negative: less
    refracting than what they lie in. `softness`: of edges, 1 = usual, drawn evenly in its
    logarithm. `thick` and `tilted` are the shares of slides that are so at all.
    """

    w040_waves: Range = (0.27, 0.63)  # of green light: cover glass and mountant
    axial_um: Range = (0.85, 1.15)
    phase: Range = (0.0, 2.0)
    phase_negative: float = 0.1
    softness: Range = (0.35, 2.5)
    strength: Range = (0.6, 1.6)  # of the stain, likewise
    thick: float = 0.35
    thickness_um: Range = (0.5, 4.0)
    tilted: float = 0.35
    tilt_um_per_mm: Range = (0.3, 3.0)
    stains: tuple[str, ...] = ("usual",)
    dirt: float = 1.0  # 0 = clean slides and a clean sensor, 1 = everyday


@dataclass(frozen=True, slots=True)
class Slide:
    """One slide as drawn."""

    w040_waves: float
    axial_um: float
    phase: float
    softness: float
    strength: float
    thickness_um: float
    tilt_um_per_mm: tuple[float, float]  # along rows (y) and columns (x)
    stain: str
    dirt: float


def draw_slide(rng: Rng, spread: Spread) -> Slide:
    """Draw a slide; the same number of draws whatever comes of them, so that fixing one property
    leaves the others as they were."""

    def even(bounds: Range) -> float:
        return float(bounds[0] + (bounds[1] - bounds[0]) * rng.uniform())

    def logarithmic(bounds: Range) -> float:
        return float(bounds[0] * (bounds[1] / bounds[0]) ** rng.uniform())

    w040, axial, phase = even(spread.w040_waves), even(spread.axial_um), even(spread.phase)
    negative = rng.uniform() < spread.phase_negative
    softness, strength = logarithmic(spread.softness), logarithmic(spread.strength)
    thick, thickness = rng.uniform() < spread.thick, even(spread.thickness_um)
    tilted, slope = rng.uniform() < spread.tilted, even(spread.tilt_um_per_mm)
    angle, stain = rng.uniform(0, 2 * np.pi), spread.stains[int(rng.integers(len(spread.stains)))]
    slope *= float(tilted)
    return Slide(
        w040,
        axial,
        -0.6 * phase if negative else phase,
        softness,
        strength,
        thickness if thick else 0.0,
        (float(slope * np.sin(angle)), float(slope * np.cos(angle))),
        stain,
        spread.dirt,
    )
