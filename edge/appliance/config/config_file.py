"""The config file: read once, strictly; bounds stand where the value is read.

A duplicate, unknown, missing or out-of-range key stops the start with file, line, key and
limit. No default hides a dangerous choice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge.appliance.config import calibration_file
from edge.appliance.config.strict_yaml import Section, read_yaml
from edge.camera import check_options
from edge.errors import ConfigError, OptionError
from edge.measure.importance import ClassRule
from edge.optics import Objective
from edge.settings import (
    BY_HAND,
    CLASS_KEYS,
    OBJECTIVE_KEYS,
    CameraSettings,
    Config,
    Key,
    LoopSettings,
    ModelSettings,
    RealtimeSettings,
    ScanSettings,
    StageSettings,
)
from firmware_bridge.stage_options import StageOptionError
from firmware_bridge.stage_options import check_options as check_stage_options

#: drivers whose controller ends every move from one side, past the play (`backlash_um`)
APPROACHING = ("binary", "binary-process")
PLAY_MARGIN_UM = 0.5


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
    calibration = calibration_file.read(Path(stage.calibration), config)
    if stage.focus_direction not in (0, calibration.focus_direction):
        raise ConfigError(
            f"{top.file}: stage.focus_direction = {stage.focus_direction} contradicts "
            f"{stage.calibration}, which found {calibration.focus_direction:+d}"
        )
    options = dict(stage.options)
    if stage.driver in APPROACHING:
        # the approach must cross the play that was found, whatever was written before
        needed, given = (
            math.ceil(calibration.play_um + PLAY_MARGIN_UM),
            options.get("backlash_um", 0.0),
        )
        options["backlash_um"] = math.copysign(max(abs(given), needed), given)
    changed = replace(
        stage,
        focus_direction=calibration.focus_direction,
        um_per_unit=calibration.um_per_unit,
        reference_um=calibration.reference_um,
        made_with=calibration.made_with.stage,
        options=options,
    )
    camera = replace(config.camera, made_with=calibration.made_with.camera)
    models = replace(config.models, interval_factor=calibration.interval_factor)
    return replace(config, stage=changed, models=models, camera=camera)


def _camera(s: Section) -> CameraSettings:
    settings = CameraSettings(**keys_of(s, CameraSettings))
    s.done()
    try:
        check_options(settings.driver, settings.options)
    except OptionError as error:
        s.reject_option("options", error.key, error.why)
    except ConfigError as error:
        s.reject(None, "", f"{error}")
    return settings


def _stage(s: Section) -> StageSettings:
    driver = s.read("driver", key_of(StageSettings, "driver"))
    named = (
        s.read("calibration", key_of(StageSettings, "calibration")) if s.has("calibration") else ""
    )
    z_min_um = s.read("z_min_um", key_of(StageSettings, "z_min_um"))
    z_max = key_of(StageSettings, "z_max_um")
    given = {
        "driver": driver,
        "calibration": str(named),
        "z_min_um": z_min_um,
        "z_max_um": s.number("z_max_um", z_min_um, z_max.high, above="z_min_um"),
    }
    if named:  # the file knows it
        given["focus_direction"] = s.read(
            "focus_direction", key_of(StageSettings, "focus_direction"), 0
        )
    settings = StageSettings(**given, **keys_of(s, StageSettings, known=given))
    s.done()
    try:
        check_stage_options(settings.driver, settings.options)
    except StageOptionError as error:
        s.reject_option("options", error.key, error.why)
    return settings


def _objective(s: Section) -> Objective:
    defaults = {each.name: each.default for each in fields(Objective)}
    values: dict[str, Any] = {}
    for name, key in OBJECTIVE_KEYS.items():
        if name == "na":
            key = replace(key, high=key.high * values["refractive_index"])
        values[name] = s.read(name, key, defaults[name])
    s.done()
    return Objective(**values)


def _models(s: Section) -> ModelSettings:
    settings = ModelSettings(**keys_of(s, ModelSettings))
    s.done()
    return settings


def _loop(s: Section) -> LoopSettings:
    settings = LoopSettings(**keys_of(s, LoopSettings), classes=_classes(s))
    s.done()
    return settings


def _scan(s: Section) -> ScanSettings:
    settings = ScanSettings(**keys_of(s, ScanSettings))
    s.done()
    return settings


def _realtime(s: Section) -> RealtimeSettings:
    settings = RealtimeSettings(**keys_of(s, RealtimeSettings))
    s.done()
    return settings


def _classes(s: Section) -> ClassRule:
    rule, keys = ClassRule(), CLASS_KEYS
    dense = s.read("k_dense", keys["k_dense"], rule.dense)
    sparse = s.read("k_sparse", replace(keys["k_sparse"], high=dense), min(rule.sparse, dense))
    least = replace(keys["k_ex_sparse"], high=sparse)
    return ClassRule(
        threshold=s.read("importance_threshold", keys["importance_threshold"], rule.threshold),
        dense=dense,
        sparse=sparse,
        ex_sparse=s.read("k_ex_sparse", least, min(rule.ex_sparse, sparse)),
        every=s.read("every_patch", keys["every_patch"], rule.every),
    )


def keys_of(
    s: Section, settings: type[Any], known: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """All keys of a section but those that are known, as its dataclass declares them."""
    return {
        each.name: s.read(each.name, each.metadata["key"], each.default)
        for each in fields(settings)
        if "key" in each.metadata and each.name not in known
    }


def key_of(settings: type[Any], name: str) -> Key:
    """How a key is read."""
    return next(each.metadata["key"] for each in fields(settings) if each.name == name)
