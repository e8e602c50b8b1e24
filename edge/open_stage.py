"""Opens the stage that the config names, in um of focus."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from edge.errors import ConfigError
from edge.settings import StageSettings
from firmware_bridge.stage import STAGES, Stage, open_stage
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
    for key in window.keys() & settings.options.keys():
        raise ConfigError(f"stage.options.{key} belongs into the section itself")
    with options_of("stage"):
        return open_stage(settings.driver, {**window, **settings.options})


@contextlib.contextmanager
def options_of(section: str) -> Iterator[None]:
    """A driver that was called with an option it does not have, or without one it needs."""
    try:
        yield
    except TypeError as error:
        raise ConfigError(f"{section}.options: {error}") from error
