"""The result of a calibration as a signed file: nobody edits a sign by accident.

JSON with the result, what it was made with, and an HMAC-SHA256 over both. The key is a file of the
machine, made at the first calibration and readable by its user only: a file that was changed, was
cut short, or was made for another instrument, other models or on another machine is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.appliance.files import json_safe, json_text, replace_file
from edge.errors import ConfigError
from edge.settings import Config
from engines.manifest import Manifest

VERSION = 1
KEY = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "sparsefocus" / "key"
KEY_BYTES = 32
SIZE_LIMIT = 1 << 20
#: options of a stage that do not change what a move does to the glass
_WIRING = ("port", "baudrate", "backlash_um", "settle_ms", "speed_um_s", "assumed_tolerance_um")


@dataclass(frozen=True, slots=True)
class StageCalibration:
    """What the runtime needs of a result; see edge.appliance.calibrate.calibration.Calibrated."""

    focus_direction: int
    um_per_unit: float
    reference_um: float
    play_um: float
    interval_factor: float


def instrument_of(config: Config) -> dict[str, Any]:
    """What a calibration belongs to: stage, objective, and the models that were its ruler."""
    stage, options = config.stage, config.stage.options
    return {
        "stage": {
            "driver": stage.driver,
            "options": {k: v for k, v in sorted(options.items()) if k not in _WIRING},
        },
        "camera": config.camera.driver,
        "objective": asdict(config.objective),
        "models": {name: Manifest.read(path).sha256
                   for name, path in (("rin", config.models.rin), ("dpn", config.models.dpn))},
    }  # fmt: skip


def write(path: Path, result: dict[str, Any], config: Config, key: Path = KEY) -> None:
    """Sign and write in one piece; ConfigError when the disk says no."""
    body = json_safe({"version": VERSION, "instrument": instrument_of(config), "result": result})
    signed = {**body, "hmac_sha256": _mac(body, _key(key, make=True))}
    try:
        replace_file(path, json_text(signed))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def read(path: Path, config: Config, key: Path = KEY) -> StageCalibration:
    """The calibration in a file, for this config; ConfigError in one line for any doubt."""
    try:
        data = path.read_bytes()[: SIZE_LIMIT + 1]
    except OSError as error:
        raise ConfigError(f"{path}: the calibration cannot be read: {error.strerror}") from error
    try:
        if len(data) > SIZE_LIMIT:
            raise ValueError
        body = json.loads(data)
        mac = body.pop("hmac_sha256")
        version, result, made_for = body["version"], body["result"], body["instrument"]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise ConfigError(f"{path}: is not a whole calibration file; calibrate again") from error
    if not (isinstance(mac, str) and hmac.compare_digest(mac, _mac(body, _key(key, make=False)))):
        raise ConfigError(
            f"{path}: its signature is not this machine's: the file was changed, or made elsewhere"
        )
    if version != VERSION:
        raise ConfigError(f"{path}: version {version}, this release reads {VERSION}")
    ours = json.loads(json.dumps(json_safe(instrument_of(config))))
    for part in ours:
        if made_for.get(part) != ours[part]:
            raise ConfigError(f"{path}: was made with another {part} than the config names")
    return _calibration(path, result)


def _calibration(path: Path, result: Any) -> StageCalibration:
    try:
        found = StageCalibration(
            focus_direction=int(result["focus_direction"]),
            um_per_unit=float(result["um_per_unit"]),
            reference_um=float(result["reference_um"]),
            play_um=float(result["play_um"]),
            interval_factor=float(result["interval_factor"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: the result lacks {error}") from error
    sound = (
        found.focus_direction in (1, -1)
        and 0.1 <= found.um_per_unit <= 10.0
        and math.isfinite(found.reference_um)
        and 0.0 <= found.play_um <= 100.0
        and 1.0 <= found.interval_factor <= 100.0
    )
    if not sound:
        raise ConfigError(f"{path}: holds impossible numbers: {found}")
    return found


def _mac(body: dict[str, Any], key: bytes) -> str:
    plain = json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hmac.new(key, plain.encode(), hashlib.sha256).hexdigest()


def _key(path: Path, make: bool) -> bytes:
    """The machine's key; made with the first calibration, for its user only."""
    try:
        if make and not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"{path}: the key of this machine cannot be read: {error.strerror}; calibrate here"
        ) from error
    if len(key) != KEY_BYTES:
        raise ConfigError(f"{path}: is not a key of {KEY_BYTES} bytes")
    return key
