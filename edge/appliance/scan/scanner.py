"""What a scan needs of an instrument: the rig, the stage under the slide, and its plan."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edge.appliance.scan.eye import EyeSettings, InstrumentEye
from edge.rig import Rig
from edge.wsi.grid import Grid
from edge.wsi.path import Field, ScanPlan, plan_scan
from edge.wsi.pipelines import RETAKE_UM
from edge.wsi.regions import Box, Region
from edge.wsi.route import neighbours
from edge.wsi.scan_time import StopAndGo
from edge.wsi.xy_guard import XYGuard, XYLimits
from firmware_bridge.xy_stage import XYStage

MAX_SMEAR_UM = 0.17  # half a pixel at 0.34 um


@dataclass(slots=True)
class Scanner:
    """`window`: where the slide may stand; `travel_z_um`: Z for long ways; `near_um`: ways up to it
    are gone with Z down; `regions`: where specimen lies; `pace`: what a field is expected to take;
    `upright`: see EyeSettings."""

    rig: Rig
    xy: XYStage
    window: Box
    travel_z_um: float
    near_um: float
    grid: Grid
    regions: Sequence[Region]
    pace: StopAndGo
    upright: bool = False
    sleep: Callable[[float], None] = time.sleep

    def plan(self, regions: Sequence[Region] | None = None) -> ScanPlan:
        """To and fro along the shorter side of a field: the slide stops at each."""
        columns = self.grid.pitch_y_um < self.grid.pitch_x_um
        return plan_scan(regions or self.regions, self.grid, self.window, columns)

    def eye(
        self,
        plan: Callable[[], ScanPlan],
        offset_um: Callable[[Field], float] = lambda field: 0.0,
        by_hand: bool = False,
    ) -> InstrumentEye:
        """The eye for a plan as it stands: places beside its fields are no specimen."""
        stage = self.rig.config.stage
        limits = XYLimits(self.window, self.travel_z_um, stage.focus_direction, self.near_um,
                          MAX_SMEAR_UM)  # fmt: skip
        guard = XYGuard(
            limits,
            self.xy,
            self.rig.stage,
            lambda: self.rig.state.may_move,
            self.rig.guard.send_by_hand,
            lambda x, y: on_plan(plan(), x, y),
        )
        settings = EyeSettings(RETAKE_UM, stage.max_step_um, self.near_um, self.upright,
                               by_hand)  # fmt: skip
        return InstrumentEye(self.rig, self.xy, guard, settings, offset_um, self.sleep)


def on_plan(plan: ScanPlan, x_um: float, y_um: float) -> bool:
    """Whether a place lies on a field of the plan or beside one, where it may grow."""
    grid = plan.grid
    row = round((y_um - grid.y0_um) / grid.pitch_y_um)
    column = round((x_um - grid.x0_um) / grid.pitch_x_um)
    cells = [(row, column), *neighbours((row, column))]
    return any(cell in plan.cells for cell in cells)
