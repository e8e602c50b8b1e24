"""What the controller is told by the config, the objective and the calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.decide.conduct import NEAR_UM
from edge.settings import MAX_INTERVAL_UM, MAX_SHOTS, SETTLE_MS, VERIFY_ABOVE_UM


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """`focus_direction`: +1 when a rising z raises the objective, -1 when it lowers it, 0 when
    it was not calibrated (then the guard refuses every move)."""

    focus_direction: int
    deadband_um: float
    sharp_um: float = 0.0  # half the depth of field: closer than this nobody sees a difference
    verify_above_um: float = VERIFY_ABOVE_UM
    max_interval_um: float = MAX_INTERVAL_UM
    settle_ns: int = round(SETTLE_MS * 1e6)
    max_shots: int = MAX_SHOTS
    near_um: float = NEAR_UM  # so near focus, networks are biased as much as what they measure
    axial_unit: float = 1.0  # um of this instrument for one of the nominal (edge.optics)
    max_step_um: float = math.inf  # a longer way is gone in several moves
    offset_um: float = 0.0  # that estimates carry above the plane of sharpest detail
    no_play: bool = False  # the drive ends every move from one side
    hold_outside: bool = False  # nothing moves on a first frame outside the training
    reading_scale: float = 1.0  # um read per um, and its 95 % half-width where it is calibrated
    reading_scale_95: float | None = None
