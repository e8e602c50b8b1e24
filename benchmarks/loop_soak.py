"""10^5 frames through the whole loop: does anything grow?

Rendered pictures 4 um above and below focus through the shipped networks, controller, guard, and
the reference firmware on a serial port. The garbage collector is off, as in `sparsefocus run`.
Resident memory and what is allocated (malloc's and Python's) are read at every thousandth of the
way; what counts is the growth after the first tenth, when every buffer has been made. Huge pages
are off: the kernel makes them of pages never touched, in its own time, and resident memory
then grows by tens of MiB without any allocation.

python -m benchmarks.loop_soak [--frames 100000] [--k 3] [--json FILE]
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import gc
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from edge.appliance.config.config_file import read_config
from edge.appliance.run.loop_statistics import LoopStatistics
from edge.appliance.run.realtime import without_collector
from edge.errors import MoveRefused
from edge.loop import step
from edge.measure.importance import ClassRule
from edge.rig import build_rig
from edge.state import State
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.stage import open_stage
from simulator.bench import frames
from simulator.bench.frames import ShownCamera
from simulator.simulate_verb import NOMINAL

MIDDLE_UM, FAR_UM = 200.0, 60.0
SAMPLES = 1000
MOST_INTERRUPTIONS = 20
PR_SET_THP_DISABLE = 41  # sys/prctl.h


def main() -> int:
    """0 = nothing grew."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--k", type=int, default=3, choices=(3, 9, 31))
    parser.add_argument("--traced", action="store_true", help="Python's allocations too: slower")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0):
        print("huge pages cannot be turned off", file=sys.stderr)
    record = soak(options.frames, options.k, options.traced)
    machine.write(options.json, record)
    return int(not record["nothing_grew"])


def soak(count: int, k: int, trace: bool) -> dict[str, Any]:
    """Run `count` frames; what memory did."""
    config = read_config(NOMINAL)
    rule = ClassRule(threshold=-1.0, dense=k, sparse=k, ex_sparse=k)
    config = replace(
        config,
        stage=replace(config.stage, max_moves_per_s=200),
        models=replace(config.models, backend="cpu"),
        loop=replace(config.loop, classes=rule),
    )
    pictures = frames.render(5).by_k[k]
    camera = ShownCamera(pictures[0])
    window = {"z_min_um": config.stage.z_min_um, "z_max_um": config.stage.z_max_um}
    with HostFirmware(z_min_nm=0, z_max_nm=400_000, start_nm=200_000) as firmware:
        stage = open_stage("binary", {"port": firmware.port, **window})
        rig = build_rig(config, camera=camera, stage=stage)
        try:
            return _frames(rig, camera, pictures, count, trace)
        finally:
            rig.close()


def _frames(
    rig: Any, camera: ShownCamera, pictures: Any, count: int, trace: bool
) -> dict[str, Any]:
    statistics, every = LoopStatistics(), max(1, count // SAMPLES)
    resident = np.zeros(count // every + 1)  # made before: it must not count as growth
    traced, native = np.zeros(len(resident)), np.zeros(len(resident))
    begin, taken, gone_back, interruptions = time.monotonic(), 0, 0, 0
    if trace:
        tracemalloc.start()
    with without_collector():
        for number in range(count):
            outcome = step(rig)
            statistics.add(outcome)
            if rig.state.value is State.SHUTDOWN:
                interruptions += 1
                if interruptions > MOST_INTERRUPTIONS:
                    raise SystemExit(f"shut down too often: {rig.state.reason}")
                _again(rig)
                continue
            if outcome.move is not None:  # another field, on the other side of focus
                rig.controller.new_field()
                camera.pixels = pictures[statistics.moves % len(pictures)]
            if rig.state.may_move and abs(stage_um(rig) - MIDDLE_UM) > FAR_UM:
                with contextlib.suppress(MoveRefused):  # still moving: the next frame asks again
                    rig.guard.send_by_hand(MIDDLE_UM)
                    gone_back += 1
            if number % every == 0:
                resident[taken] = resident_kib()
                traced[taken] = tracemalloc.get_traced_memory()[0]
                native[taken] = allocated_bytes()
                taken += 1
        unreachable = gc.collect()
    tracemalloc.stop()
    calm, ends = (
        slice(taken // 10, taken // 10 + max(1, taken // 20)),
        slice(taken - max(1, taken // 20), taken),
    )
    grown_kib = float(np.median(resident[ends]) - np.median(resident[calm]))
    grown_bytes = float(np.median(traced[ends]) - np.median(traced[calm]))
    grown_native = float(np.median(native[ends]) - np.median(native[calm]))
    return {
        **statistics.record(),
        "seconds": round(time.monotonic() - begin, 1),
        "sent_to_the_middle": gone_back,
        "interruptions": interruptions,
        "resident_mib": {"after_a_tenth": round(float(np.median(resident[calm])) / 1024, 1),
                         "at_the_end": round(float(np.median(resident[ends])) / 1024, 1)},
        "python_bytes_grown": round(grown_bytes) if trace else None,
        "malloc_bytes_grown": round(grown_native),
        "resident_kib_grown": round(grown_kib),
        "unreachable_objects": unreachable,
        "resident_mib_on_the_way": [
            round(float(v) / 1024, 1) for v in resident[:taken][:: max(1, taken // 40)]
        ],
        "nothing_grew": (
            grown_kib < 4096 and max(grown_bytes, grown_native) < 100_000 and unreachable == 0
        ),
    }  # fmt: skip


def _again(rig: Any) -> None:
    """As a person would, where other work kept this process from its serial port for too long."""
    print(f"again: {rig.state.reason}", file=sys.stderr, flush=True)
    time.sleep(1.0)
    rig.stage.reconnect()
    rig.restart()
    rig.controller.new_field()


def stage_um(rig: Any) -> float:
    """Where the stage says it is."""
    return float(rig.stage.status().z_um)


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks",
                     "uordblks", "fordblks", "keepcost")
    ]  # fmt: skip


#: found once: looking it up leaves garbage behind
_mallinfo2 = getattr(ctypes.CDLL(None), "mallinfo2", None)
if _mallinfo2 is not None:
    _mallinfo2.restype = _Mallinfo2


def allocated_bytes() -> int:
    """In use by malloc, its mapped blocks among them; 0 where the C library does not tell."""
    if _mallinfo2 is None:
        return 0
    info = _mallinfo2()
    return int(info.uordblks + info.hblkhd)


def resident_kib() -> int:
    """Of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4


if __name__ == "__main__":
    sys.exit(main())
