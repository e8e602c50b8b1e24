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
    #: one value per pixel under a colour mosaic; the letters are the first row's first two
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

    @property
    def channels(self) -> int:
        """Values per pixel as they lie in memory: 3 for RGB8 and BGR8, else 1."""
        return 3 if self in (PixelFormat.RGB8, PixelFormat.BGR8) else 1


@dataclass(frozen=True, slots=True)
class Frame:
    """One exposure.

    `pixels` is C-contiguous uint8, (height, width, 3) for RGB8/BGR8, (height, width) for Mono8
    and Bayer, (height, bytes of a row) for the packed 10p and 12p. It may be one of the few
    buffers of the driver, which gets it back when the last reference to it goes: hold at most two.
    Times are CLOCK_MONOTONIC of the host in ns, of the exposure, never of arrival; both may be
    wrong by `time_uncertainty_ns` (half-width). `frame_id` is the camera's own counter and steps
    by exactly 1 with every exposure.
    """

    pixels: npt.NDArray[np.uint8]
    pixel_format: PixelFormat
    frame_id: int
    exposure_start_ns: int
    exposure_end_ns: int
    time_uncertainty_ns: int = 0

    @property
    def earliest_start_ns(self) -> int:
        """When the exposure may have begun at the earliest: whoever asks whether the stage had
        settled by then asks this."""
        return self.exposure_start_ns - self.time_uncertainty_ns

    @property
    def exposure_mid_ns(self) -> int:
        """Middle of the exposure: the moment to which a measured defocus belongs."""
        return (self.exposure_start_ns + self.exposure_end_ns) // 2


class Camera(ABC):
    """A source of frames. `next` hands out the newest complete frame and never an old one twice."""

    #: frames that were exposed but never handed out (incomplete, or a newer one was there);
    #: brought up to date when the next one is handed out
    dropped: int = 0
    #: what the camera says of itself (model and serial number), "" = it cannot tell
    identity: str = ""

    @property
    def incomplete(self) -> int:
        """Frames of which a part was lost on the way. They are refused, never handed out."""
        return 0

    @property
    def tries_again(self) -> bool:
        """A camera that was lost is opened again until it is back; meanwhile `next` raises
        CameraLost."""
        return False

    def trigger(self) -> None:
        """Expose once, now. Only needed to expose earlier than the next call of `next`, which
        triggers by itself. ConfigError when the camera is not opened with `trigger: software`,
        CameraStalled when it does not take the trigger."""
        raise ConfigError("camera.options.trigger must be software for triggering by command")

    @abstractmethod
    def next(self, timeout_s: float) -> Frame:
        """Wait for the next frame whose exposure ended; CameraStalled after `timeout_s`."""

    @abstractmethod
    def close(self) -> None:
        """Stop and release the device; safe to call twice."""


#: name in the config -> where the driver lives ("module:class")
CAMERAS: dict[str, str] = {
    "aravis": "edge.cameras.aravis:open_aravis",
    "gstreamer": "edge.cameras.gstreamer:open_gstreamer",
    "pylon": "edge.cameras.pylon:open_pylon",
    "recorded": "edge.cameras.recorded:RecordedCamera",
    "simulated": "simulator.camera:open_simulated",
    "v4l2": "edge.cameras.v4l2:open_v4l2",
}


def open_camera(name: str, settings: Mapping[str, Any]) -> Camera:
    """Import the driver called `name` and open it with the settings of its config section.

    ConfigError for its settings and for a library that is not installed, CameraStalled when
    there is no such camera or it is in use.
    """
    if name not in CAMERAS:
        raise ConfigError(f"camera.driver = {name!r} must be one of {', '.join(sorted(CAMERAS))}")
    check_options(name, settings)
    module, _, attribute = CAMERAS[name].partition(":")
    driver = getattr(importlib.import_module(module), attribute)
    camera: Camera = driver(**settings)
    return camera


def check_options(name: str, settings: Mapping[str, Any]) -> None:
    """Check a camera's options as far as that goes without its library and the camera itself;
    ConfigError as from `open_camera`. Every driver's module has a `read_options`."""
    module = importlib.import_module(CAMERAS[name].partition(":")[0])
    module.read_options(settings)
