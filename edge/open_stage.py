"""Opens the stage that the config names, in um of focus."""

from __future__ import annotations

from edge.errors import ConfigError
from edge.instrument import check_same, stage_says
from edge.settings import StageSettings
from firmware_bridge.stage import STAGES, Stage, open_stage
from firmware_bridge.stage_options import StageOptionError, check_options
from firmware_bridge.stages.scaled import ScaledStage, to_units


def calibrated(stage: Stage, settings: StageSettings) -> Stage:
    """The stage in um of focus, where the calibration found that its own um is another."""
    if settings.um_per_unit == 1.0 or isinstance(stage, ScaledStage):
        return stage
    return ScaledStage(stage, settings.um_per_unit, settings.reference_um)


def open_stage_of(settings: StageSettings, stop_first: bool = False) -> Stage:
    """Open the stage that the config names, in um of focus for whoever opens it.

    The window, which is in um of focus, goes to the driver and its firmware in their own um, so
    that a dip of theirs stays inside it, too. ConfigError for its options and for another stage
    than that of the calibration, StageError otherwise. `stop_first`: see `open_stage`; who only
    wants to stop it is not asked which one it is.
    """
    if settings.driver not in STAGES:
        raise ConfigError(
            f"stage.driver = {settings.driver!r} must be one of {', '.join(sorted(STAGES))}"
        )
    ends = settings.z_min_um, settings.z_max_um
    low, high = (to_units(end, settings.um_per_unit, settings.reference_um) for end in ends)
    window = {"z_min_um": low, "z_max_um": high}
    try:
        check_options(settings.driver, settings.options)
    except StageOptionError as error:
        raise ConfigError(f"stage.options.{error.key} {error.why}") from error
    stage = open_stage(settings.driver, {**window, **settings.options}, stop_first)
    try:
        if not stop_first:
            check_same(settings.made_with, stage_says(stage), "stage")
    except ConfigError:
        stage.close()
        raise
    if settings.um_per_unit == 1.0:
        return stage
    return ScaledStage(stage, settings.um_per_unit, settings.reference_um, ends)
