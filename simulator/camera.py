"""The simulated colour camera: 2448 x 2048 RGB8 frames of the simulated microscope.

Rendering a frame takes seconds, a real exposure milliseconds. So the picture is rendered ahead:
the camera waits until the objective is at rest, renders what is seen there, and then exposes;
if the glass moved meanwhile the picture is thrown away and rendered anew. Frame times are
therefore those of a real camera (exposure, then hand-over at once), only the pause before a
frame is longer. Frames exposed while the stage moves come with the continuous scan, not here.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge.camera import Camera, Frame, PixelFormat
from edge.cameras.options import Options
from edge.errors import CameraStalled, ConfigError
from firmware_bridge.firmware.trace import MotorTrace
from simulator.mechanics import Mechanics
from simulator.microscope import Microscope
from simulator.slide import KINDS, SPARSITIES


def read_options(given: Mapping[str, Any]) -> None:
    """Check the options without opening anything; OptionError."""
    options = Options(given)
    options.text("trace", r"[^\0]{1,1000}", "the name of a file")
    options.integer("seed", 0, 2**31 - 1, "number", default=0)
    options.choice("kind", KINDS, default="tissue")
    options.choice("sparsity", (*SPARSITIES, "blank"), default="dense")
    options.number("exposure_ms", 0.001, 1000, "ms", default=4.0)
    options.done()


def open_simulated(
    trace: str,
    seed: int = 0,
    kind: str = "tissue",
    sparsity: str = "dense",
    exposure_ms: float = 4.0,
) -> SimulatedCamera:
    """The driver behind `camera.driver: simulated`: one field over a running host firmware.

    `trace` is the file in which that firmware publishes its motor's trajectory; ConfigError where
    there is none.
    """
    if not Path(trace).exists():
        raise ConfigError(
            f"camera.options.trace = {trace}: no running firmware shows its motor there; "
            "without one: `sparsefocus run --demo`, or `sparsefocus simulate`"
        )
    microscope = Microscope(seed)
    microscope.load_field(kind, sparsity, number=0)
    return SimulatedCamera(microscope, Mechanics(MotorTrace(Path(trace)), seed), exposure_ms)


class SimulatedCamera(Camera):
    """Frames of `microscope` at the height that `mechanics` gives the objective.

    `exposure_ms` is the shutter time; the glass may wander 15 nm in it, less than the
    stage's own resolution. `next` raises CameraStalled when the objective does not come to
    rest for `timeout_s` (rendering does not count) and after `close`.
    """

    REST_TOLERANCE_UM = 0.015

    def __init__(
        self, microscope: Microscope, mechanics: Mechanics, exposure_ms: float = 4.0
    ) -> None:
        self._microscope, self._mechanics = microscope, mechanics
        self._exposure_s = exposure_ms / 1000.0
        self._frame_id = 0
        self._closed = False

    def next(self, timeout_s: float) -> Frame:
        while not self._closed:
            height = self._wait_for_rest(timeout_s)
            pixels = self._microscope.picture(height)
            start = time.monotonic_ns()
            before = self._mechanics.height_um(start)
            time.sleep(self._exposure_s)
            end = time.monotonic_ns()
            if not self._mechanics.known_until(end):
                raise CameraStalled("simulated camera: the firmware's motor trace stands still")
            after = self._mechanics.height_um(end)
            drift = max(abs(before - height), abs(after - height))
            if drift <= self.REST_TOLERANCE_UM and self._mechanics.at_rest(start):
                self._frame_id += 1
                return Frame(pixels, PixelFormat.RGB8, self._frame_id, start, end)
        raise CameraStalled("simulated camera: closed")

    def close(self) -> None:
        self._closed = True

    def _wait_for_rest(self, timeout_s: float) -> float:
        deadline = time.monotonic() + max(timeout_s, 1.0)
        while time.monotonic() < deadline:
            now = time.monotonic_ns()
            if self._mechanics.at_rest(now):
                return self._mechanics.height_um(now)
            time.sleep(0.002)
        raise CameraStalled(
            f"simulated camera: the objective did not come to rest in {timeout_s:g} s"
        )
