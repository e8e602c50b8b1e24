"""What a controller does that is told nothing but the direction and the deadband."""

import math

from edge.decide.controller_settings import ControllerSettings


def test_what_is_not_said():
    settings = ControllerSettings(focus_direction=-1, deadband_um=0.5)
    assert settings == ControllerSettings(
        focus_direction=-1, deadband_um=0.5, sharp_um=0.0, verify_above_um=5.0,
        max_interval_um=4.0, settle_ns=5_000_000, max_shots=4, near_um=3.0, axial_unit=1.0,
        max_step_um=math.inf, offset_um=0.0, no_play=False, hold_outside=False,
        reading_scale=1.0, reading_scale_95=None,
    )  # fmt: skip
    assert type(settings.settle_ns) is int
