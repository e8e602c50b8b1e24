"""The scanner that a config names: its rig, and the stage under the slide."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge.appliance.scan.scanner import Scanner
from edge.errors import ConfigError
from edge.measure.raw_pixels import width_px
from edge.rig import Rig, build_rig
from edge.settings import Config, XYStageSettings
from edge.wsi.grid import Grid
from edge.wsi.regions import Box, Region
from edge.wsi.scan_time import AxisMotion, StopAndGo
from firmware_bridge.xy_stage import XYStage, open_xy_stage

LOOKS = 1.4  # of a field, on average
MEASURE_S = 0.015
USUAL_AXIS, SETTLE_S = AxisMotion(20_000.0, 200_000.0), 0.03


@contextlib.contextmanager
def open_scanner(path: Path, config: Config, regions: Sequence[Region]) -> Iterator[Scanner]:
    """Opened, and closed afterwards. ConfigError for what is missing in the file, before anything
    is opened; StageError, CameraStalled and others from the drivers."""
    settings = config.xy_stage
    if settings is None:
        raise ConfigError(f"{path}: xy_stage must be given: a scan moves the slide")
    if config.scan is not None:
        raise ConfigError(f"{path}: scan must be left out: this scan stops at each field")
    if not regions:
        raise ConfigError(f"--region x,y,width,height must be given with {path}")
    stage = config.stage
    if not stage.z_min_um <= settings.travel_z_um <= stage.z_max_um:
        raise ConfigError(
            f"{path}: xy_stage.travel_z_um = {settings.travel_z_um:g} must be within "
            f"stage.z_min_um to z_max_um, {stage.z_min_um:g} to {stage.z_max_um:g}"
        )
    rig = build_rig(config)
    try:
        with contextlib.closing(open_xy(settings)) as xy:
            yield _scanner(config, settings, rig, xy, regions)
    finally:
        rig.close()


def open_xy(settings: XYStageSettings) -> XYStage:
    """The stage under the slide. ConfigError for an option that its driver does not know."""
    window = settings.x_min_um, settings.y_min_um, settings.x_max_um, settings.y_max_um
    try:
        return open_xy_stage(settings.driver, {**settings.options, "window_um": window})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"xy_stage.options: {error}") from error


def _scanner(
    config: Config, settings: XYStageSettings, rig: Rig, xy: XYStage, regions: Sequence[Region]
) -> Scanner:
    """A first frame tells how large a field is."""
    frame = rig.camera.next(max(rig.stall_s, 1.0))
    height, width = frame.pixels.shape[0], width_px(frame)
    um = config.objective.um_per_px
    axis = USUAL_AXIS
    look_s = config.camera.period_ms / 1e3 + MEASURE_S
    return Scanner(
        rig=rig,
        xy=xy,
        window=Box(settings.x_min_um, settings.y_min_um, settings.x_max_um, settings.y_max_um),
        travel_z_um=settings.travel_z_um,
        near_um=settings.near_um,
        grid=Grid(width * um, height * um, settings.overlap),
        regions=regions,
        pace=StopAndGo(axis, axis, SETTLE_S, LOOKS * look_s, 0.0),
    )
