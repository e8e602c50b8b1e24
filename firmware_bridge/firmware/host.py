"""Builds the reference firmware for this computer and runs it behind a pty.

The same C as on a board, so that the runtime, the tests and the simulator meet the real protocol,
the real limits and the real watchdog.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

HERE = Path(__file__).resolve().parent
CORE = (
    "framing.c", "motion.c", "watchdog.c", "replies.c", "session.c", "moves.c", "protocol.c",
)  # fmt: skip
HOST = ("ports/host/main.c", "ports/host/trace.c")
STRICT = (
    "-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-Wshadow",
    "-pedantic",
)  # fmt: skip
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_START_S = 10.0


class BuildError(RuntimeError):
    """The firmware cannot be built here: no C compiler, or it refused the sources."""


def _compiler() -> str:
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise BuildError("no C compiler: install one (Debian: apt install gcc libc6-dev) or set CC")


def _cache_folder() -> Path:
    build = HERE / "build"
    if os.access(HERE, os.W_OK):
        build.mkdir(exist_ok=True)
        return build
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "sparsefocus" / "firmware"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def compile_c(name: str, sources: Sequence[str], options: Sequence[str], more: bytes = b"") -> Path:
    """Compile `sources` (relative to this folder) once per content; BuildError when it fails.

    `more`: the content of sources from elsewhere, which would not be noticed to change.

    The file's name carries the hash of everything that went in, and it is renamed into place when
    finished, so that any number of processes may ask at the same time.
    """
    compiler = _compiler()
    digest = hashlib.sha256("\0".join((compiler, *options)).encode() + more)
    for path in sorted((*HERE.glob("*.[ch]"), *HERE.glob("ports/host/*.[ch]"))):
        digest.update(path.read_bytes())
    built = _cache_folder() / f"{name}-{digest.hexdigest()[:16]}"
    if built.exists():
        return built
    with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
        fresh = Path(scratch) / name
        command = [compiler, *STRICT, *options, "-o", str(fresh), *sources]
        result = subprocess.run(
            command, cwd=HERE, capture_output=True, text=True, timeout=120, check=False
        )
        if result.returncode != 0:
            raise BuildError(f"{' '.join(command)}\n{result.stderr}")
        fresh.replace(built)
    return built


def build_host(sanitize: bool = False) -> Path:
    """The host firmware's executable, built when needed; `sanitize` adds ASan and UBSan."""
    options = ("-O1", "-g", *SANITIZE) if sanitize else ("-O2", "-g")
    return compile_c("z-firmware-asan" if sanitize else "z-firmware", (*CORE, *HOST), options)


class HostFirmware:
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
    ) -> None:
        """Build if needed and start; BuildError, or RuntimeError when it does not come up."""
        program = build_host(sanitize)
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
        }
        if boot_id is not None:
            arguments["--boot-id"] = boot_id
        command = [str(program), *(str(word) for pair in arguments.items() for word in pair)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.port, self.boot_id = self._first_line()

    def _first_line(self) -> tuple[str, int]:
        out = self._process.stdout
        assert out is not None
        words = out.readline().decode().split()  # ends with the process at the latest
        if len(words) == 4 and words[0] == "PTY":
            return words[1], int(words[3])
        _, errors = self._process.communicate(timeout=_START_S)
        self.close()
        raise RuntimeError(f"the firmware did not start: {errors.decode().strip()}")

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as pulling the plug does."""
        self._process.kill()
        self._process.wait(_START_S)

    def close(self) -> str:
        """End it in order (its stdin closes); what it wrote to stderr. Safe to call twice."""
        errors = b""
        if self._process.stdin and not self._process.stdin.closed:
            try:
                _, errors = self._process.communicate(timeout=2.0)
            except subprocess.TimeoutExpired:
                self.kill()
                _, errors = self._process.communicate(timeout=_START_S)
        if self._folder is not None:
            self._folder.cleanup()
        return errors.decode(errors="replace")

    def __enter__(self) -> HostFirmware:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
