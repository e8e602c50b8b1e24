"""Builds the reference firmware for this computer and runs it behind a pty.

The same C as on a board, so that the runtime, the tests and the simulator meet the real protocol,
the real limits and the real watchdog.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
from pathlib import Path

from firmware_bridge.firmware.build import (
    CORE,
    FAULTS,
    HERE,
    SANITIZE,
    STRICT,
    BuildError,
    compile_c,
)
from firmware_bridge.firmware.prebuilt import HOST, prebuilt
from firmware_bridge.firmware.process import START_S, FirmwareProcess

__all__ = ["CORE", "HERE", "HOST", "STRICT", "BuildError", "HostFirmware", "build_host",
           "compile_c"]  # fmt: skip


def build_host(sanitize: bool = False, faults: bool = False, folder: Path = HERE) -> Path:
    """The host firmware's executable, built when needed, unless the package brought it.

    `sanitize` adds ASan and UBSan, `faults` the hooks that no release has, `folder` is where the
    sources are.
    """
    options = ("-O1", "-g", *SANITIZE) if sanitize else ("-O2", "-g")
    plain = not sanitize and not faults and folder == HERE
    if plain and (program := prebuilt()) is not None:
        return program
    name = "z-firmware-asan" if sanitize else "z-firmware"
    more = (FAULTS,) if faults else ()
    return compile_c(name, (*CORE, *HOST), (*options, *more), folder=folder)


class HostFirmware(FirmwareProcess):
    """A running firmware; a context manager. It ends with this object or with this process.

    Limits and positions in nm (+ = up), speed um/s, acceleration um/s2. `port` is the serial port
    to open, `boot_id` what the firmware says in its handshake, `trace_path` what MotorTrace reads.
    """

    def __init__(
        self,
        *,
        z_min_nm: int = 0,
        z_max_nm: int = 10_000_000,
        start_nm: int = 0,
        speed_um_s: int = 2000,
        accel_um_s2: int = 20_000,
        nm_per_step: int = 50,
        boot_id: int | None = None,
        clock_ppm: int = 0,
        trace_path: Path | str | None = None,
        sanitize: bool = False,
        bench: bool = False,
        faults: bool = False,
        xy: bool = False,
        program: Path | None = None,
    ) -> None:
        """Build if needed and start; BuildError, or RuntimeError when it does not come up.

        `bench` opens a second port for the pins (ports/bench/bench.h), `faults` builds the hooks
        for faults in, `xy` gives the board X and Y beside Z, `program` is another build to run.
        """
        program = program or build_host(sanitize, faults)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if trace_path is None:
            self._folder = tempfile.TemporaryDirectory(prefix="z-firmware-")
            trace_path = Path(self._folder.name) / "trace"
        self.trace_path = Path(trace_path)
        arguments = {
            "--z-min-nm": z_min_nm,
            "--z-max-nm": z_max_nm,
            "--start-nm": start_nm,
            "--speed-um-s": speed_um_s,
            "--accel-um-s2": accel_um_s2,
            "--nm-per-step": nm_per_step,
            "--clock-ppm": clock_ppm,
            "--trace": self.trace_path,
            "--bench": int(bench),
            "--xy": int(xy),
        }
        if boot_id is not None:
            arguments["--boot-id"] = boot_id
        command = [str(program), *(str(word) for pair in arguments.items() for word in pair)]
        pipe = subprocess.PIPE
        # a terminal's Ctrl-C is for the runtime, which stops the axis: a board would not hear it
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        self.bench_port = ""
        self.port, self.boot_id = self._first_line()

    def _first_line(self) -> tuple[str, int]:
        out = self._process.stdout
        assert out is not None
        words = out.readline().decode().split()  # ends with the process at the latest
        if len(words) >= 4 and words[0] == "PTY":
            self.bench_port = words[5] if len(words) == 6 else ""
            return words[1], int(words[3])
        _, errors = self._process.communicate(timeout=START_S)
        self.close()
        raise RuntimeError(f"the firmware did not start: {errors.decode().strip()}")

    def close(self) -> str:
        """End it in order (its stdin closes); what it wrote to stderr. Safe to call twice."""
        errors = b""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.send_signal(signal.SIGCONT)  # one that was frozen ends in order, too
            try:
                _, errors = self._process.communicate(timeout=START_S)
            except subprocess.TimeoutExpired:
                self.kill()
                _, errors = self._process.communicate(timeout=START_S)
        if self._folder is not None:
            self._folder.cleanup()
        return errors.decode(errors="replace")
