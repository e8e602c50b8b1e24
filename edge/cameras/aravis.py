"""GigE Vision and USB3 Vision cameras of any maker, through Aravis 0.8.

A GigE camera is opened by its address and nothing is broadcast; a USB camera by its name. The
exposure's time comes from the camera's own clock, which a GigE camera is asked for once a
second (its bootstrap registers) and a USB camera by TimestampLatch.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any

from edge.cameras import aravis_library
from edge.cameras.aravis_library import RESEND_ALWAYS, RESEND_NEVER, SUCCESS, aravis
from edge.cameras.borrowed_buffer import borrowed
from edge.cameras.exposure_time import STAMPS, FrameTimes
from edge.cameras.grabbing import Device, Grabbed, GrabbingCamera
from edge.cameras.options import WHERE, Imaging, Options, read_imaging
from edge.errors import CameraLost, CameraStalled, OptionError

BUFFERS = 8
LISTEN_S = 1.0
SHORT_IDS = 0xFFFF  # GigE Vision 1 counts 1..65535 and leaves 0 out
# GigE Vision 2.0, bootstrap registers: ticks per second, latch, latched value; high word first
_TICKS, _LATCH, _LATCHED = 0x093C, 0x0944, 0x0948


@dataclass(frozen=True, slots=True)
class AravisOptions:
    """`device`: the address of a GigE camera or the name Aravis gives to a USB camera."""

    device: str
    imaging: Imaging
    stamp: str
    packet_resend: bool
    frame_retention_us: int


def read_options(given: Mapping[str, Any]) -> AravisOptions:
    """Check the options; OptionError."""
    options = Options(given)
    read = AravisOptions(
        device=options.text(
            "device", r"[\w.:-]{1,200}", "an address like 192.168.1.20 or a camera's name"
        ),
        imaging=read_imaging(options),
        stamp=options.choice("timestamp", STAMPS, default="start"),
        packet_resend=options.truth("packet_resend", default=True),
        frame_retention_us=round(
            1e3 * options.number("frame_retention_ms", 1, 1000, "ms", default=20.0)
        ),
    )
    options.done()
    return read


def open_aravis(**options: Any) -> GrabbingCamera:
    """The driver behind `camera.driver: aravis`; see `read_options` and docs/cameras.md.

    ConfigError for options and values the camera does not take, and without the library;
    CameraStalled when the camera does not answer or is in use.
    """
    read = read_options(options)
    imaging = read.imaging
    return GrabbingCamera(
        partial(AravisDevice, read), imaging.retry_s, imaging.trigger == "software"
    )


class AravisDevice(Device):
    """One opened camera and its stream."""

    def __init__(self, options: AravisOptions) -> None:
        self._options, self._imaging = options, options.imaging
        self._arv = arv = aravis()
        arv.disable_interface(b"Fake")
        self._camera: int | None = arv.camera_new(options.device.encode())
        if not self._camera:
            raise CameraLost(f"no camera answers at {options.device}")
        self._stream: int | None = None
        self._answers = True  # else each question to it costs seconds
        try:
            self._device = arv.camera_get_device(self._camera)
            getters = arv.camera_get_model_name, arv.camera_get_device_serial_number
            self.identity = " ".join((ask(self._camera) or b"").decode() for ask in getters).strip()
            self._gige = arv.camera_is_gv_device(self._camera)
            if self._gige and not arv.gv_device_is_controller(self._device):
                raise CameraLost(f"{options.device} is in use by another program")
            self._set_up()
            self._start()
        except BaseException:
            self.close()
            raise
        self._times = FrameTimes(
            options.stamp, self._exposure_ns, self._imaging.readout_ns, self._latched_ns
        )
        self._counter = self._last_id = 0
        self._heard_s = time.monotonic()

    def grab(self, timeout_s: float) -> Grabbed | None:
        """See Device.grab."""
        self._times.synchronise()
        buffer = self._arv.stream_timeout_pop_buffer(self._stream, round(timeout_s * 1e6))
        arrival_ns = time.monotonic_ns()
        if not buffer:
            self._silent()
            return None
        self._heard_s = time.monotonic()
        if not self._complete(buffer):
            self.incomplete += 1
            self._arv.stream_push_buffer(self._stream, buffer)
            return None
        return self._grabbed(buffer, arrival_ns)

    def trigger(self) -> None:
        """See Device.trigger."""
        self._times.triggered()
        try:
            self._arv.camera_software_trigger(self._camera)
        except CameraLost as error:
            raise CameraStalled(f"the camera did not take the trigger: {error}") from error

    def close(self) -> None:
        """See Device.close. Frames still held keep their memory, and with it Aravis's device: so
        the camera is let go of by name, or nobody could open it while one is held."""
        camera, self._camera = self._camera, None
        stream, self._stream = self._stream, None
        if camera and stream and self._answers:
            with suppress(CameraLost):  # it cannot be told
                self._arv.camera_stop_acquisition(camera)
                if self._gige:
                    self._arv.gv_device_leave_control(self._device)
        for held in (stream, camera):
            if held:
                self._arv.unref(held)

    def _set_up(self) -> None:
        """Put the options into the camera; ConfigError for what it does not take."""
        arv, camera, imaging = self._arv, self._camera, self._imaging
        take = _Taker(self._options.device)
        arv.camera_set_acquisition_mode(camera, aravis_library.CONTINUOUS)
        pixel_format = imaging.pixel_format.value
        take("pixel_format", arv.camera_set_pixel_format_from_string, camera, pixel_format.encode())
        width, height = ctypes.c_int(), ctypes.c_int()
        arv.camera_get_sensor_size(camera, ctypes.byref(width), ctypes.byref(height))
        wanted = (imaging.width or width.value, imaging.height or height.value)
        for key, want, most in zip(("width", "height"), wanted, (width, height), strict=True):
            if want > most.value:
                raise OptionError(WHERE, key, f"= {want} must be at most {most.value} (px)")
        # centred; even, so that the colour mosaic keeps its phase
        left, top = (width.value - wanted[0]) // 4 * 2, (height.value - wanted[1]) // 4 * 2
        take("width", arv.camera_set_region, camera, left, top, *wanted)
        arv.camera_clear_triggers(camera)
        if imaging.rate_hz is not None:
            take("rate_hz", arv.camera_set_frame_rate, camera, imaging.rate_hz)
        take("exposure_ms", arv.camera_set_exposure_time, camera, imaging.exposure_ms * 1e3)
        self._exposure_ns = round(arv.camera_get_exposure_time(camera) * 1e3)
        if imaging.trigger != "free":
            source = imaging.trigger_line or "Software"
            take("trigger_line", arv.camera_set_trigger, camera, source.encode())
        if imaging.trigger == "hardware":
            edge = f"{imaging.trigger_edge.capitalize()}Edge".encode()
            set_feature = arv.device_set_string_feature_value
            take("trigger_edge", set_feature, self._device, b"TriggerActivation", edge)

    def _start(self) -> None:
        arv, camera = self._arv, self._camera
        if self._gige:
            arv.camera_gv_auto_packet_size(camera)
        self._stream = arv.camera_create_stream(camera, None, None)
        if not self._stream:
            raise CameraLost("the camera is in use by another program")
        if self._gige:
            resend = RESEND_ALWAYS if self._options.packet_resend else RESEND_NEVER
            arv.set_integer(self._stream, b"packet-resend", resend, None)
            retention_us = self._options.frame_retention_us
            arv.set_integer(self._stream, b"frame-retention", retention_us, None)
        payload = arv.camera_get_payload(camera)
        for _ in range(BUFFERS):
            arv.stream_push_buffer(self._stream, arv.buffer_new_allocate(payload))
        arv.camera_start_acquisition(camera)

    def _silent(self) -> None:
        """Nothing came: is the camera still there, and still ours?"""
        if time.monotonic() - self._heard_s < LISTEN_S:
            return
        self._heard_s = time.monotonic()
        self._answers = False
        self._ask_anything()
        self._answers = True

    def _ask_anything(self) -> None:
        if self._gige:
            if not self._arv.gv_device_is_controller(self._device):
                raise CameraLost(f"{self._options.device} is no longer under our control")
            self._register(_TICKS)
        else:
            self._arv.camera_get_exposure_time(self._camera)

    def _complete(self, buffer: int) -> bool:
        """Every packet came, and they are as many bytes as the picture has."""
        arv, size = self._arv, ctypes.c_size_t()
        if arv.buffer_get_status(buffer) != SUCCESS:
            return False
        arv.buffer_get_data(buffer, ctypes.byref(size))
        height, row, pitch = self._rows(buffer)
        return bool(row and height and pitch * (height - 1) + row <= size.value)

    def _rows(self, buffer: int) -> tuple[int, int, int]:
        """(rows, bytes of a row, bytes from row to row)"""
        arv, across, below = self._arv, ctypes.c_int(), ctypes.c_int()
        arv.buffer_get_image_padding(buffer, ctypes.byref(across), ctypes.byref(below))
        row = arv.buffer_get_image_width(buffer) * self._imaging.pixel_format.channels
        return arv.buffer_get_image_height(buffer), row, row + max(0, across.value)

    def _grabbed(self, buffer: int, arrival_ns: int) -> Grabbed | None:
        arv, wanted = self._arv, self._imaging.pixel_format
        when = self._times.of(arv.buffer_get_timestamp(buffer), arrival_ns)
        counter = self._count(arv.buffer_get_frame_id(buffer))
        if when is None:
            self.incomplete += 1
            arv.stream_push_buffer(self._stream, buffer)
            return None
        address = arv.buffer_get_data(buffer, ctypes.byref(ctypes.c_size_t()))
        height, row, pitch = self._rows(buffer)
        give_back = partial(_give_back, arv, arv.ref(self._stream), buffer)
        pixels = borrowed(
            address, height, row // wanted.channels, wanted.channels, pitch, give_back
        )
        return Grabbed(pixels, wanted, counter, when)

    def _count(self, frame_id: int) -> int:
        """The camera's frame id without its wrap at 16 bits."""
        self._counter += steps(self._last_id, frame_id)
        self._last_id = frame_id
        return self._counter

    def _latched_ns(self) -> int | None:
        arv = self._arv
        if not self._gige:
            if not arv.camera_is_feature_available(self._camera, b"TimestampLatch"):
                return None
            arv.device_execute_command(self._device, b"TimestampLatch")
            return int(arv.device_get_integer_feature_value(self._device, b"TimestampLatchValue"))
        ticks = self._register(_TICKS) << 32 | self._register(_TICKS + 4)
        if not ticks:
            return None
        arv.device_write_register(self._device, _LATCH, 2)
        latched = self._register(_LATCHED) << 32 | self._register(_LATCHED + 4)
        return latched * 1_000_000_000 // ticks

    def _register(self, address: int) -> int:
        value = ctypes.c_uint32()
        self._arv.device_read_register(self._device, address, ctypes.byref(value))
        return value.value


def steps(before: int, now: int) -> int:
    """Exposures from one frame id to the next: 65535 is followed by 1 where ids have 16 bits."""
    wrapped = SHORT_IDS if now < before <= SHORT_IDS else 0
    return now - before + wrapped


class _Taker:
    """Sets one feature; what the camera refuses becomes an OptionError that names our option."""

    def __init__(self, device: str) -> None:
        self._device = device

    def __call__(self, key: str, call: Any, *values: Any) -> None:
        try:
            call(*values)
        except CameraLost as error:
            why = f"is not taken by the camera {self._device}: {error}"
            raise OptionError(WHERE, key, why) from error


def _give_back(arv: SimpleNamespace, stream: int, buffer: int) -> None:
    arv.stream_push_buffer(stream, buffer)
    arv.unref(stream)
