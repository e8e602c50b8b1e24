"""The camera contract: what a frame is, what a driver must do, and where the drivers live.

A driver is imported only when its name is asked for, so a machine without pylon, CUDA or
a simulator runs everything else.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import ConfigError


class PixelFormat(str, Enum):
    """Pixel formats by their GenICam names (PFNC)."""

    MONO8 = "Mono8"
    RGB8 = "RGB8"
    BGR8 = "BGR8"
    BAYER_RG8 = "BayerRG8"
    BAYER_GR8 = "BayerGR8"
    BAYER_GB8 = "BayerGB8"
    BAYER_BG8 = "BayerBG8"
    MONO10P = "Mono10p"
    MONO12P = "Mono12p"
    BAYER_RG10P = "BayerRG10p"
    BAYER_GR10P = "BayerGR10p"
    BAYER_GB10P = "BayerGB10p"
    BAYER_BG10P = "BayerBG10p"
    BAYER_RG12P = "BayerRG12p"
    BAYER_GR12P = "BayerGR12p"
    BAYER_GB12P = "BayerGB12p"
    BAYER_BG12P = "BayerBG12p"


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure.

    `pixels` is C-contiguous uint8, (height, width, 3) for RGB8/BGR8, (height, width) for Mono8
    and Bayer, (height, bytes of a row) for the packed 10p and 12p. Times are CLOCK_MONOTONIC of
    the host in ns, of the exposure, never of arrival. `frame_id` is the camera's own counter and
    steps by exactly 1.
    """

    pixels: npt.NDArray[np.uint8]
    pixel_format: PixelFormat
    frame_id: int
    exposure_start_ns: int
    exposure_end_ns: int

    @property
    def exposure_mid_ns(self) -> int:
        """Middle of the exposure: the moment to which a measured defocus belongs."""
        return (self.exposure_start_ns + self.exposure_end_ns) // 2


class Camera(ABC):
    """A source of frames. `next` hands out the newest complete frame and never an old one twice."""

    #: frames that were exposed but never handed out (a newer one was there)
    dropped: int = 0

    @abstractmethod
    def next(self, timeout_s: float) -> Frame:
        """Wait for the next frame whose exposure ended; CameraStalled after `timeout_s`."""

    @abstractmethod
    def close(self) -> None:
        """Stop and release the device; safe to call twice."""


#: name in the config -> where the driver lives ("module:class")
CAMERAS: dict[str, str] = {
    "recorded": "edge.cameras.recorded:RecordedCamera",
    "simulated": "simulator.camera:open_simulated",
}


def open_camera(name: str, settings: Mapping[str, Any]) -> Camera:
    """Import the driver called `name` and open it with the settings of its config section."""
    if name not in CAMERAS:
        raise ConfigError(f"camera.driver = {name!r} must be one of {', '.join(sorted(CAMERAS))}")
    module, _, attribute = CAMERAS[name].partition(":")
    driver = getattr(importlib.import_module(module), attribute)
    camera: Camera = driver(**settings)
    return camera
