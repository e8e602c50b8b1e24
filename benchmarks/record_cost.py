"""What the flight record costs the loop: the same frames with it and without, by turns, in one run.

A camera that shows rendered pictures, the shipped networks, a stage of numbers: each turn is a few
frames, recorded or not; the ratio of the medians is the cost. What the loop's thread itself spends
on the record (begin, the doors' notes, add) is measured beside it, without networks.

python -m benchmarks.record_cost [--turns 40] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks import machine
from edge.appliance.config.config_file import read_config
from edge.appliance.record.opening import UNRECORDED, Recorded
from edge.appliance.record.recorder import Recorder
from edge.appliance.run.realtime import without_collector
from edge.loop import step
from edge.rig import Rig, build_rig
from edge.settings import Config, RecordSettings
from simulator.bench.frames import FIELDS, ShownCamera
from simulator.microscope import Microscope
from simulator.simulate_verb import NOMINAL
from tests.support.fake_microscope import Clock, Eye, FakeCamera, FakeMeasurer, FakeStage

FRAMES = 5  # of a turn
WAIT_S = 0.003  # for a frame: the recorder's thread writes meanwhile


def main() -> int:
    """0 = measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--k", type=int, default=9, choices=(3, 9, 31))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    nominal = read_config(NOMINAL)
    config = replace(nominal, models=replace(nominal.models, threads=1))
    with TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        record = {
            "networks": networks(config, options.k, options.turns, Path(folder), opened),
            "thread": own_thread(config, 50 * options.turns, Path(folder) / "thread"),
        }
    machine.write(options.json, record)
    return 0


def networks(
    config: Config, k: int, turns: int, folder: Path, opened: contextlib.ExitStack
) -> dict[str, Any]:
    """Milliseconds of a step with the shipped networks, by turns."""
    recorder = opened.enter_context(Recorder(RecordSettings(), folder))
    microscope = Microscope(5)
    kind, sparsity = FIELDS[k]
    truth = microscope.load_field(kind, sparsity, 0)
    shown = microscope.picture(truth.z_focus_um)
    rigs: dict[str, tuple[Rig, Recorded]] = {}
    for name, each in (("without", UNRECORDED), ("with", recorder)):
        stage = FakeStage(time.monotonic_ns, z_um=200.0, z_min_um=100.0, z_max_um=300.0)
        camera = ShownCamera(shown)
        rig = build_rig(config, camera=camera, stage=stage, doors=each.doors)
        opened.callback(rig.close)
        each.of(rig)
        rigs[name] = rig, each
    ms: dict[str, list[float]] = {name: [] for name in rigs}
    with without_collector():
        for turn in range(turns + 2):
            for name, (rig, each) in list(rigs.items())[:: 1 - 2 * (turn % 2)]:
                for _ in range(FRAMES):
                    time.sleep(WAIT_S)
                    begun = time.perf_counter()
                    each.begin()
                    each.add(step(rig))
                    if turn >= 2:
                        ms[name].append((time.perf_counter() - begun) * 1e3)
    return compared(ms)


def own_thread(config: Config, count: int, folder: Path) -> dict[str, Any]:
    """Microseconds of a step without any network, of this thread's processor time: what the loop
    spends on the record."""
    us: dict[str, list[float]] = {"without": [], "with": []}
    with Recorder(RecordSettings(), folder) as recorder, without_collector():
        rigs: dict[str, tuple[Rig, Recorded]] = {}
        for name, each in (("without", UNRECORDED), ("with", recorder)):
            clock = Clock()
            stage = FakeStage(clock, z_um=200.0, z_min_um=100.0, z_max_um=300.0)
            sensor = FakeMeasurer(Eye(stage, focus_um=200.0))
            rig = build_rig(
                config, camera=FakeCamera(clock), stage=stage, clock=clock, sensor=sensor,
                doors=each.doors,
            )  # fmt: skip
            each.of(rig)
            rigs[name] = rig, each
        for turn in range(count):
            for name, (rig, each) in list(rigs.items())[:: 1 - 2 * (turn % 2)]:
                time.sleep(WAIT_S)
                begun = time.thread_time()
                each.begin()
                each.add(step(rig))
                us[name].append((time.thread_time() - begun) * 1e6)
    return compared(us)


def compared(times: dict[str, list[float]]) -> dict[str, Any]:
    """Medians, p99 and the ratios."""
    quantiles: dict[str, Callable[[list[float]], float]] = {
        "p10": lambda values: float(np.quantile(values, 0.1)),  # what a busy machine disturbs least
        "p50": statistics.median,
        "p99": lambda values: float(np.quantile(values, 0.99)),
    }
    says: dict[str, Any] = {"frames": len(times["with"])}
    for name, quantile in quantiles.items():
        without, with_it = quantile(times["without"]), quantile(times["with"])
        says[name] = {
            "without": round(without, 3), "with": round(with_it, 3),
            "ratio": round(with_it / without, 4),
        }  # fmt: skip
    return says


if __name__ == "__main__":
    raise SystemExit(main())
