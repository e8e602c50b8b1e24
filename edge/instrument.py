"""Which stage and which camera these are: a calibration belongs to one instrument.

Sign, scale and play are of one drive, the interval is of one camera. Two microscopes of the same
make have the same config but for a port; so what a calibration was made with is asked from the
devices themselves and compared with what they say when they are opened again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.camera import Camera
from edge.errors import ConfigError
from firmware_bridge.stage import Stage


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
