"""The rows of the table: what is looked through, how much of it the runtime is told, and what the
project owes there.

The condenser's aperture is drawn anew for every slide and never told. Frames hold 3 x 3 patches of
the models' pixels unless a row says more: a ninth of a whole frame's light, so harder than one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from edge.optics import NOMINAL, Objective
from training.judge.camera import CameraModel
from training.judge.field import JudgeInstrument
from training.judge.instrument import PATCH_UM, Range, Scope, Spread

NEAR_TRAINED: Range = (0.65, 0.75)  # of the objective's aperture; 0.7 was trained
AS_LEFT: Range = (0.45, 0.9)
SIDE_PX = 672  # of the models' pixels
STAINS = ("usual", "faded", "strong", "dab", "giemsa", "eosin", "blue", "grey")


@dataclass(frozen=True, slots=True)
class Row:
    """One instrument. `owed`, `aim`: nominal um of mean error in one shot, None where the issue
    owes none; `side_px`: of a frame, in the models' pixels; `spread`: of the slides."""

    name: str
    words: str
    objective: Objective = NOMINAL
    iris: Range = NEAR_TRAINED
    camera: CameraModel = field(default_factory=CameraModel)
    spread: Spread = field(default_factory=Spread)
    curvature_um: float = 0.0  # of the field, and the light's tilt: see Scope
    light_tilt_na: float = 0.0
    owed: float | None = None
    aim: float | None = None
    side_px: int = SIDE_PX

    @property
    def unit(self) -> float:
        """um of this instrument's axis for one nominal."""
        return self.objective.axial_unit

    def bench(self) -> JudgeInstrument:
        """The same as the second judge's instrument. What lies along the axis is in proportion."""
        here, unit = self.objective, self.unit
        pixels = here.pixel / NOMINAL.pixel
        side = 2 * math.ceil(self.side_px / pixels / 2)
        red, green, blue = (unit * each for each in Scope().axial_colour)
        scope = Scope(
            na=here.na, um_per_px=here.um_per_px, axial_colour=(red, green, blue),
            curvature_um=self.curvature_um, light_tilt_na=self.light_tilt_na,
        )  # fmt: skip
        return JudgeInstrument(
            scope, self.camera, self.spread, (side, side), PATCH_UM * NOMINAL.na / here.na,
            exact=0.0, iris=self.iris,
        )  # fmt: skip


def _objective(na: float, magnification: float, um_per_px: float) -> Objective:
    return Objective(na, magnification, um_per_px)


def rows() -> tuple[Row, ...]:
    """All of them, in the order of the table."""
    everyday, stained = Spread(), Spread(stains=STAINS)
    cheap = CameraModel(bayer=True, gamma=2.2, jpeg=85)
    low, high = _objective(0.3, 10, 0.68), _objective(0.75, 40, 0.17)
    return (
        Row("nominal", "20x/0.75, 0.34", owed=0.20, aim=0.12),
        Row("iris", "20x/0.75, 0.34, iris 0.45-0.9", iris=AS_LEFT, aim=1.0),
        Row("40x-0.75", "40x/0.75, 0.17", high, owed=0.35, aim=0.20),
        Row("20x-0.5", "20x/0.5, 0.34", _objective(0.5, 20, 0.34), owed=0.35, aim=0.20),
        Row("10x-0.3", "10x/0.3, 0.68", low, owed=0.6, aim=0.25),
        Row("10x-0.45", "10x/0.45, 0.68", _objective(0.45, 10, 0.68), owed=0.6, aim=0.25),
        Row("40x-0.95", "40x/0.95, 0.17", _objective(0.95, 40, 0.17), owed=0.6, aim=0.25),
        Row("4x-0.13", "4x/0.13, 1.7", _objective(0.13, 4, 1.7), owed=0.6, aim=0.25),
        Row("cheap-camera", "Bayer, gamma 2.2, JPEG 85", camera=cheap, owed=0.35, aim=0.25),
        Row("grey-camera", "grey camera", camera=CameraModel(grey=True), owed=0.35, aim=0.25),
        Row("noise-2", "noise x 2", camera=CameraModel(noise=2.0), owed=0.35, aim=0.25),
        Row("curvature", "field curvature 2 um", curvature_um=2.0,
            owed=0.4, aim=0.2, side_px=896),
        Row("tilted-light", "light tilted by 0.2 NA", light_tilt_na=0.2 * 0.75,
            owed=0.4, aim=0.2),
        Row("reversed-colour", "axial colour reversed", spread=replace(everyday,
            axial_um=(-1.15, -0.85)), owed=0.4, aim=0.2),
        Row("coarse-pixel", "20x/0.75, 0.5", _objective(0.75, 14, 0.5)),
        Row("stains", "20x/0.75, 0.34, every stain", spread=stained),
        Row("40x-0.75-stains", "40x/0.75, 0.17, every stain", high, spread=stained),
        Row("10x-0.3-stains", "10x/0.3, 0.68, every stain", low, spread=stained),
        Row("unstained", "unstained, phase only", spread=replace(everyday, stains=("unstained",))),
    )  # fmt: skip
