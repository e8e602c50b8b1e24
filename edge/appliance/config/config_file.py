"""The config file: read once, strictly; bounds stand where the value is read.

A duplicate, unknown, missing or out-of-range key stops the start with file, line, key and
limit; all of them are told at once. No default hides a dangerous choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from edge.appliance.config import calibration_file
from edge.appliance.config.strict_yaml import WRONG, Section
from edge.appliance.config.yaml_file import read_yaml
from edge.camera import check_options
from edge.errors import ConfigError, OptionError
from edge.measure.importance import ClassRule
from edge.optics import Objective
from edge.settings import (
    APPROACHING,
    BY_HAND,
    CLASS_KEYS,
    OBJECTIVE_KEYS,
    CameraSettings,
    Config,
    ControlSettings,
    Key,
    LoopSettings,
    ModelSettings,
    RealtimeSettings,
    RecordSettings,
    ScanSettings,
    StageSettings,
    XYStageSettings,
)
from firmware_bridge.plug_ins import PlugInBroken
from firmware_bridge.stage_options import option_faults

PLAY_MARGIN_UM = 0.5


def read_config(path: Path, calibrating: bool = False) -> Config:
    """Read and check a config file; ConfigFaults, a line `file:line: section.key = value must ...`
    for each mistake, or ConfigError for what is no config at all.

    `calibrating`: the calibration file is only about to be made, and is not read.
    """
    top = read_yaml(path)
    parts = {
        "camera": _part(top, "camera", _camera),
        "stage": _part(top, "stage", _stage),
        "objective": _part(top, "objective", _objective),
        "models": _part(top, "models", _models, required=False),
        "loop": _part(top, "loop", _loop, required=False),
        "realtime": _part(top, "realtime", _realtime, required=False),
        "record": _part(top, "record", _record, required=False),
        "scan": _part(top, "scan", _scan) if top.has("scan") else None,
        "xy_stage": _part(top, "xy_stage", _xy_stage) if top.has("xy_stage") else None,
        "control": _part(top, "control", _control) if top.has("control") else None,
    }
    top.done()
    top.stop()
    config = Config(**parts)
    return config if calibrating else calibrated(path, config)


def vouched_for(path: Path, config: Config) -> None:
    """ConfigError unless a calibration, or a person, vouches for which way is up: without, nothing
    that moves by itself may begin."""
    if not config.stage.calibration:
        raise ConfigError(
            f"{path}: stage.calibration must name the file of `sparsefocus calibrate`, "
            f"or be {BY_HAND} where a person vouches for focus_direction and the stage's um"
        )


def calibrated(path: Path, config: Config) -> Config:
    """The config with what the calibration file says; ConfigError where they disagree."""
    stage = config.stage
    if stage.calibration in ("", BY_HAND):
        return config
    calibration = calibration_file.read(Path(stage.calibration), config)
    if stage.focus_direction not in (0, calibration.focus_direction):
        raise ConfigError(
            f"{path}: stage.focus_direction = {stage.focus_direction} contradicts "
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
        off_um=calibration.off_um,
        made_with=calibration.made_with.stage,
        options=options,
    )
    camera = replace(config.camera, made_with=calibration.made_with.camera)
    models = replace(config.models, interval_factor=calibration.interval_factor)
    return replace(config, stage=changed, models=models, camera=camera)


def _part(top: Section, name: str, build: Callable[[Section], Any], required: bool = True) -> Any:
    """A section's settings, of no use where it has faults."""
    section = top.section(name, required)
    if section is None:
        return None
    settings = build(section)
    section.done()
    return settings


def _camera(s: Section) -> CameraSettings:
    given = keys_of(s, CameraSettings)
    if WRONG in (given["driver"], given["options"]):
        return CameraSettings(**given)
    try:
        check_options(given["driver"], given["options"])
    except OptionError as error:
        for fault in (error, *error.others):
            s.keep_option("options", fault.key, fault.why)
    except ConfigError as error:  # names its place itself
        place, _, why = f"{error}".removeprefix("camera.").partition(" ")
        s.keep(None, place, why)
    return CameraSettings(**given)


def _stage(s: Section) -> StageSettings:
    named = s.has("calibration")
    known = {"focus_direction"} if named else set()  # else the file knows it
    given = keys_of(s, StageSettings, known={*known, "z_max_um"})
    if named:
        given["focus_direction"] = s.read(
            "focus_direction", key_of(StageSettings, "focus_direction"), 0
        )
        if given["calibration"] is not WRONG:
            given["calibration"] = str(given["calibration"])
    given["z_max_um"] = _above(s, "z_max_um", given["z_min_um"], "z_min_um")
    if WRONG not in (given["driver"], given["options"]):
        try:
            for fault in option_faults(given["driver"], given["options"]):
                s.keep_option("options", fault.key, fault.why)
        except PlugInBroken as broken:
            s.keep(None, "driver", f"= {given['driver']!r}: {broken}")
    return StageSettings(**given)


def _above(
    s: Section, name: str, least: Any, other: str, settings: type[Any] = StageSettings
) -> Any:
    """A number of the section that must be above another one of it, where that is right."""
    key = key_of(settings, name)
    if least is WRONG:
        return s.read(name, key)
    return s.kept(lambda: s.number(name, least, key.high, above=other))


def _objective(s: Section) -> Objective:
    defaults = {each.name: each.default for each in fields(Objective)}
    values: dict[str, Any] = {}
    for name, key in OBJECTIVE_KEYS.items():
        if name == "na" and values["refractive_index"] is not WRONG:
            key = replace(key, high=key.high * values["refractive_index"])
        values[name] = s.read(name, key, defaults[name])
    return Objective(**values)


def _models(s: Section) -> ModelSettings:
    return ModelSettings(**keys_of(s, ModelSettings))


def _loop(s: Section) -> LoopSettings:
    return LoopSettings(**keys_of(s, LoopSettings), classes=_classes(s))


def _scan(s: Section) -> ScanSettings:
    return ScanSettings(**keys_of(s, ScanSettings))


def _xy_stage(s: Section) -> XYStageSettings:
    given = keys_of(s, XYStageSettings, known={"x_max_um", "y_max_um"})
    for axis in "xy":
        low = f"{axis}_min_um"
        given[f"{axis}_max_um"] = _above(s, f"{axis}_max_um", given[low], low, XYStageSettings)
    return XYStageSettings(**given)


def _control(s: Section) -> ControlSettings:
    return ControlSettings(**keys_of(s, ControlSettings))


def _realtime(s: Section) -> RealtimeSettings:
    return RealtimeSettings(**keys_of(s, RealtimeSettings))


def _record(s: Section) -> RecordSettings:
    return RecordSettings(**keys_of(s, RecordSettings))


def _classes(s: Section) -> ClassRule:
    rule, keys = ClassRule(), CLASS_KEYS
    dense = s.read("k_dense", keys["k_dense"], rule.dense)
    sparse = _at_most(s, "k_sparse", dense, rule.sparse)
    return ClassRule(
        threshold=s.read("importance_threshold", keys["importance_threshold"], rule.threshold),
        dense=dense,
        sparse=sparse,
        ex_sparse=_at_most(s, "k_ex_sparse", sparse, rule.ex_sparse),
        every=s.read("every_patch", keys["every_patch"], rule.every),
    )


def _at_most(s: Section, name: str, most: Any, default: int) -> Any:
    """A number of patches that must not be above another one, where that is right."""
    key = CLASS_KEYS[name]
    if most is WRONG:
        return s.read(name, key, default)
    return s.read(name, replace(key, high=most), min(default, most))


def keys_of(
    s: Section, settings: type[Any], known: Collection[str] = frozenset()
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
