"""What arrives from each camera that needs no hardware: frames, drops, age, time uncertainty.

- pylon's emulator at 30 and 75 frames per second, 2448 x 2048, Bayer and colour, for a reader that
  is fast and for one that takes 50 ms for each frame;
- Aravis's fake GigE camera (real GVSP on the loopback interface of a network of its own, where that
  is allowed), without and with packet loss;
- GStreamer's test source.

python -m benchmarks.cameras [--seconds 10] [--json FILE]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine
from edge.appliance.camera.verb import measure
from edge.camera import Camera, Frame, open_camera
from tests.support.camera_benches import aravis, missing

EMULATED = {"link": "emulated", "exposure_ms": 4.0, "width": 2448, "height": 2048, "readout_ms": 10}
GIGE = {"device": "127.0.0.1", "exposure_ms": 4.0, "pixel_format": "Mono8", "rate_hz": 30}


class SlowReader(Camera):
    """Takes its time with each frame, as a loop does."""

    def __init__(self, camera: Camera, busy_s: float) -> None:
        self._camera, self._busy_s = camera, busy_s

    def next(self, timeout_s: float) -> Frame:
        time.sleep(self._busy_s)
        frame = self._camera.next(timeout_s)
        self.dropped = self._camera.dropped
        return frame

    @property
    def incomplete(self) -> int:
        return self._camera.incomplete

    def close(self) -> None:
        self._camera.close()


def deliver(
    driver: str, options: Mapping[str, Any], seconds: float, busy_ms: float = 0.0
) -> dict[str, Any]:
    """Open, let it run for a second, measure for `seconds` of frames at the rate asked for."""
    camera = open_camera(driver, options)
    try:
        settled_s = time.monotonic() + 1
        while time.monotonic() < settled_s:
            camera.next(5.0)
        reader = SlowReader(camera, busy_ms / 1e3) if busy_ms else camera
        period_s = max(1 / options["rate_hz"], busy_ms / 1e3)
        return {"asked_hz": options["rate_hz"], **measure(reader, round(seconds / period_s), 5.0)}
    finally:
        camera.close()


def measure_all(seconds: float) -> dict[str, Any]:
    """Every camera in turn."""
    numbers: dict[str, Any] = {}
    for rate_hz in (30, 75):
        for pixel_format in ("BayerRG8", "RGB8"):
            options = {**EMULATED, "pixel_format": pixel_format, "rate_hz": rate_hz}
            numbers[f"pylon {pixel_format} {rate_hz} Hz"] = deliver("pylon", options, seconds)
    options = {**EMULATED, "pixel_format": "BayerRG8", "rate_hz": 30}
    numbers["pylon BayerRG8 30 Hz, reader takes 50 ms"] = deliver("pylon", options, seconds, 50)
    if not missing("aravis"):
        with aravis("aravis", lost_per_thousand=0):
            numbers["aravis 2048 x 2048"] = deliver("aravis", GIGE, seconds)
        small = {**GIGE, "width": 512, "height": 512, "packet_resend": False}
        with aravis("aravis", lost_per_thousand=2):
            name = "aravis 512 x 512, 2 of 1000 packets lost"
            numbers[name] = deliver("aravis", small, seconds)
    if not missing("gstreamer"):
        options = {"source": "test", "exposure_ms": 4.0, "width": 2448, "height": 2048}
        options |= {"pixel_format": "RGB8", "rate_hz": 30, "timestamp": "arrival"}
        numbers["gstreamer test source"] = deliver("gstreamer", options, seconds)
    return numbers


def main() -> None:
    """Print and write the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    machine.write(options.json, measure_all(options.seconds))


if __name__ == "__main__":
    main()
