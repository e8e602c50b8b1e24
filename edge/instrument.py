"""Which stage and which camera these are, and the stage that the config names, opened.

A calibration belongs to one instrument: sign, scale and play are of one drive, the interval is of
one camera. Two microscopes of the same make have the same config but for a port; so what a
calibration was made with is asked from the devices themselves and compared with what they say when
they are opened again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.camera import Camera
from edge.errors import ConfigError
from edge.settings import StageSettings
from firmware_bridge import plug_ins
from firmware_bridge.stage import STAGES, Stage, open_stage
from firmware_bridge.stage_options import StageOptionError, check_options
from firmware_bridge.stages.last_place import place_of
from firmware_bridge.stages.polled import PolledStage
from firmware_bridge.stages.scaled import ScaledStage, to_units


def stage_says(stage: Stage) -> dict[str, Any]:
    """What a stage says of itself, as plain values; {} where it cannot tell.

    A line's lasting name stands for a controller that has no number of its own.
    """
    identity = getattr(stage, "identity", None)  # a program may bring a stage of its own
    if identity is None:
        return {}
    says: dict[str, Any] = {"controller": identity.text}
    if identity.serial:
        says["serial number"] = identity.serial
    elif identity.port:
        says["port"] = identity.port
    says["um per step"] = identity.resolution_um
    if identity.travel_um is not None:
        says["travel in um"] = list(identity.travel_um)
    return says


def camera_says(camera: Camera) -> dict[str, Any]:
    """The same of a camera."""
    identity = getattr(camera, "identity", "")
    return {"camera": identity} if identity else {}


def check_same(made_with: Mapping[str, Any], says: Mapping[str, Any], what: str) -> None:
    """ConfigError when a device is not the one, or not set up as the one, of the calibration."""
    for name, value in made_with.items():
        if says.get(name) != value:
            raise ConfigError(
                f"the calibration was made with another {what}: {name} {value!r}, here "
                f"{says.get(name)!r}; calibrate this one"
            )


def calibrated(stage: Stage, settings: StageSettings) -> Stage:
    """The stage in um of focus, and as far from where it says as the calibration found it."""
    if isinstance(stage, ScaledStage):
        return stage
    return _as_found(stage, settings)


def _as_found(
    stage: Stage, settings: StageSettings, window_um: tuple[float, float] | None = None
) -> Stage:
    """Itself, where its um are um and it is where it says, as nearly as it can say."""
    if settings.um_per_unit == 1.0 and settings.off_um <= stage.resolution_um:
        return stage
    scale = settings.um_per_unit, settings.reference_um
    return ScaledStage(stage, *scale, window_um, settings.off_um)


def _check_driver(name: str) -> None:
    if name == plug_ins.GIVEN:
        raise ConfigError(f"stage.driver = {name} {plug_ins.NEEDS_GIVER.format('stage')}")
    known = sorted((*STAGES, *plug_ins.names(plug_ins.STAGES)))
    if name not in known:
        raise ConfigError(f"stage.driver = {name!r} must be one of {', '.join(known)}")


def open_stage_of(settings: StageSettings, stop_first: bool = False) -> Stage:
    """Open the stage that the config names, in um of focus for whoever opens it.

    The window, which is in um of focus, goes to the driver and its firmware in their own um, so
    that a dip of theirs stays inside it, too. ConfigError for its options and for another stage
    than that of the calibration, StageError otherwise. `stop_first`: see `open_stage`; who only
    wants to stop it is not asked which one it is.
    """
    _check_driver(settings.driver)
    ends = settings.z_min_um, settings.z_max_um
    low, high = (to_units(end, settings.um_per_unit, settings.reference_um) for end in ends)
    window = {"z_min_um": low, "z_max_um": high}
    try:
        check_options(settings.driver, settings.options)
    except StageOptionError as error:
        raise ConfigError(f"stage.options.{error.key} {error.why}") from error
    except plug_ins.PlugInBroken as broken:
        raise ConfigError(f"stage.driver = {settings.driver!r}: {broken}") from broken
    stage = open_stage(settings.driver, {**window, **settings.options}, stop_first)
    try:
        if not stop_first:
            check_same(settings.made_with, stage_says(stage), "stage")
            _remember(stage, settings)
    except ConfigError:
        stage.close()
        raise
    return _as_found(stage, settings, ends)


def _remember(stage: Stage, settings: StageSettings) -> None:
    """Where the last session left a controller that has no reference of its own. One without a
    number is known by its line; a line whose name another one may have tomorrow is not."""
    says, options = stage_says(stage), settings.options
    line = str(options.get("port", options.get("config", "")))
    if not isinstance(stage, PolledStage) or not (
        "serial number" in says or "port" in says or not line.startswith("/dev/pts/")
    ):
        return
    name = says.get("serial number") or says.get("port") or line
    axis = [options.get(key) for key in ("axis", "module", "motor", "device")]
    place = place_of(settings.driver, says["controller"], name, *axis)
    if place is not None:
        stage.remember(place)
