"""The contract tests for other people's drivers: they pass what is sound and refuse what is not."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.camera import Frame
from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import ZAt
from sparsefocus.testing import CameraContract, StageContract, failures
from tests.support.own_drivers import MyCameraContract, MyStageContract, example

MyCamera = example("my_drivers").MyCamera
MyStage = example("my_drivers").MyStage


def test_the_examples_are_sound() -> None:
    assert failures(MyCameraContract(MyCamera)) == []
    assert failures(MyStageContract(MyStage)) == []


def test_a_contract_without_a_device_says_so() -> None:
    for contract in (CameraContract(), StageContract()):
        lines = failures(contract)
        assert lines
        assert all("open must give the" in line for line in lines)


# ---- broken stages -------------------------------------------------------------------------------


class Relative(MyStage):
    def move_to(self, target_um: float, assumed_um: float) -> int:
        return super().move_to(self.status().z_um + target_um - 200.0, assumed_um)


class Clamping(MyStage):
    def move_to(self, target_um: float, assumed_um: float) -> int:
        return super().move_to(min(max(target_um, self.z_min_um), self.z_max_um), assumed_um)


class Millimetres(MyStage):
    def status(self) -> Any:
        status = super().status()
        return replace(status, z_um=status.z_um / 1000)


class Believing(MyStage):
    """Never asks where it is."""

    def move_to(self, target_um: float, assumed_um: float) -> int:
        return super().move_to(target_um, self.status().z_um)


class Hasty(MyStage):
    """Says that it rests as soon as a move was accepted."""

    def status(self) -> Any:
        status = super().status()
        return replace(status, moving=False, settled_ns=status.settled_ns or status.time_ns)


class Stale(MyStage):
    """Tells for a while after a move was sent what it said before."""

    def move_to(self, target_um: float, assumed_um: float) -> int:
        self._old = self.status()
        self._left = 3
        return super().move_to(target_um, assumed_um)

    def status(self) -> Any:
        if getattr(self, "_left", 0):
            self._left -= 1
            return self._old
        return super().status()


class WallClock(MyStage):
    def status(self) -> Any:
        return replace(super().status(), time_ns=time.time_ns())


class Prophet(MyStage):
    def z_at(self, time_ns: int) -> Any:
        return ZAt(self.status().z_um, 0.1)


class Certain(MyStage):
    def z_at(self, time_ns: int) -> Any:
        return replace(super().z_at(time_ns), uncertainty_um=0.0)


class Impatient(MyStage):
    """`wait` comes back before the move is done."""

    def wait(self, timeout_s: float) -> Any:
        return self.status()


class Short(MyStage):
    """Loses a tenth of every move, and reports where it should be."""

    def move_to(self, target_um: float, assumed_um: float) -> int:
        here = self.status().z_um
        return super().move_to(here + 0.9 * (target_um - here), assumed_um)


class Blind(MyStage):
    """Compares as NaN does not: `not (x < low or x > high)`."""

    def move_to(self, target_um: float, assumed_um: float) -> int:
        if target_um < self.z_min_um or target_um > self.z_max_um:
            raise StageRefused("WINDOW")
        self._moves += 1
        return int(self._moves)


class Deaf(MyStage):
    """Runs on past its target when it is told to stop."""

    def stop(self) -> None:
        self._to_um += 20.0


class Latching(MyStage):
    """A stop latches it, and nothing clears that."""

    latched = False

    def stop(self) -> None:
        super().stop()
        self.latched = True

    def status(self) -> Any:
        return replace(super().status(), latched="STOP" if self.latched else None)


class ClosesOnce(MyStage):
    closed = False

    def close(self) -> None:
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True


BROKEN_STAGES = {
    Relative: "it rests at|outside the window|is refused",
    Clamping: "outside the window: must raise StageRefused, and answers 1",
    Millimetres: "it stands at 0.2 um",
    Believing: "a move that assumes it .* must raise StageRefused",
    Hasty: "it is said to rest .* um from where it was sent",
    Stale: "it is said to rest since before it was sent",
    WallClock: "not the monotonic clock's",
    Prophet: "z_at in ten seconds: must raise StageRefused",
    Certain: "uncertainty_um = 0.0",
    Impatient: "ends before the move",
    Short: "sent to .* it rests at",
    Blind: "a move to nan: must raise StageRefused, and answers",
    Deaf: "stopped on its way",
    Latching: "leaves it latched",
    ClosesOnce: "RuntimeError: closed already",
}


@pytest.mark.parametrize(
    ("driver", "says"), BROKEN_STAGES.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_a_broken_stage_is_refused(driver: Any, says: str) -> None:
    lines = failures(MyStageContract(driver))
    assert lines
    assert any(re.search(says, line) for line in lines), lines


# ---- broken cameras ------------------------------------------------------------------------------


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
