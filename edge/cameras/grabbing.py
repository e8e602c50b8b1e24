"""A live camera: a thread takes frames from the device into a slot that holds the newest one.

The loop is paced by the camera and must never act on a queue: whoever comes late finds the
newest frame, and those that were passed over are counted. A camera that goes away is opened
again until it is back; meanwhile `next` reports a stall, and the loop decides how long to wait.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.camera import Camera, Frame, PixelFormat
from edge.cameras.exposure_time import ExposureTime
from edge.cameras.frame_queue import FrameQueue
from edge.errors import CameraLost, CameraStalled, ConfigError

POLL_S = 0.1  # how long a closing camera may have to wait for its thread

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Grabbed:
    """One complete frame; `counter` steps by 1 with every exposure of this device."""

    pixels: npt.NDArray[np.uint8]
    pixel_format: PixelFormat
    counter: int
    time: ExposureTime


class Device(ABC):
    """One opened camera, as its driver sees it. `grab` is called from one thread; `trigger` from
    another."""

    #: frames that came with a part missing and were refused
    incomplete: int = 0
    #: see Camera.identity
    identity: str = ""

    @abstractmethod
    def grab(self, timeout_s: float) -> Grabbed | None:
        """The next complete frame, None when none came in time; CameraLost when it went away."""

    @abstractmethod
    def trigger(self) -> None:
        """Send a software trigger; CameraStalled when the camera does not take it."""

    @abstractmethod
    def close(self) -> None:
        """Stop and release; not called while `grab` runs. Must not raise for a lost camera."""


class GrabbingCamera(Camera):
    """The newest-frame slot around a device.

    `open_device` is called now (its errors reach the caller) and again, every `retry_s`, after
    the device was lost; 0 = never again. `software`: frames are triggered by command.
    """

    def __init__(
        self, open_device: Callable[[], Device], retry_s: float, software: bool = False
    ) -> None:
        self._open_device, self._retry_s, self._software = open_device, retry_s, software
        self._device: Device | None = open_device()
        self.identity = self._device.identity
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._newest: Frame | None = None
        self._base: int | None = None  # frame_id - counter of this device
        self._put_id = self._handed_id = -1
        self._refused = 0  # incomplete frames of devices before this one
        self._triggered = False
        self._why: str | None = None  # the camera is lost
        self.reconnects = 0
        self._queue: FrameQueue | None = None
        self._counter: int | None = None  # newest of this device
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def next(self, timeout_s: float) -> Frame:
        """See Camera.next; with a software trigger it exposes first, unless `trigger` did."""
        if self._software and not self._triggered and self._newest is None and not self._why:
            self.trigger()
        with self._changed:
            self._changed.wait_for(lambda: self._newest or self._closing.is_set(), timeout_s)
            frame, self._newest, self._triggered = self._newest, None, False
            if frame is None:
                raise self._stalled(timeout_s)
            self.dropped += frame.frame_id - self._handed_id - 1
            self._handed_id = frame.frame_id
        return frame

    def trigger(self) -> None:
        """See Camera.trigger."""
        if not self._software:
            super().trigger()
        device = self._device
        if device is None or self._closing.is_set():
            raise self._stalled(0)
        self._triggered = True
        device.trigger()

    def keep_all(self, capacity: int) -> FrameQueue:
        """See Camera.keep_all."""
        with self._changed:
            if self._queue is not None and not self._queue.closed:
                raise ConfigError("the camera keeps all of its frames already")
            self._newest = None
            self._queue = FrameQueue(capacity, self._counter, self._changed)
            if self._why is not None or self._closing.is_set():
                self._queue.end(self._why or "the camera is closed")
            return self._queue

    @property
    def incomplete(self) -> int:
        """See Camera.incomplete."""
        return self._refused + (self._device.incomplete if self._device else 0)

    @property
    def tries_again(self) -> bool:
        """See Camera.tries_again."""
        return self._retry_s > 0

    def close(self) -> None:
        """See Camera.close."""
        with self._changed:
            self._closing.set()
            self._newest = None
            if self._queue is not None:
                self._queue.end("the camera is closed")
            self._changed.notify_all()
        self._thread.join()
        self._release()

    def _stalled(self, timeout_s: float) -> CameraStalled:
        if self._closing.is_set():
            return CameraStalled("the camera is closed")
        if self._why is not None:
            again = f"; trying again every {self._retry_s:g} s" if self._retry_s else ""
            return CameraLost(f"the camera is lost: {self._why}{again}")
        refused = f" ({self.incomplete} incomplete ones refused so far)" if self.incomplete else ""
        return CameraStalled(f"no frame within {timeout_s:g} s{refused}")

    def _run(self) -> None:
        try:
            while not self._closing.is_set() and (self._retry_s or self._why is None):
                self._take()
        finally:
            if self._why is None:
                self._why = "its thread ended"

    def _take(self) -> None:
        try:
            if self._device is None:
                self._reopen()
            else:
                self._put(self._device.grab(POLL_S))
        except CameraLost as lost:
            self._lose(str(lost))

    def _put(self, grabbed: Grabbed | None) -> None:
        if grabbed is None:
            return
        if self._base is None or self._base + grabbed.counter <= self._put_id:
            self._base = self._put_id + 1 - grabbed.counter
        self._put_id = self._base + grabbed.counter
        frame = Frame(
            grabbed.pixels,
            grabbed.pixel_format,
            self._put_id,
            grabbed.time.start_ns,
            grabbed.time.end_ns,
            grabbed.time.uncertainty_ns,
        )
        with self._changed:
            self._counter = grabbed.counter
            if self._queue is not None and not self._queue.closed:
                self._queue.put(grabbed.counter, frame)
            elif not self._closing.is_set():
                self._newest = frame
            self._changed.notify_all()

    def _lose(self, why: str) -> None:
        if self._why is None:
            log.warning("camera lost: %s", why)
        with self._changed:
            self._why = why
            self._newest = None  # what it showed is past
            self._counter = None
            if self._queue is not None:
                self._queue.end(why)  # another device, or the same anew, counts from elsewhere
        self._release()

    def _release(self) -> None:
        device, self._device = self._device, None
        if device is not None:
            self._refused += device.incomplete
            device.close()

    def _reopen(self) -> None:
        if self._closing.wait(self._retry_s):
            return
        try:
            device = self._open_device()
        except (CameraStalled, ConfigError) as error:
            raise CameraLost(str(error)) from error
        if device.identity != self.identity:  # another one behind the same name
            device.close()
            raise CameraLost(f"{device.identity or 'a camera'} answers, not {self.identity}")
        log.warning("camera is back")
        with self._changed:
            self._device, self._base, self._why, self._triggered = device, None, None, False
            self.reconnects += 1
