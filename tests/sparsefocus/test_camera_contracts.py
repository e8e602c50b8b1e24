"""The contract of cameras refuses what is not sound."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.camera import Frame
from sparsefocus.testing import failures
from tests.support.own_drivers import MyCameraContract, example

MyCamera = example("my_drivers").MyCamera


class Changed(MyCamera):
    """A camera whose frames are as `change` makes them."""

    def change(self, frame: Frame) -> Any:
        return frame

    def next(self, timeout_s: float) -> Any:
        return self.change(super().next(timeout_s))


class Floats(Changed):
    def change(self, frame: Frame) -> Any:
        return replace(frame, pixels=frame.pixels.astype(np.float64))


class Strided(Changed):
    def change(self, frame: Frame) -> Any:
        return replace(frame, pixels=frame.pixels[:, ::-1])


class Grey(Changed):
    def change(self, frame: Frame) -> Any:
        return replace(frame, pixels=np.ascontiguousarray(frame.pixels[..., 0]))


class Uncounted(Changed):
    """Every other frame is lost, and nobody counts it."""

    def change(self, frame: Frame) -> Any:
        return replace(frame, frame_id=2 * frame.frame_id)


class Again(Changed):
    def change(self, frame: Frame) -> Any:
        return replace(frame, frame_id=7)


class OnArrivalOfTheWall(Changed):
    def change(self, frame: Frame) -> Any:
        now = time.time_ns()
        return replace(frame, exposure_start_ns=now, exposure_end_ns=now)


class Reversed(Changed):
    def change(self, frame: Frame) -> Any:
        start, end = frame.exposure_start_ns, frame.exposure_end_ns
        return replace(frame, exposure_start_ns=end, exposure_end_ns=start)


class OneBuffer(Changed):
    """Every frame in the same memory."""

    def change(self, frame: Frame) -> Any:
        if not hasattr(self, "_buffer"):
            self._buffer = frame.pixels
        self._buffer[:] = frame.frame_id
        return replace(frame, pixels=self._buffer)


class Queue(Changed):
    """Hands out what was exposed one call before."""

    def change(self, frame: Frame) -> Any:
        old, self._kept = getattr(self, "_kept", frame), frame
        return frame if old is frame else old

    def next(self, timeout_s: float) -> Any:
        if not hasattr(self, "_kept"):
            super().next(timeout_s)
        return super().next(timeout_s)


class Nothing(Changed):
    def change(self, frame: Frame) -> Any:
        return None


class NeverClosed(MyCamera):
    def close(self) -> None:
        pass


class TimesOut(MyCamera):
    """Raises what its library does."""

    def next(self, timeout_s: float) -> Any:
        if self._closed:
            raise TimeoutError("GC_ERR_TIMEOUT")
        return super().next(timeout_s)


class NoCamera:
    def __init__(self, **options: Any) -> None:
        self._camera = MyCamera(**options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)


BROKEN_CAMERAS = {
    Floats: "pixels are float64, not uint8",
    Strided: "not C-contiguous",
    Grey: r"RGB8 pixels of shape \(512, 512\)",
    Uncounted: "frame_id jumps over 1, `dropped` rose by 0",
    Again: "frame 7 after frame 7",
    OnArrivalOfTheWall: "in the future: is it on CLOCK_MONOTONIC",
    Reversed: "ends before it starts",
    OneBuffer: "were overwritten",
    Queue: "ms old was handed out",
    Nothing: "no sparsefocus.Frame",
    NeverClosed: "next after close: must raise CameraStalled, and answers",
    TimesOut: "must raise CameraStalled, and raises TimeoutError",
    NoCamera: "NoCamera is no sparsefocus.Camera",
}


@pytest.mark.parametrize(
    ("driver", "says"), BROKEN_CAMERAS.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_broken_camera_is_refused(driver: Any, says: str) -> None:
    lines = failures(MyCameraContract(driver))
    assert any(re.search(says, line) for line in lines), lines
