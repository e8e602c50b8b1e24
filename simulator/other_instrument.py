"""Another objective or condenser on the simulated microscope, and the config that goes with it.

The runtime is told of the objective, as a user's config would; of the condenser's iris it is told
nothing, as nobody writes down how far it is open.
"""

from __future__ import annotations

from dataclasses import replace

from edge.errors import ConfigError
from edge.optics import Objective
from edge.settings import Config
from simulator.microscope import SENSOR
from simulator.optics import NOMINAL, Instrument
from simulator.specimen import GRID, PATCH_UM

#: the window lies so far about its middle, and no move is longer, at the nominal instrument
WINDOW_UM, STEP_UM = 100.0, 27.0


def instrument_of(
    na: float | None, um_per_px: float | None, condenser: float | None
) -> tuple[Instrument, float]:
    """The instrument, and its axial unit (edge.optics). What lies along the axis is in proportion
    to that: spherical aberration is in waves, axial colour a share of the depth of field.

    ConfigError for numbers that no such microscope has, or a field smaller than 9 x 9 patches.
    """
    if na is not None and not 0.05 <= na <= 0.95:
        raise ConfigError(f"--na {na:g} must be 0.05 to 0.95")
    if condenser is not None and not 0.1 <= condenser <= 1.0:
        raise ConfigError(f"--condenser {condenser:g} must be 0.1 to 1 of the objective's aperture")
    least = GRID * PATCH_UM / min(SENSOR)
    if um_per_px is not None and not least <= um_per_px <= 2.0:
        raise ConfigError(
            f"--um-per-px {um_per_px:g} must be {least:.3f} to 2: the simulator knows what is true "
            f"of {GRID} x {GRID} patches of {PATCH_UM:.0f} um"
        )
    instrument = replace(
        NOMINAL,
        na=NOMINAL.na if na is None else na,
        um_per_px=NOMINAL.um_per_px if um_per_px is None else um_per_px,
        condenser_sigma=NOMINAL.condenser_sigma if condenser is None else condenser,
    )
    unit = Objective(instrument.na, instrument.magnification, instrument.um_per_px).axial_unit
    if unit == 1.0:
        return instrument, unit
    red, green, blue = (unit * each for each in NOMINAL.axial_colour)
    offset_um = NOMINAL.best_focus_offset_um * unit
    scaled = replace(instrument, axial_colour=(red, green, blue), best_focus_offset_um=offset_um)
    return scaled, unit


def config_for(config: Config, instrument: Instrument, unit: float) -> Config:
    """The config with this objective, and room along its axis."""
    magnification = config.objective.magnification * config.objective.um_per_px
    objective = replace(
        config.objective,
        na=instrument.na,
        um_per_px=instrument.um_per_px,
        magnification=magnification / instrument.um_per_px,
    )
    if unit == 1.0:
        return replace(config, objective=objective)
    middle = (config.stage.z_min_um + config.stage.z_max_um) / 2
    stage = replace(
        config.stage,
        z_min_um=middle - WINDOW_UM * unit,
        z_max_um=middle + WINDOW_UM * unit,
        max_step_um=STEP_UM * unit,
    )
    return replace(config, objective=objective, stage=stage)
