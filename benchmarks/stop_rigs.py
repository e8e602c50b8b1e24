"""What `ways_of_a_stop` moves: an axis whose true motion is known, and a config that names it."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.silent_camera import SILENCE
from firmware_bridge.firmware.host import HostFirmware
from firmware_bridge.firmware.trace import MotorTrace
from simulator.simulate_verb import NOMINAL
from tests.support.faulty_line import FaultyLine
from tests.support.stage_benches import BENCHES, WireBench
from tests.support.tiny_models import write_dpn, write_rin

SPEED_UM_S = 1000.0
STARTS_S, RESTS_S = 60.0, 0.7
_CONFIG = """
camera: {{driver: recorded, period_ms: 40, options: {{folder: {folder}, rate_hz: 25, repeat: true, live: true}}}}
stage: {{driver: {driver}, z_min_um: {low}, z_max_um: {high}, focus_direction: 1, calibration: {calibration}, options: {options}}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
models: {{rin: {rin}, dpn: {dpn}, threads: 1, backend: cpu}}
loop: {{max_age_ms: 2000}}
"""  # noqa: E501

Motion = Callable[[], tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]]


@dataclass(slots=True)
class Rig:
    """An axis: when its motor moved (`read_new`), and how to cut its line."""

    config: Path
    port: str
    origin_um: float
    read_new: Motion
    hang_up: Callable[[], None]
    left_um: float  # how far it must have come before something is done to it
    silence: Path  # a file of this name silences the camera of `benchmarks.silent_camera`
    target_um: float = 9000.0
    client: int = -1  # of serve-asi: what it writes to

    def await_motion(self, process: subprocess.Popen[bytes]) -> None:
        """Until it is well under way; RuntimeError when it never moves."""
        until, start = time.monotonic() + STARTS_S, None
        while True:
            _, motor = self.read_new()
            if len(motor):
                start = motor[0] if start is None else start
                if abs(int(motor[-1]) - int(start)) >= 1000 * self.left_um:
                    return
            if time.monotonic() > until or process.poll() is not None:
                raise RuntimeError(f"it never moved; exit {process.poll()}")
            time.sleep(0.002)

    def rest_after_ms(self, at_ns: int) -> float | None:
        """From `at_ns` to the motor's last step; None when it went on as if nothing had been."""
        time.sleep(RESTS_S)
        times, motor = self.read_new()
        turns = np.flatnonzero(np.diff(motor)) + 1  # the samples that show another place
        last_ns = int(times[turns[-1]]) if len(turns) else at_ns
        if last_ns > at_ns + 0.9 * RESTS_S * 1e9:
            return None
        return max(0.0, (last_ns - at_ns) / 1e6)


@dataclass(frozen=True, slots=True)
class Verb:
    """A command that moves. `words` of it; `begin`: what it needs from outside before it moves."""

    name: str
    words: Callable[[Rig], list[str]]
    begin: Callable[[subprocess.Popen[bytes], Rig], None] = lambda process, rig: None


def verb_of(name: str) -> Verb:
    """By its words on the command line."""
    return {verb.name: verb for verb in _VERBS}[name]


def _asked_for_a_move(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """serve-asi: a client that asks for a move, and then reads no more."""
    assert process.stdout is not None
    port = process.stdout.readline().split()[3].rstrip(b",").decode()
    rig.client = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    tenths = round(10 * (rig.target_um + rig.origin_um))
    os.write(rig.client, f"M Z={tenths}\r".encode() + b"W Z\r" * 500)


def _simulated(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """simulate starts its own firmware: find the trace of its motor."""
    until = time.monotonic() + STARTS_S
    while time.monotonic() < until:
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
            if b"--trace" in words:
                trace = Path(words[words.index(b"--trace") + 1].decode())
                with suppress(OSError, ValueError):  # not there yet, or not yet begun
                    rig.read_new = MotorTrace(trace).read_new
                    return
        time.sleep(0.01)
    raise RuntimeError("simulate started no firmware")


_VERBS = (
    Verb("stage move", lambda rig: ["stage", "move", "--config", str(rig.config), "--",
                                    str(rig.target_um + rig.origin_um)]),
    Verb("stage home", lambda rig: ["stage", "home", "--config", str(rig.config),
                                    "--objective-is-free"]),
    Verb("stage serve-asi", lambda rig: ["stage", "serve-asi", "--config", str(rig.config)],
         _asked_for_a_move),
    Verb("run", lambda rig: ["run", "--config", str(rig.config), "--quiet"]),
    Verb("calibrate", lambda rig: ["calibrate", "--config", str(rig.config), "--quiet"]),
    Verb("simulate", lambda rig: ["simulate", "--config", str(rig.config), "--quiet", "--fields",
                                  "1", "--start-um", "20"], _simulated),
    Verb("stage conformance", lambda rig: ["stage", "conformance", rig.port, "--only", "stop",
                                           "--only", "watchdog", "--only", "newest_wins",
                                           "--travel-um", "4000"]),
)  # fmt: skip


@contextmanager
def rig_of(verb: Verb, driver: str, folder: Path) -> Iterator[Rig]:
    """The axis for one command; the loop's verbs get a slow one, so that small moves take long."""
    slow = verb.name in ("run", "calibrate")
    with ExitStack() as stack:
        if driver.startswith("binary"):
            rig = _firmware(stack, driver, folder, slow)
        else:
            rig = _controller(stack, driver, folder)
        if verb.name == "calibrate":
            text = rig.config.read_text(encoding="utf-8")
            written = f"calibration: {folder / 'calibration.json'}"
            rig.config.write_text(text.replace("calibration: by-hand", written))
        if verb.name == "simulate":
            text = NOMINAL.read_text(encoding="utf-8")
            rig.config.write_text(
                text.replace("options: {port: none}", "options: {port: none, speed_um_s: 10}")
            )
            rig.left_um = 2.0
        yield rig


def _firmware(stack: ExitStack, driver: str, folder: Path, slow: bool) -> Rig:
    speed_um_s = 10 if slow else 2000  # top speed of the reference axis: 100 ms to brake
    firmware = stack.enter_context(
        HostFirmware(start_nm=5_000_000, speed_um_s=speed_um_s, trace_path=folder / "trace")
    )
    trace = stack.enter_context(MotorTrace(firmware.trace_path))
    line = stack.enter_context(FaultyLine(firmware.port))
    trace.read_new()
    config = _config(folder, driver, {"port": line.port, "backlash_um": 0.0}, 1000.0, 9000.0)
    left_um = 1.0 if slow else 300.0
    return Rig(config, line.port, 0.0, trace.read_new, line.hang_up, left_um, folder / SILENCE)


def _controller(stack: ExitStack, driver: str, folder: Path) -> Rig:
    bench = BENCHES[driver](speed_um_s=SPEED_UM_S)
    stack.callback(bench.close)
    assert isinstance(bench, WireBench)
    origin_um = bench.origin_um
    window = 1000.0 + origin_um, 9000.0 + origin_um
    config = _config(folder, driver, {**bench.options(), "poll_ms": 10}, *window)
    bench.axis.read_new()
    port = bench.served.port
    return Rig(config, port, origin_um, bench.axis.read_new, bench.hang_up, 100.0, folder / SILENCE)


def _config(folder: Path, driver: str, options: dict[str, Any], low: float, high: float) -> Path:
    path, pictures, models = folder / "scanner.yaml", folder / "pictures", folder / "models"
    pictures.mkdir()
    models.mkdir()
    pixels = np.full((2048, 2448, 3), (0, 255, 30), np.uint8)
    pixels[16 : 16 + 9 * 224, 216 : 216 + 9 * 224, 1] = 0
    pixels[..., 0] = 128 + 4 * 10  # what the tiny networks read as 10 um out of focus
    cv2.imwrite(str(pictures / "a.png"), pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    words = ", ".join(f"{key}: {json.dumps(value)}" for key, value in options.items())
    text = _CONFIG.format(
        folder=pictures, driver=driver, low=low, high=high, options="{" + words + "}",
        calibration="by-hand", rin=write_rin(models), dpn=write_dpn(models),
    )  # fmt: skip
    path.write_text(text, encoding="utf-8")
    return path
