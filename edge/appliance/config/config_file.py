"""The config file: read once, strictly; bounds stand where the value is read.

A duplicate, unknown, missing or out-of-range key stops the start with file, line, key and
limit. No default hides a dangerous choice.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from edge.appliance.config import calibration_file
from edge.appliance.config.strict_yaml import Section, read_yaml
from edge.camera import CAMERAS, check_options
from edge.errors import ConfigError, OptionError
from edge.measure.importance import ClassRule
from edge.measure.preprocess import MAX_PATCHES
from edge.optics import Objective
from edge.settings import (
    BACKENDS,
    RUNTIMES,
    CameraSettings,
    Config,
    LoopSettings,
    ModelSettings,
    RealtimeSettings,
    ScanSettings,
    StageSettings,
)
from engines.gpu.frame import MEMORY
from firmware_bridge.stage import STAGES

BY_HAND = "by-hand"  # a person vouches for focus_direction and for the stage's um
#: drivers whose controller ends every move from one side, past the play (`backlash_um`)
APPROACHING = ("binary", "binary-process")
PLAY_MARGIN_UM = 0.5
TRAVEL_UM = 100_000  # no microscope's focus drive travels 10 cm


def read_config(path: Path, calibrating: bool = False) -> Config:
    """Read and check a config file; ConfigError `file:line: section.key = value must ...`.

    `calibrating`: the calibration file is only about to be made, and is not read.
    """
    top = read_yaml(path)
    config = Config(
        camera=_camera(top.section("camera")),
        stage=_stage(top.section("stage")),
        objective=_objective(top.section("objective")),
        models=_models(top.section("models", required=False)),
        loop=_loop(top.section("loop", required=False)),
        realtime=_realtime(top.section("realtime", required=False)),
        scan=_scan(top.section("scan")) if top.has("scan") else None,
    )
    top.done()
    return config if calibrating else _calibrated(top, config)


def _calibrated(top: Section, config: Config) -> Config:
    """The config with what the calibration file says; ConfigError where they disagree."""
    stage = config.stage
    if stage.calibration in ("", BY_HAND):
        return config
    found = calibration_file.read(Path(stage.calibration), config)
    if stage.focus_direction not in (0, found.focus_direction):
        raise ConfigError(
            f"{top.file}: stage.focus_direction = {stage.focus_direction} contradicts "
            f"{stage.calibration}, which found {found.focus_direction:+d}"
        )
    options = dict(stage.options)
    if stage.driver in APPROACHING:
        # the approach must cross the play that was found, whatever was written before
        needed, given = math.ceil(found.play_um + PLAY_MARGIN_UM), options.get("backlash_um", 0.0)
        options["backlash_um"] = math.copysign(max(abs(given), needed), given)
    changed = replace(
        stage,
        focus_direction=found.focus_direction,
        um_per_unit=found.um_per_unit,
        reference_um=found.reference_um,
        options=options,
    )
    models = replace(config.models, interval_factor=found.interval_factor)
    return replace(config, stage=changed, models=models)


def _camera(s: Section) -> CameraSettings:
    settings = CameraSettings(
        driver=s.choice("driver", sorted(CAMERAS)),
        period_ms=s.number("period_ms", 1, 10_000),
        options=s.options("options"),
    )
    s.done()
    try:
        check_options(settings.driver, settings.options)
    except OptionError as error:
        s.reject_option("options", error.key, error.why)
    except ConfigError as error:
        s.reject(None, "", f"{error}")
    return settings


def _stage(s: Section) -> StageSettings:
    driver = s.choice("driver", sorted(STAGES))
    named = _calibration_of(s)
    z_min_um = s.number("z_min_um", -TRAVEL_UM, TRAVEL_UM)
    settings = StageSettings(
        driver=driver,
        z_min_um=z_min_um,
        z_max_um=s.number("z_max_um", z_min_um, TRAVEL_UM, above="z_min_um"),
        focus_direction=s.integer("focus_direction", -1, 1, **({"default": 0} if named else {})),
        max_step_um=s.number("max_step_um", 0.01, 1000, default=25.0),
        settle_ms=s.number("settle_ms", 0, 1000, default=5.0),
        max_moves_per_s=s.integer("max_moves_per_s", 1, 200, default=20),
        options=s.options("options"),
        calibration=named,
    )
    s.done()
    return settings


def _calibration_of(s: Section) -> str:
    """ "" when it is not given, "by-hand", or the path of a file."""
    if not s.has("calibration"):
        return ""
    return str(s.word_or_path("calibration", BY_HAND))


def _objective(s: Section) -> Objective:
    refractive_index = s.number("refractive_index", 1, 1.6, default=1.0)
    known = Objective(na=0.75, magnification=20, um_per_px=0.34)  # for its defaults
    objective = Objective(
        na=s.number("na", 0.02, 0.99 * refractive_index),
        magnification=s.number("magnification", 1, 200),
        um_per_px=s.number("um_per_px", 0.01, 20),
        wavelength_um=s.number("wavelength_um", 0.3, 1.2, default=known.wavelength_um),
        refractive_index=refractive_index,
        detector_um=s.number("detector_um", 0.5, 50, default=known.detector_um),
    )
    s.done()
    return objective


def _models(s: Section) -> ModelSettings:
    shipped = ModelSettings()
    settings = ModelSettings(
        rin=s.path("rin", default=shipped.rin),
        dpn=s.path("dpn", default=shipped.dpn),
        threads=s.integer("threads", 0, 64, default=0),
        backend=s.choice("backend", BACKENDS, default=shipped.backend),
        runtime=s.choice("runtime", RUNTIMES, default=shipped.runtime),
        frame_memory=s.choice("frame_memory", MEMORY, default=shipped.frame_memory),
    )
    s.done()
    return settings


def _loop(s: Section) -> LoopSettings:
    known = LoopSettings()
    settings = LoopSettings(
        deadband_um=s.number("deadband_um", 0.01, 100, default=None),
        verify_above_um=s.number("verify_above_um", 0.1, 100, default=known.verify_above_um),
        max_interval_um=s.number("max_interval_um", 0.1, 100, default=known.max_interval_um),
        max_age_ms=s.number("max_age_ms", 1, 10_000, default=None),
        max_shots=s.integer("max_shots", 1, 100, default=known.max_shots),
        budget_ms=s.number("budget_ms", 1, 10_000, default=None),
        enough_um=s.number("enough_um", 0.01, 100, default=None),
        classes=_classes(s),
    )
    s.done()
    return settings


def _scan(s: Section) -> ScanSettings:
    known = ScanSettings(0.0, 0.0)
    settings = ScanSettings(
        scan_speed_um_s=s.number("scan_speed_um_s", 0, 1_000_000),
        max_step_um=s.number("max_step_um", 0.01, 50),
        max_blur_um=s.number("max_blur_um", 0.01, 5, default=known.max_blur_um),
        max_uncertainty_um=s.number(
            "max_uncertainty_um", 0.01, 5, default=known.max_uncertainty_um
        ),
        max_interval_um=s.number("max_interval_um", 0.1, 100, default=known.max_interval_um),
        lead_ms=s.number("lead_ms", 0, 1000, default=known.lead_ms),
        predict_um=s.number("predict_um", 0.01, 100, default=known.predict_um),
        feed_forward=s.truth("feed_forward", default=known.feed_forward),
    )
    s.done()
    return settings


def _realtime(s: Section) -> RealtimeSettings:
    settings = RealtimeSettings(
        priority=s.integer("priority", 0, 99, default=0),
        cores=s.integers("cores", 0, 1023, default=()),
        lock_memory=s.truth("lock_memory", default=False),
    )
    s.done()
    return settings


def _classes(s: Section) -> ClassRule:
    rule = ClassRule()
    dense = s.integer("k_dense", 1, MAX_PATCHES, default=rule.dense)
    sparse = s.integer("k_sparse", 1, dense, default=min(rule.sparse, dense))
    return ClassRule(
        threshold=s.number("importance_threshold", 0.01, 0.99, default=rule.threshold),
        dense=dense,
        sparse=sparse,
        ex_sparse=s.integer("k_ex_sparse", 1, sparse, default=min(rule.ex_sparse, sparse)),
        every=s.truth("every_patch", default=rule.every),
    )
