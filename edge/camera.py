"""The camera contract: what a frame is, what a driver must do, and where the drivers live.

A driver is imported only when its name is asked for, so a machine without pylon, CUDA or
a simulator runs everything else.
"""

from __future__ import annotations

import importlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.errors import CameraStalled, ConfigError, OptionError, SparseFocusError
from firmware_bridge import plug_ins


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


@dataclass(frozen=True, slots=True)
class Numbered:
    """A frame with the device's own number, which no opening anew of the camera hides."""

    counter: int
    frame: Frame


class EveryFrame(ABC):
    """What a camera took since `Camera.keep_all`, in the order of its arrival: nothing is passed
    over for a newer one. Its pixels are copies, so it may hold as many as it was given room for."""

    #: counters of frames for which there was no room
    overflowed: tuple[int, ...] = ()
    #: counter of the newest frame before these; None = there was none of this device
    before: int | None = None
    #: why no frame after this one can be told apart: the camera was lost meanwhile
    broken: str | None = None

    @abstractmethod
    def take(self, timeout_s: float) -> Numbered | None:
        """The next one; None when none came in time, or none comes any more."""

    @abstractmethod
    def close(self) -> None:
        """Keep the newest alone again; what was not taken is dropped. Safe to call twice."""


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

    def keep_all(self, capacity: int) -> EveryFrame:
        """Keep every frame from now on, `capacity` at most, until the answer is closed; meanwhile
        `next` hands out nothing. ConfigError where a camera cannot, or keeps them already."""
        raise ConfigError("this camera hands out the newest frame only")

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
    check_options(name, settings)
    if name in CAMERAS:
        module, _, attribute = CAMERAS[name].partition(":")
        camera: Camera = getattr(importlib.import_module(module), attribute)(**settings)
        return camera
    if name == plug_ins.GIVEN:
        raise ConfigError(f"camera.driver = {name} {plug_ins.NEEDS_GIVER.format('camera')}")
    plug_in, driver = _plug_in(name)
    try:
        opened = driver(**settings)
    except (SparseFocusError, OSError):
        raise
    except Exception as error:  # whatever a foreign library raises
        raise CameraStalled(f"camera.driver = {name!r}: {plug_in.broken(error)}") from error
    if not isinstance(opened, Camera):
        raise ConfigError(f"camera.driver = {name!r}: {plug_in}: opens no sparsefocus.Camera")
    return opened


def check_options(name: str, settings: Mapping[str, Any]) -> None:
    """Check a camera's options as far as that goes without its library and the camera itself;
    ConfigError as from `open_camera`. Every driver's module of ours has a `read_options`; one of
    another package may have it, and its options are the parameters of what opens it."""
    if name == plug_ins.GIVEN:
        _raise([(key, "is of no use: the camera is given") for key in settings])
        return
    if name in CAMERAS:
        importlib.import_module(CAMERAS[name].partition(":")[0]).read_options(settings)
        return
    _, driver = _plug_in(name)
    _raise(list(plug_ins.signature_faults(driver, settings)))
    module = sys.modules.get(getattr(driver, "__module__", ""))
    if read_options := getattr(module, "read_options", None):
        read_options(settings)


def _plug_in(name: str) -> tuple[plug_ins.PlugIn, Callable[..., Any]]:
    """The driver that another package brings, and what opens it; ConfigError."""
    try:
        plug_in = plug_ins.find(plug_ins.CAMERAS, name)
        if plug_in is not None:
            return plug_in, plug_in.load()
    except plug_ins.PlugInBroken as broken:
        raise ConfigError(f"camera.driver = {name!r}: {broken}") from broken
    known = ", ".join(sorted((*CAMERAS, *plug_ins.names(plug_ins.CAMERAS))))
    raise ConfigError(f"camera.driver = {name!r} must be one of {known}")


def _raise(faults: list[tuple[str, str]]) -> None:
    """OptionError for the first of (option, why), with the others in it."""
    if faults:
        first, *others = [OptionError("camera.options", key, why) for key, why in faults]
        first.others = tuple(others)
        raise first
