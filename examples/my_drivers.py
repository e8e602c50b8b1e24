"""A camera and a stage of your own, as small as they can be. Copy; put your hardware's calls in.

A package of yours offers them to every config by two lines in its pyproject.toml:

    [project.entry-points."sparsefocus.cameras"]
    my-camera = "my_drivers:MyCamera"

    [project.entry-points."sparsefocus.stages"]
    my-stage = "my_drivers:MyStage"

Its tests: sparsefocus.testing. What each call promises: sparsefocus.Camera, sparsefocus.Stage.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np

from sparsefocus import (
    Camera,
    CameraStalled,
    ConfigError,
    Frame,
    PixelFormat,
    Stage,
    StageRefused,
    StageStatus,
    StageUncertain,
    ZAt,
)

TOLERANCE_UM = 0.5  # of the position that a move assumes


class MyCamera(Camera):
    """Exposes when it is asked; here a picture of nothing. Its parameters are camera.options."""

    def __init__(
        self,
        exposure_ms: float = 1.0,
        side_px: int = 2016,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        if not 0 < exposure_ms <= 1000:
            raise ConfigError(f"camera.options.exposure_ms = {exposure_ms} must be up to 1000")
        self._exposure_s, self._side_px = exposure_ms / 1e3, side_px
        self._clock, self._sleep = clock, sleep
        self._frames = 0
        self._closed = False

    def next(self, timeout_s: float) -> Frame:
        """One exposure; a buffer of its own for each frame, so that a held one does not change."""
        if self._closed:
            raise CameraStalled("my-camera: closed")
        start_ns = self._clock()
        self._sleep(self._exposure_s)
        pixels = np.full((self._side_px, self._side_px, 3), 200, np.uint8)
        self._frames += 1
        return Frame(pixels, PixelFormat.RGB8, self._frames, start_ns, self._clock())

    def close(self) -> None:
        """Nothing to release."""
        self._closed = True


class MyStage(Stage):
    """A motor of numbers that travels at a steady speed. Its parameters are stage.options."""

    def __init__(
        self,
        z_min_um: float,
        z_max_um: float,
        start_um: float | None = None,
        speed_um_s: float = 1000.0,
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.z_min_um, self.z_max_um, self.resolution_um = z_min_um, z_max_um, 0.05
        self._speed, self._clock, self._sleep = speed_um_s, clock, sleep
        z_um = (z_min_um + z_max_um) / 2 if start_um is None else start_um
        #: of the last move: when it began (0 = before we came), from where, to where
        self._begin_ns, self._from_um, self._to_um = 0, z_um, z_um
        self._moves = 0

    def status(self) -> StageStatus:
        """Settled from the end of the last move on, as its own time tells."""
        now_ns = self._clock()
        end_ns = self._end_ns()
        moving = now_ns < end_ns
        z_um = self._z_um(now_ns)
        return StageStatus(z_um, moving, None if moving else end_ns, None, now_ns)

    def z_at(self, time_ns: int) -> ZAt:
        """Exact here; a real one interpolates between what its controller reported."""
        if not self._begin_ns <= time_ns <= self._clock():
            raise StageRefused("no-history", "not of that moment")
        return ZAt(self._z_um(time_ns), self.resolution_um / 2)

    def move_to(self, target_um: float, assumed_um: float) -> int:
        """Check everything, then send one absolute target."""
        if not (math.isfinite(target_um) and math.isfinite(assumed_um)):
            raise StageRefused("NOT_FINITE", f"{target_um}, {assumed_um}")
        if not self.z_min_um <= target_um <= self.z_max_um:
            raise StageRefused("WINDOW", f"{target_um:g} um")
        status = self.status()
        if status.moving:
            raise StageRefused("BUSY", "the last move is not done")
        if not abs(assumed_um - status.z_um) <= TOLERANCE_UM:
            raise StageRefused("ASSUMED_DIFFERS", f"it is at {status.z_um:g} um")
        self._begin_ns, self._from_um, self._to_um = status.time_ns, status.z_um, target_um
        self._moves += 1
        return self._moves

    def wait(self, timeout_s: float) -> StageStatus:
        """Until it rests; a move whose end is not known is uncertain."""
        end_ns = self._clock() + round(timeout_s * 1e9)
        while (status := self.status()).moving:
            if self._clock() > end_ns:
                raise StageUncertain(f"still not done after {timeout_s:g} s")
            self._sleep(0.001)
        return status

    def stop(self) -> None:
        """Where it is now it stays."""
        now_ns = self._clock()
        if now_ns < self._end_ns():
            z_um = self._z_um(now_ns)
            self._begin_ns, self._from_um, self._to_um = now_ns, z_um, z_um

    def clear(self) -> None:
        """This one latches nothing."""

    def close(self) -> None:
        """Nothing to release."""

    def _end_ns(self) -> int:
        return self._begin_ns + round(abs(self._to_um - self._from_um) / self._speed * 1e9)

    def _z_um(self, time_ns: int) -> float:
        way_um = self._speed * (time_ns - self._begin_ns) / 1e9
        travel_um = self._to_um - self._from_um
        return self._from_um + math.copysign(min(way_um, abs(travel_um)), travel_um)
