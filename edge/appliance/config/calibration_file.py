"""The result of a calibration as a signed file: nobody edits a sign by accident.

JSON with the result, what it was made with, and an HMAC-SHA256 over both, by the machine's key: a
file that was changed, was cut short, or was made for another instrument, other models or on another
machine is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edge.appliance.config.machine_key import key_path, make_key, read_key
from edge.appliance.files import json_safe, try_result, write_json
from edge.errors import ConfigError
from edge.settings import Config
from engines.manifest import Manifest
from engines.strict_json import is_number, loads
from engines.whole_file import read_bounded

VERSION = 2  # 2: names the devices that it was made with
SIZE_LIMIT = 1 << 20
#: options of a stage that do not change what a move does to the glass
_WIRING = ("port", "baudrate", "backlash_um", "settle_ms", "speed_um_s", "assumed_tolerance_um")

#: of a result, what the runtime needs
_NUMBERS = ("focus_direction", "um_per_unit", "reference_um", "play_um", "interval_factor")
#: options of a camera that say which one it is
_CAMERA = ("serial", "address", "device", "link")


@dataclass(frozen=True, slots=True)
class MadeWith:
    """What stage and camera said of themselves (edge.instrument); {} = they cannot tell."""

    stage: Mapping[str, Any] = field(default_factory=dict)
    camera: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageCalibration:
    """What the runtime needs of a result (edge.appliance.calibrate.drive_calibration)."""

    focus_direction: int
    um_per_unit: float
    reference_um: float
    play_um: float
    interval_factor: float
    off_um: float = 0.0  # how far the stage may be from where it says, um of the stage
    made_with: MadeWith = field(default_factory=MadeWith)


def instrument_of(config: Config) -> dict[str, Any]:
    """What a calibration belongs to: stage, objective, and the models that were its ruler."""
    stage, options = config.stage, config.stage.options
    return {
        "stage": {
            "driver": stage.driver,
            "options": {k: v for k, v in sorted(options.items()) if k not in _WIRING},
        },
        "camera": {
            "driver": config.camera.driver,
            **{key: config.camera.options[key] for key in _CAMERA if key in config.camera.options},
        },
        "objective": asdict(config.objective),
        "models": {name: Manifest.read(path).sha256
                   for name, path in (("rin", config.models.rin), ("dpn", config.models.dpn))},
    }  # fmt: skip


def ready(path: Path, key: Path | None = None) -> None:
    """ConfigError where a result could not be signed and written here; asked before any move.

    The machine's key is made, where there is none.
    """
    make_key(key or key_path())
    try_result("stage.calibration", path)


def write(
    path: Path,
    result: dict[str, Any],
    config: Config,
    key: Path | None = None,
    made_with: MadeWith | None = None,
) -> None:
    """Sign and write in one piece; ConfigError when the disk says no."""
    devices = asdict(made_with or MadeWith())
    body = json_safe(
        {
            "version": VERSION,
            "instrument": instrument_of(config),
            "made_with": devices,
            "result": result,
        }
    )
    signed = {**body, "hmac_sha256": _mac(body, make_key(key or key_path()))}
    write_json(signed, path, "stage.calibration")


def read(path: Path, config: Config, key: Path | None = None) -> StageCalibration:
    """The calibration in a file, for this config; ConfigError in one line for any doubt.

    Whether the devices are those it was made with is seen when they are opened: `made_with`.
    """
    try:
        data = read_bounded(path, SIZE_LIMIT)
    except OSError as error:
        raise ConfigError(f"{path}: the calibration cannot be read: {error.strerror}") from error
    secret = read_key(key or key_path())
    try:
        body = loads(data)
        mac = body.pop("hmac_sha256")
        version, result, made_for = body["version"], body["result"], body["instrument"]
        devices = body.get("made_with")
        expected = _mac(body, secret)
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise ConfigError(f"{path}: is not a whole calibration file; calibrate again") from error
    if not (isinstance(mac, str) and mac.isascii() and hmac.compare_digest(mac, expected)):
        raise ConfigError(
            f"{path}: its signature is not this machine's: the file was changed, or made elsewhere"
        )
    if version != VERSION:
        raise ConfigError(f"{path}: version {version!r:.40}, this release reads {VERSION}")
    ours = json.loads(json.dumps(json_safe(instrument_of(config))))
    for part in ours:
        if not isinstance(made_for, dict) or made_for.get(part) != ours[part]:
            raise ConfigError(f"{path}: was made with another {part} than the config names")
    return replace(_calibration(path, result), made_with=_made_with(path, devices))


def _made_with(path: Path, devices: Any) -> MadeWith:
    if not isinstance(devices, dict) or not all(
        isinstance(devices.get(name), dict) for name in ("stage", "camera")
    ):
        raise ConfigError(f"{path}: does not tell its devices; calibrate again")
    return MadeWith(devices["stage"], devices["camera"])


def _calibration(path: Path, result: Any) -> StageCalibration:
    """What the result says, number by number; ConfigError for what no instrument can be."""
    values: dict[str, Any] = {}
    for name in _NUMBERS:
        value = result.get(name) if isinstance(result, dict) else None
        if not is_number(value):
            raise ConfigError(f"{path}: the result's {name} is not a number: {value!r:.40}")
        values[name] = value
    if "off_um" in result:  # files of older releases do not tell it
        if not is_number(result["off_um"]):
            raise ConfigError(f"{path}: the result's off_um is not a number")
        values["off_um"] = result["off_um"]
    calibration = StageCalibration(**values)
    sound = (
        calibration.focus_direction in (1, -1)
        and 0.1 <= calibration.um_per_unit <= 10.0
        and 0.0 <= calibration.play_um <= 100.0
        and 1.0 <= calibration.interval_factor <= 100.0
        and 0.0 <= calibration.off_um <= 100.0
    )
    if not sound:
        raise ConfigError(f"{path}: holds impossible numbers: {calibration}")
    return replace(calibration, focus_direction=int(calibration.focus_direction))


def _mac(body: dict[str, Any], key: bytes) -> str:
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()
