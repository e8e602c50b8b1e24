"""Basler cameras through pypylon (extra `pylon`), GigE, USB3 and the emulated one.

Only the transport layer that is named is opened, so nothing is broadcast unless `GigE` is asked
to look for a serial number. The emulated camera stamps no frames: its times come from arrivals.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from edge.camera import PixelFormat
from edge.cameras.exposure_time import STAMPS, FrameTimes
from edge.cameras.grabbing import Device, Grabbed, GrabbingCamera
from edge.cameras.options import WHERE, Imaging, Options, read_imaging
from edge.cameras.pylon_library import line_of, load_pylon, pixels_of
from edge.errors import CameraLost, CameraStalled, OptionError

LAYERS = {"usb": "BaslerUsb", "gige": "BaslerGigE", "emulated": "BaslerCamEmu"}
READY_S = 1.0
NO_COUNTER = (1 << 64) - 1
# names of the same feature in SFNC and in older Basler cameras
_EXPOSURE = ("ExposureTime", "ExposureTimeAbs")
_RATE = ("AcquisitionFrameRate", "AcquisitionFrameRateAbs")
_LATCHES = (
    ("TimestampLatch", "TimestampLatchValue"),
    ("GevTimestampControlLatch", "GevTimestampValue"),
)
_FORMATS = {PixelFormat.RGB8: ("RGB8", "RGB8Packed"), PixelFormat.BGR8: ("BGR8", "BGR8Packed")}


@dataclass(frozen=True, slots=True)
class PylonOptions:
    """`link` names the transport layer; `serial` = None: the only camera on it; `address`: of a
    GigE camera, opened without looking for it; `images`: a folder whose pictures the emulated
    camera shows in turn, instead of its own pattern."""

    link: str
    serial: str | None
    address: str | None
    imaging: Imaging
    stamp: str
    images: str | None = None


def read_options(given: Mapping[str, Any]) -> PylonOptions:
    """Check the options; OptionError."""
    options = Options(given)
    read = PylonOptions(
        link=options.choice("link", tuple(LAYERS)),
        serial=options.text("serial", r"[\w-]{1,40}", "a serial number in quotes", default=None),
        address=options.text("address", r"[\d.]{7,15}", "an address like 192.168.1.20", None),
        imaging=read_imaging(options),
        stamp=options.choice("timestamp", STAMPS, default="start"),
        images=options.text("images", r"[^\0]{1,1000}", "a folder", default=None),
    )
    if read.images is not None and read.link != "emulated":
        options.reject("images", "needs link: emulated")
    if read.images is not None and not Path(read.images).is_dir():
        options.reject("images", f"= {read.images} must be a folder")
    if (read.link == "gige") != (read.address is not None):
        options.reject("address", "must be given with link: gige, and only then")
    options.done()
    return read


def open_pylon(**options: Any) -> GrabbingCamera:
    """The driver behind `camera.driver: pylon`; see `read_options` and docs/cameras.md.

    ConfigError for options and values the camera does not take, and without pypylon;
    CameraStalled when there is no such camera or it is in use.
    """
    read = read_options(options)
    imaging = read.imaging
    return GrabbingCamera(
        partial(PylonDevice, read), imaging.retry_s, imaging.trigger == "software"
    )


class PylonDevice(Device):
    """One opened camera."""

    def __init__(self, options: PylonOptions) -> None:
        self._pylon = load_pylon()
        self._genicam: Any = importlib.import_module("pypylon.genicam")
        self._errors = self._genicam.GenericException
        self._options, self._imaging = options, options.imaging
        self._camera = self._open()
        try:
            self._camera.Open()
            self._nodes = self._camera.GetNodeMap()
            info = self._camera.GetDeviceInfo()
            self.identity = f"{info.GetModelName()} {info.GetSerialNumber()}".strip()
            self._set_up()
            self._camera.StartGrabbing(self._pylon.GrabStrategy_LatestImageOnly)
        except self._errors as error:
            self.close()
            raise CameraLost(f"the camera cannot be opened: {line_of(error)}") from error
        except BaseException:
            self.close()
            raise
        self._times = FrameTimes(
            options.stamp, self._exposure_ns, self._imaging.readout_ns, self._latched_ns
        )

    def grab(self, timeout_s: float) -> Grabbed | None:
        """See Device.grab."""
        try:
            self._times.synchronise()
            if not self._camera.IsGrabbing():
                raise CameraLost("the camera stopped")
            # Never let RetrieveResult wait: pylon times it with SIGALRM, and for ever in a process
            # that has a handler of its own for that signal.
            self._camera.GetGrabResultWaitObject().Wait(round(timeout_s * 1e3))
            result = self._camera.RetrieveResult(0, self._pylon.TimeoutHandling_Return)
            arrival_ns = time.monotonic_ns()
            if not result.IsValid():
                if self._camera.IsCameraDeviceRemoved():
                    raise CameraLost("the camera was removed")
                return None
            if not result.GrabSucceeded():
                self.incomplete += 1
                result.Release()
                return None
            return self._grabbed(result, arrival_ns)
        except self._errors as error:
            raise CameraLost(line_of(error)) from error

    def trigger(self) -> None:
        """See Device.trigger."""
        try:
            self._await_trigger_ready()
            self._times.triggered()
            self._camera.ExecuteSoftwareTrigger()
        except self._errors as error:
            raise CameraStalled(f"the camera did not take the trigger: {line_of(error)}") from error

    def close(self) -> None:
        """See Device.close. Frames still held keep their memory."""
        for stop in (self._camera.StopGrabbing, self._camera.Close, self._camera.DestroyDevice):
            try:
                stop()
            except self._errors:
                continue  # it cannot be told

    def _await_trigger_ready(self) -> None:
        """Asked again and again, for the reason given in `grab`."""
        if not self._camera.CanWaitForFrameTriggerReady():
            return
        give_up_s = time.monotonic() + 2 * self._exposure_ns / 1e9 + READY_S
        late = False
        while not self._camera.WaitForFrameTriggerReady(0, self._pylon.TimeoutHandling_Return):
            if late:
                raise CameraStalled("the camera is not ready for a trigger")
            time.sleep(0.0005)
            late = time.monotonic() > give_up_s  # a look after it: we may have had no turn

    def _open(self) -> Any:
        pylon, options = self._pylon, self._options
        try:
            layer = pylon.TlFactory.GetInstance().CreateTl(LAYERS[options.link])
            if not layer:
                raise CameraLost(f"pylon cannot use {options.link} on this machine")
            if options.address is not None:
                info = pylon.DeviceInfo()
                info.SetDeviceClass(LAYERS[options.link])
                info.SetIpAddress(options.address)
                return pylon.InstantCamera(layer.CreateDevice(info))
            devices = list(layer.EnumerateDevices())
            serials = [info.GetSerialNumber() for info in devices]
            if options.serial is not None and options.serial not in serials:
                raise CameraLost(
                    f"no camera {options.serial} on {options.link}: found {serials or 'none'}"
                )
            if options.serial is None and len(devices) != 1:
                raise CameraLost(
                    f"{len(devices)} cameras on {options.link}; camera.options.serial must name "
                    f"one of {', '.join(serials) or 'none'}"
                )
            wanted = devices[serials.index(options.serial) if options.serial else 0]
            return pylon.InstantCamera(layer.CreateDevice(wanted))
        except self._errors as error:
            raise CameraLost(f"no camera on {options.link}: {line_of(error)}") from error

    def _set_up(self) -> None:
        """Put the options into the camera; OptionError for what it does not take."""
        imaging = self._imaging
        for name in ("ExposureAuto", "GainAuto"):
            if self._genicam.IsWritable(self._nodes.GetNode(name)):
                self._nodes.GetNode(name).FromString("Off")
        names = _FORMATS.get(imaging.pixel_format, (imaging.pixel_format.value,))
        self._set_one_of("pixel_format", "PixelFormat", names)
        for key, value in (("width", imaging.width), ("height", imaging.height)):
            node = self._nodes.GetNode(key.capitalize())
            self._set(key, key.capitalize(), node.GetMax() if value is None else value)
            self._centre("OffsetX" if key == "width" else "OffsetY")
        self._set("exposure_ms", self._present(_EXPOSURE), imaging.exposure_ms * 1e3)
        exposure_us = self._nodes.GetNode(self._present(_EXPOSURE)).GetValue()
        self._exposure_ns = round(exposure_us * 1e3)
        if self._options.images is not None:
            self._set("images", "TestImageSelector", "Off")
            self._set("images", "ImageFilename", self._options.images)
            self._set("images", "ImageFileMode", "On")
        if imaging.rate_hz is not None:
            self._set("rate_hz", "AcquisitionFrameRateEnable", True)
            self._set("rate_hz", self._present(_RATE), imaging.rate_hz)
        self._set("trigger", "TriggerSelector", "FrameStart")
        if imaging.trigger == "software":
            self._set("trigger", "TriggerSource", "Software")
        elif imaging.trigger == "hardware":
            self._set("trigger_line", "TriggerSource", imaging.trigger_line)
            edge = f"{imaging.trigger_edge.capitalize()}Edge"
            self._set("trigger_edge", "TriggerActivation", edge)
        self._set("trigger", "TriggerMode", "Off" if imaging.trigger == "free" else "On")

    def _set_one_of(self, key: str, feature: str, values: tuple[str, ...]) -> None:
        known = self._nodes.GetNode(feature).GetSymbolics()
        for value in values:
            if value in known:
                return self._set(key, feature, value)
        raise OptionError(WHERE, key, f"= {values[0]} must be one of the camera's: {known}")

    def _set(self, key: str, feature: str, value: Any) -> None:
        try:
            node = self._nodes.GetNode(feature)
            if isinstance(value, str):
                node.FromString(value)
            else:
                node.SetValue(value)
        except self._errors as error:
            why = f"is not taken by the camera: {feature} = {value}: {line_of(error)}"
            raise OptionError(WHERE, key, why) from error

    def _centre(self, offset: str) -> None:
        """Even, so that the colour mosaic keeps its phase."""
        node = self._nodes.GetNode(offset)
        if self._genicam.IsWritable(node):
            node.SetValue(node.GetMax() // 4 * 2)

    def _present(self, names: tuple[str, ...]) -> str:
        return next((n for n in names if self._readable(n)), names[0])

    def _readable(self, name: str) -> bool:
        return bool(self._genicam.IsReadable(self._nodes.GetNode(name)))

    def _grabbed(self, result: Any, arrival_ns: int) -> Grabbed | None:
        wanted = self._imaging.pixel_format
        when = self._times.of(self._ns(result.TimeStamp), arrival_ns)
        if when is None:
            self.incomplete += 1
            result.Release()
            return None
        pixels = pixels_of(result, wanted)
        counter = result.BlockID if result.BlockID != NO_COUNTER else result.ImageNumber
        return Grabbed(pixels, wanted, counter, when)

    def _latched_ns(self) -> int | None:
        for latch, value in _LATCHES:
            if self._genicam.IsWritable(self._nodes.GetNode(latch)):
                self._nodes.GetNode(latch).Execute()
                return self._ns(self._nodes.GetNode(value).GetValue())
        return None

    def _ns(self, ticks: int) -> int:
        """Older GigE cameras count ticks of another length; all others ns."""
        if self._readable("GevTimestampTickFrequency"):
            return (
                ticks * 1_000_000_000 // self._nodes.GetNode("GevTimestampTickFrequency").GetValue()
            )
        return ticks
