"""Cameras behind /dev/video*: UVC cameras and CSI sensors whose driver delivers raw frames.

Straight on the kernel's interface, because that gives what OpenCV's capture hides: the kernel's
time stamp and sequence number of each frame, its error flag, and the frame without a copy.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import select
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from edge.cameras import v4l2_kernel as k
from edge.cameras.arrival import ExposureTime, HostStamps
from edge.cameras.borrowed_buffer import borrowed
from edge.cameras.exposure_time import arrived, started
from edge.cameras.grabbing import Device, Grabbed, GrabbingCamera
from edge.cameras.options import WHERE, Imaging, Options, read_imaging
from edge.errors import CameraLost, CameraStalled, OptionError

BUFFERS = 8
SEQUENCE = 1 << 32


@dataclass(frozen=True, slots=True)
class V4l2Options:
    """`set_exposure` = False: exposure_ms says what was set by other means."""

    device: str
    imaging: Imaging
    set_exposure: bool


def read_options(given: Mapping[str, Any]) -> V4l2Options:
    """Check the options; OptionError. Without width and height: the driver's present size."""
    options = Options(given)
    read = V4l2Options(
        device=options.text("device", r"/[\w./:-]{1,200}", "a path like /dev/video0"),
        imaging=read_imaging(options, triggers=("free",)),
        set_exposure=options.truth("set_exposure", default=True),
    )
    options.done()
    return read


def open_v4l2(**options: Any) -> GrabbingCamera:
    """The driver behind `camera.driver: v4l2`; see `read_options` and docs/cameras.md.

    ConfigError for options and values the camera does not take; CameraStalled when there is no
    such device or it is in use.
    """
    read = read_options(options)
    return GrabbingCamera(partial(V4l2Device, read), read.imaging.retry_s)


class V4l2Device(Device):
    """One opened device node with its buffers mapped."""

    def __init__(self, options: V4l2Options) -> None:
        self._options, self._imaging = options, options.imaging
        self._lock = threading.Lock()  # buffers come back from any thread, also while closing
        self._maps: list[mmap.mmap] = []
        self._last_sequence = self._counter = 0
        self._stamps = HostStamps()
        try:
            self._fd = os.open(options.device, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise CameraLost(f"{options.device} cannot be opened: {error.strerror}") from error
        try:
            self._check()
            self._set_format()
            self._set_exposure()
            self._start()
        except OSError as error:
            self.close()
            raise CameraLost(f"{options.device}: {error.strerror}") from error
        except BaseException:
            self.close()
            raise

    def grab(self, timeout_s: float) -> Grabbed | None:
        """See Device.grab."""
        try:
            buffer = self._dequeue(timeout_s)
            if buffer is None:
                return None
            needed = self._format.height * self._format.bytesperline
            if buffer.flags & k.FLAG_ERROR or buffer.bytesused < needed:
                self.incomplete += 1
                self._enqueue(buffer.index)
                return None
        except OSError as error:
            raise CameraLost(f"{self._options.device}: {error.strerror}") from error
        return self._grabbed(buffer)

    def trigger(self) -> None:
        """See Device.trigger."""
        raise CameraStalled("V4L2 has no trigger")

    def close(self) -> None:
        """See Device.close. Frames still held keep their memory."""
        with self._lock:
            fd, self._fd = self._fd, -1
            if fd < 0:
                return
            with suppress(OSError):  # it may be gone
                _ioctl(fd, k.STREAMOFF, ctypes.c_int(k.CAPTURE))
            os.close(fd)
            self._maps.clear()  # each is unmapped when its last frame goes

    def _check(self) -> None:
        capability = k.Capability()
        try:
            _ioctl(self._fd, k.QUERYCAP, capability)
        except OSError as error:
            where = self._options.device
            why = f"= {where!r} is not a video device: {error.strerror}"
            raise OptionError(WHERE, "device", why) from error
        # a video device tells no serial number, but where it is plugged in
        names = bytes(capability.card), bytes(capability.bus_info)
        self.identity = " ".join(text.decode("utf-8", "replace") for text in names).strip()
        has = capability.capabilities
        if has & k.CAP_DEVICE_CAPS:
            has = capability.device_caps
        if not (has & k.CAP_VIDEO_CAPTURE and has & k.CAP_STREAMING):
            raise OptionError(WHERE, "device", "must be able to capture and to stream")

    def _set_format(self) -> None:
        """Format, size and rate; OptionError for what the driver changes."""
        imaging, have = self._imaging, k.Format(type=k.CAPTURE)
        _ioctl(self._fd, k.G_FMT, have)
        wanted = k.FOURCC[imaging.pixel_format]
        have.pixelformat, have.field, have.bytesperline, have.sizeimage = wanted, k.FIELD_NONE, 0, 0
        if imaging.width is not None and imaging.height is not None:
            have.width, have.height = imaging.width, imaging.height
        _ioctl(self._fd, k.S_FMT, have)
        if have.pixelformat != wanted:
            word = struct.pack("<I", have.pixelformat).decode("ascii", "replace")
            why = f"= {imaging.pixel_format.value} is not offered; the camera would send {word}"
            raise OptionError(WHERE, "pixel_format", why)
        for key, ours, its in (
            ("width", imaging.width, have.width),
            ("height", imaging.height, have.height),
        ):
            if ours is not None and ours != its:
                raise OptionError(WHERE, key, f"= {ours} is not offered; the nearest is {its} (px)")
        row = have.width * imaging.pixel_format.channels
        have.bytesperline = have.bytesperline or row  # some drivers leave it out
        if have.bytesperline < row:
            why = f"= {imaging.pixel_format.value} would come in rows of {have.bytesperline} bytes"
            raise OptionError(WHERE, "pixel_format", f"{why}, {have.width} px need {row}")
        self._format = have
        if imaging.rate_hz is not None:
            self._set_rate(imaging.rate_hz)

    def _set_rate(self, rate_hz: float) -> None:
        rate = k.StreamParameters(type=k.CAPTURE, numerator=1000, denominator=round(rate_hz * 1000))
        with suppress(OSError):  # a driver without S_PARM leaves capability 0
            _ioctl(self._fd, k.S_PARM, rate)
        set_hz = rate.denominator / rate.numerator if rate.numerator else 0.0
        if not rate.capability & k.CAP_TIME_PER_FRAME or abs(set_hz - rate_hz) > 0.01 * rate_hz:
            offered = f"the nearest is {set_hz:g}" if rate.capability else "it cannot be set"
            raise OptionError(WHERE, "rate_hz", f"= {rate_hz:g} is not offered; {offered}")

    def _set_exposure(self) -> None:
        self._exposure_ns = self._imaging.exposure_ns
        if not self._options.set_exposure:
            return
        ticks = max(1, round(self._imaging.exposure_ms * 10))
        manual = k.Control(k.CID_EXPOSURE_AUTO, k.EXPOSURE_MANUAL)
        exposure = k.Control(k.CID_EXPOSURE_ABSOLUTE, ticks)
        try:
            with suppress(OSError):  # cameras without an automatic have no such control
                _ioctl(self._fd, k.S_CTRL, manual)
            _ioctl(self._fd, k.S_CTRL, exposure)
            _ioctl(self._fd, k.G_CTRL, exposure)
        except OSError as error:
            raise OptionError(
                WHERE,
                "exposure_ms",
                "cannot be set in this camera (no V4L2_CID_EXPOSURE_ABSOLUTE, or out of its range: "
                f"{error.strerror}); set it with v4l2-ctl and give set_exposure: false",
            ) from error
        self._exposure_ns = exposure.value * 100_000

    def _start(self) -> None:
        request = k.RequestBuffers(count=BUFFERS, type=k.CAPTURE, memory=k.MMAP)
        _ioctl(self._fd, k.REQBUFS, request)
        for index in range(request.count):
            buffer = k.Buffer(index=index, type=k.CAPTURE, memory=k.MMAP)
            _ioctl(self._fd, k.QUERYBUF, buffer)
            self._maps.append(mmap.mmap(self._fd, buffer.length, offset=buffer.offset))
            self._enqueue(index)
        _ioctl(self._fd, k.STREAMON, ctypes.c_int(k.CAPTURE))
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def _dequeue(self, timeout_s: float) -> k.Buffer | None:
        until_s = time.monotonic() + timeout_s
        while (left_s := until_s - time.monotonic()) > 0:
            self._poll.poll(left_s * 1e3)
            buffer = k.Buffer(type=k.CAPTURE, memory=k.MMAP)
            try:
                _ioctl(self._fd, k.DQBUF, buffer)
                return buffer
            except BlockingIOError:
                time.sleep(0.001)  # said to be ready, and was not
        return None

    def _enqueue(self, index: int) -> None:
        with self._lock:
            if self._fd >= 0:
                _ioctl(self._fd, k.QBUF, k.Buffer(index=index, type=k.CAPTURE, memory=k.MMAP))

    def _give_back(self, index: int, memory: ctypes.c_char) -> None:
        del memory  # held until now, so that the mapping stays
        with suppress(OSError):  # a lost camera takes nothing
            self._enqueue(index)

    def _grabbed(self, buffer: k.Buffer) -> Grabbed | None:
        arrival_ns = time.monotonic_ns()
        when = self._time(buffer, arrival_ns)
        self._counter += (buffer.sequence - self._last_sequence) % SEQUENCE
        self._last_sequence = buffer.sequence
        if when is None:
            self.incomplete += 1
            self._enqueue(buffer.index)
            return None
        wanted, shape = self._imaging.pixel_format, self._format
        memory = ctypes.c_char.from_buffer(self._maps[buffer.index])
        pixels = borrowed(
            ctypes.addressof(memory),
            shape.height,
            shape.width,
            wanted.channels,
            shape.bytesperline,
            partial(self._give_back, buffer.index, memory),
        )
        return Grabbed(pixels, wanted, self._counter, when)

    def _time(self, buffer: k.Buffer, arrival_ns: int) -> ExposureTime | None:
        """The kernel stamps in the host's monotonic time: nothing to synchronise, but some drivers
        reckon the stamp from the camera's own clock."""
        exposure_ns, readout_ns = self._exposure_ns, self._imaging.readout_ns
        by_arrival = arrived(arrival_ns, exposure_ns, readout_ns)
        if buffer.flags & k.STAMP_MASK != k.STAMP_MONOTONIC:
            return by_arrival
        stamp_ns = buffer.seconds * 1_000_000_000 + buffer.microseconds * 1000
        if buffer.flags & k.STAMP_START:
            stamp = started(stamp_ns, exposure_ns, 1000)
        else:
            stamp = arrived(stamp_ns, exposure_ns, readout_ns)
        return self._stamps.checked(stamp, by_arrival, arrival_ns)


def _ioctl(fd: int, request: int, argument: Any) -> None:
    while True:
        try:
            fcntl.ioctl(fd, request, argument)
            return
        except OSError as error:
            if error.errno != errno.EINTR:
                raise
