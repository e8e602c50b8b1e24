"""How fast the bridge is and how well it knows z, on QEMU's Cortex-M3 and on the host build.

- request/response: SYNC through the client, p50 and p99;
- with a busy Python neighbour: the same in a process of its own, beside a thread that computes, and
  beside a process that computes;
- watchdog: from the last frame to the beginning of braking and to rest, by the firmware's clock;
- z_at at constant 100 um/s against the motor's own trace (host build: QEMU has no trace).

python -m benchmarks.bridge_latency [--requests 4000] [--json FILE]
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from firmware_bridge import messages as m
from firmware_bridge.errors import StageUncertain
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.qemu import QemuFirmware, missing_tools
from firmware_bridge.firmware.trace import MotorTrace
from firmware_bridge.stages.binary import BinaryStage
from firmware_bridge.stages.own_process import OwnProcessStage
from tests.support.raw_host import HELLO, RawHost

START_NM = 5_000_000
BLOCK = 200
Board = HostFirmware | QemuFirmware


def open_stage(port: str, **changes: Any) -> BinaryStage:
    """A session with a wide window."""
    return BinaryStage(port=port, z_min_um=1000, z_max_um=9000, settle_ms=5, **changes)


def round_trips_ms(port: str, count: int) -> list[float]:
    """Each request sent once the answer to the one before has come, 1 ms later."""
    stage = open_stage(port)
    took = []
    try:
        for token in range(count):
            began = time.perf_counter_ns()
            try:
                stage._client.request(m.Sync(stage._client.session, token), m.SyncAck)
            except StageUncertain:
                took.append(math.inf)  # no answer to three sends in time
                continue
            took.append((time.perf_counter_ns() - began) / 1e6)
            time.sleep(0.001)
    finally:
        stage.close()
    return took


def raw_round_trips_ms(port: str, count: int) -> list[float]:
    """Without the client's threads: write, read until the answer is there."""
    raw = RawHost(port)
    raw.hello()
    took = []
    for token in range(count):
        began = time.perf_counter_ns()
        raw.send(m.Sync(HELLO.session, token))
        while raw.wait(m.SyncAck).token != token:
            pass
        took.append((time.perf_counter_ns() - began) / 1e6)
        time.sleep(0.001)
    raw.ask(m.Bye(HELLO.session), m.ByeAck)
    raw.close()
    return took


def summary(values: Sequence[float]) -> dict[str, Any]:
    """p50, p99 and the largest, ms; and the same of the quietest 200 in a row.

    On a machine that does other work too, the second tells more about the bridge, the first about
    the machine.
    """
    blocks = [values[at : at + BLOCK] for at in range(0, len(values) - BLOCK + 1, BLOCK)]
    quietest = min(blocks, key=lambda block: float(np.percentile(block, 99)), default=values)
    return {**_percentiles(values), "quietest_200": _percentiles(quietest)}


def _percentiles(values: Sequence[float]) -> dict[str, float]:
    unanswered = sum(math.isinf(value) for value in values)
    ordered = np.sort([value for value in values if not math.isinf(value)])
    return {
        "p50_ms": round(float(np.percentile(ordered, 50)), 3),
        "p99_ms": round(float(np.percentile(ordered, 99)), 3),
        "max_ms": round(float(ordered[-1]), 3),
        "requests": len(values),
        "unanswered": unanswered,
    }


def compute(stop: Any) -> None:
    """A Python neighbour that never sleeps."""
    while not stop.is_set():
        sum(n * n for n in range(1000))


def own_process_ms(port: str, count: int) -> list[float]:
    """`status()` of the stage in its own process, called from this one: nothing on the line."""
    stage = OwnProcessStage(port=port, z_min_um=1000, z_max_um=9000, settle_ms=5)
    took = []
    for _ in range(count):
        began = time.perf_counter_ns()
        stage.status()
        took.append((time.perf_counter_ns() - began) / 1e6)
        time.sleep(0.001)
    stage.close()
    return took


def _in_child(port: str, count: int, out: Any) -> None:
    out.put(round_trips_ms(port, count))


def neighbours(port: str, count: int) -> dict[str, Any]:
    """The client beside nothing, beside a busy thread, and in a process of its own beside one."""
    results = {"alone": summary(round_trips_ms(port, count))}
    stop = threading.Event()
    thread = threading.Thread(target=compute, args=(stop,), daemon=True)
    thread.start()
    results["busy thread beside it"] = summary(round_trips_ms(port, count))
    context = multiprocessing.get_context("spawn")  # nothing of this process comes along
    out = context.Queue()
    child = context.Process(target=_in_child, args=(port, count, out))
    child.start()
    results["in a process of its own, busy thread in the other"] = summary(out.get())
    child.join()
    results["binary-process beside a busy thread, as its caller sees it"] = summary(
        own_process_ms(port, count)
    )
    stop.set()
    thread.join()
    return results


def watchdog_ms(board: Board, count: int = 20) -> dict[str, Any]:
    """Silence in mid-move, again and again: when braking began and when it ended."""
    raw = RawHost(board.port)
    braking, rest = [], []
    for _ in range(count):
        raw.hello(backlash_nm=0)
        status = raw.ask(replace_hello(), m.Status)
        here = status.commanded_nm
        if status.latch:
            raw.ask(m.Clear(HELLO.session, status.latch_count), m.Cleared)
        target = 8_000_000 if here < START_NM else 2_000_000
        raw.move(target, here)
        last_us = raw.ask(m.Sync(HELLO.session, 1), m.SyncAck).time_us
        while not (status := raw.wait(m.Status)).latch:
            pass
        braking.append((status.time_us - last_us) / 1e3)
        rest.append((raw.wait(m.Done).time_us - last_us) / 1e3)
    raw.close()
    return {"stops": count, "braking_began_ms": span(braking), "at_rest_ms": span(rest)}


def replace_hello() -> m.Hello:
    """The raw host's HELLO without a dip: it brings a STATUS."""
    return replace(HELLO, backlash_nm=0)


def span(values: Sequence[float]) -> dict[str, float]:
    """Smallest, median, largest."""
    return {"min": round(min(values), 2), "median": round(statistics.median(values), 2),
            "max": round(max(values), 2)}  # fmt: skip


def z_at_errors(speed_um_s: float = 100.0, seconds: float = 8.0) -> dict[str, Any]:
    """z_at against the motor's trace while the axis cruises; nm."""
    with HostFirmware(start_nm=START_NM, clock_ppm=50) as board:
        stage = open_stage(board.port, speed_um_s=speed_um_s, backlash_um=0.0)
        time.sleep(3.0)  # the clock's line needs a window
        trace = MotorTrace(board.trace_path)
        stage.move_to(5000 + speed_um_s * (seconds + 0.5), 5000)
        begin, moments, positions = time.monotonic(), [], []
        while time.monotonic() - begin < seconds:
            time.sleep(0.007)
            moment = time.monotonic_ns()
            answer = stage.z_at(moment)
            if time.monotonic() - begin > 0.2:
                moments.append(moment)
                positions.append((answer.z_um * 1e3, answer.uncertainty_um * 1e3))
        stage.stop()
        trace.wait_until(time.monotonic_ns())
        times, motor = trace.read_new()
        truth = np.interp(moments, times, motor)
        trace.close()
        stage.close()
    z, half_width = np.array(positions).T
    error = np.abs(z - truth)
    return {
        "speed_um_s": speed_um_s, "moments": len(moments), "clock_ppm": 50,
        "error_nm": {"p50": round(float(np.percentile(error, 50)), 1),
                     "p99": round(float(np.percentile(error, 99)), 1),
                     "max": round(float(error.max()), 1)},
        "stated_half_width_nm": {"p50": round(float(np.percentile(half_width, 50)), 1),
                                 "max": round(float(half_width.max()), 1)},
        "error_within_stated_percent": round(100 * float((error <= half_width).mean()), 2),
        "within_50_nm_percent": round(100 * float((error <= 50).mean()), 2),
    }  # fmt: skip


def measure(board: Board, requests: int) -> dict[str, Any]:
    """Everything that both boards can show."""
    raw_round_trips_ms(board.port, 200)  # warm
    return {
        "raw line": summary(raw_round_trips_ms(board.port, requests)),
        "client": neighbours(board.port, requests),
        "watchdog": watchdog_ms(board),
    }


def main() -> None:
    """Print and write the numbers."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    boards: dict[str, Callable[[], Board]] = {
        "host": lambda: HostFirmware(start_nm=START_NM, boot_id=1)
    }
    if not missing_tools():
        boards["qemu mps2-an385"] = lambda: QemuFirmware(start_nm=START_NM, boot_id=1)
    numbers: dict[str, Any] = {}
    for name, start in boards.items():
        with start() as board:
            numbers[name] = measure(board, options.requests)
    numbers["z_at on the host build"] = z_at_errors()
    machine.write(options.json, numbers)


if __name__ == "__main__":
    main()
