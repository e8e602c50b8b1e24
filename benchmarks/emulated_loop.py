"""pylon's emulated camera drives the whole loop: is any frame acted on late?

The maker's emulator delivers 2448 x 2048 RGB pictures of simulated slides, 4 um above and below
focus, at 30 frames per second; the loop measures each and moves the reference firmware's axis over
a serial port. Every frame counts as a new field, as if the slide were moved between frames, so that
as many as possible end in a move. Frames during which the axis moves are seen and held.

Late = the move was begun more than two frame periods after the end of the exposure, the guard's
limit; `within_a_period` counts those whose command was accepted within one. Every exposure must be
accounted for.

python -m benchmarks.emulated_loop [--seconds 60] [--rate 30] [--k 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("PYLON_CAMEMU", "1")  # read by pylon when it is loaded

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks import machine
from edge.appliance.config.config_file import read_config
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.realtime import without_collector
from edge.camera import open_camera
from edge.loop import step
from edge.measure.importance import ClassRule
from edge.rig import build_rig
from edge.state import State
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.stage import open_stage
from simulator.bench import frames
from simulator.simulate_verb import NOMINAL

U8 = npt.NDArray[np.uint8]
WARM_UP_S = 1.5
MIDDLE_UM = 200.0


def run(pictures: list[U8], seconds: float, rate_hz: float, k: int) -> dict[str, Any]:
    """Drive the loop; `pictures` (2048, 2448, 3) uint8 RGB are shown in turn."""
    config = read_config(NOMINAL)
    config = replace(
        config,
        camera=replace(config.camera, period_ms=1e3 / rate_hz),
        stage=replace(config.stage, max_moves_per_s=200),
        models=replace(config.models, backend="cpu"),
        loop=replace(config.loop, max_age_ms=None,
                     classes=ClassRule(threshold=-1.0, dense=k, sparse=k, ex_sparse=k)),
    )  # fmt: skip
    window = {"z_min_um": config.stage.z_min_um, "z_max_um": config.stage.z_max_um}
    with (
        tempfile.TemporaryDirectory() as folder,
        HostFirmware(z_min_nm=0, z_max_nm=400_000, start_nm=200_000) as firmware,
    ):
        for number, pixels in enumerate(pictures):
            cv2.imwrite(str(Path(folder) / f"{number}.bmp"), pixels[..., ::-1])
        camera = open_camera("pylon", {
            "link": "emulated", "exposure_ms": 4.0, "pixel_format": "RGB8", "width": 2448,
            "height": 2048, "rate_hz": rate_hz, "readout_ms": 10, "images": folder,
        })  # fmt: skip
        stage = open_stage("binary", {"port": firmware.port, **window})
        rig = build_rig(config, camera=camera, stage=stage)
        try:
            _drive(rig, WARM_UP_S)
            dropped = camera.dropped
            statistics, moved = _drive(rig, seconds)
            return _record(rig, statistics, moved, camera.dropped - dropped, rate_hz)
        finally:
            rig.close()


def _drive(rig: Any, seconds: float) -> tuple[LoopStatistics, list[tuple[float, float]]]:
    """Statistics, and for every move the ms from the end of its frame's exposure until it was begun
    and until the stage had accepted it."""
    statistics, moved = LoopStatistics(), []
    end = time.monotonic() + seconds
    with without_collector():
        while time.monotonic() < end and rig.state.value is not State.SHUTDOWN:
            rig.controller.new_field()
            outcome = step(rig)
            statistics.add(outcome)
            if outcome.sent_ns is not None and outcome.exposure_end_ns is not None:
                accepted_ms = (outcome.sent_ns - outcome.exposure_end_ns) / 1e6
                moved.append((accepted_ms - (outcome.latency_ms or {})["move"], accepted_ms))
            if outcome.reason.startswith("outside-window"):
                rig.guard.send_by_hand(MIDDLE_UM)  # chance walked that far
    return statistics, moved


def _record(
    rig: Any,
    statistics: LoopStatistics,
    moved: list[tuple[float, float]],
    dropped: int,
    rate_hz: float,
) -> dict[str, Any]:
    period_ms = 1e3 / rate_hz
    begun, age = np.array(moved or [(np.nan, np.nan)]).T
    return {
        **statistics.record(),
        "state": rig.state.name,
        "dropped_by_the_camera": dropped,
        "period_ms": round(period_ms, 2),
        "moves_late": int((begun > 2 * period_ms).sum()),
        "moves_within_a_period": int((age <= period_ms).sum()),
        "exposure_end_to_command_ms": {
            "p50": round(float(np.quantile(age, 0.5)), 2),
            "p99": round(float(np.quantile(age, 0.99)), 2),
            "max": round(float(age.max()), 2),
        },
        "refused": dict(rig.guard.refused),
    }


def main() -> int:
    """0 = ran to its end without a late move."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=30.0)
    parser.add_argument("--k", type=int, default=3, choices=(3, 9, 31))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    pictures = list(frames.render(5).by_k[options.k])
    record = run(pictures, options.seconds, options.rate, options.k)
    machine.write(options.json, {"seconds": options.seconds, "k": options.k, **record})
    return int(record["moves_late"] > 0 or record["state"].startswith("shutdown"))


if __name__ == "__main__":
    sys.exit(main())
