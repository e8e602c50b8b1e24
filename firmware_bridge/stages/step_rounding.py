"""From um to a controller's whole steps, without ever leaving the window."""

from __future__ import annotations

from firmware_bridge.errors import StageRefused

_FLOAT_UM = 1e-6  # what floating point adds to a product of steps


def nearest_step(target_um: float, um_per_step: float, z_min_um: float, z_max_um: float) -> int:
    """The step nearest to `target_um` among those inside z_min_um..z_max_um.

    StageRefused("WINDOW") when no step lies inside. `target_um` must lie inside itself.
    """
    steps = round(target_um / um_per_step)
    if steps * um_per_step > z_max_um + _FLOAT_UM:
        steps -= 1
    if steps * um_per_step < z_min_um - _FLOAT_UM:
        steps += 1
    if steps * um_per_step > z_max_um + _FLOAT_UM:
        raise StageRefused("WINDOW", f"no step of {um_per_step:g} um lies inside the window")
    return steps
