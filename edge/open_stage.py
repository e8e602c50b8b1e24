"""Opens the stage that the config names, in um of focus."""

from __future__ import annotations

from edge.errors import ConfigError
from edge.settings import StageSettings
from firmware_bridge.stage import STAGES, Stage, open_stage
from firmware_bridge.stage_options import StageOptionError, check_options
from firmware_bridge.stages.scaled import CalibratedStage


def calibrated(stage: Stage, settings: StageSettings) -> Stage:
    """The stage in um of focus, where the calibration found that its own um is another."""
    if settings.um_per_unit == 1.0:
        return stage
    return CalibratedStage(stage, settings.um_per_unit, settings.reference_um)


def open_stage_of(settings: StageSettings) -> Stage:
    """Open the stage that the config names; ConfigError for its options, StageError otherwise."""
    if settings.driver not in STAGES:
        raise ConfigError(
            f"stage.driver = {settings.driver!r} must be one of {', '.join(sorted(STAGES))}"
        )
    window = {"z_min_um": settings.z_min_um, "z_max_um": settings.z_max_um}
    try:
        check_options(settings.driver, settings.options)
    except StageOptionError as error:
        raise ConfigError(f"stage.options.{error.key} {error.why}") from error
    return open_stage(settings.driver, {**window, **settings.options})
