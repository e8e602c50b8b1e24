"""Compiles the firmware's C, once per content, into a folder that any process may share."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORE = (
    "numbers.c", "framing.c", "motion.c", "watchdog.c", "replies.c", "session.c", "moves.c",
    "protocol.c", "trigger.c", "xy.c", "xy_moves.c", "xy_replies.c", "fault.c",
)  # fmt: skip
STRICT = (
    "-std=c99", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-Wshadow",
    "-pedantic",
)  # fmt: skip
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
FAULTS = "-DAF_FAULT_INJECTION"


class BuildError(RuntimeError):
    """The firmware cannot be built here: no C compiler, or it refused the sources."""


def native_compiler() -> str:
    """The C compiler for this computer; BuildError when there is none."""
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and shutil.which(name):
            return name
    raise BuildError("no C compiler: install one (Debian: apt install gcc libc6-dev) or set CC")


def _cache_folder() -> Path:
    build = HERE / "build"
    if os.access(HERE, os.W_OK):
        build.mkdir(exist_ok=True)
        return build
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        cache = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
        folder = cache / "sparsefocus" / "firmware"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except (OSError, RuntimeError) as error:  # RuntimeError: a user without a home
        raise BuildError(
            f"no folder to keep the compiled firmware in: set HOME or XDG_CACHE_HOME ({error})"
        ) from error
    return folder


def compile_c(
    name: str,
    sources: Sequence[str],
    options: Sequence[str],
    more: bytes = b"",
    *,
    compiler: str | None = None,
    folder: Path = HERE,
) -> Path:
    """Compile `sources` (relative to `folder`) once per content; BuildError when it fails.

    `more`: the content of sources from elsewhere, which would not be noticed to change.
    `folder`: a changed copy of this one, as a broken firmware for tests is.

    The file's name carries the hash of everything that went in, and it is renamed into place when
    finished, so that any number of processes may ask at the same time.
    """
    compiler = compiler or native_compiler()
    digest = hashlib.sha256("\0".join((compiler, *options)).encode() + more)
    for path in sorted((*folder.glob("*.[ch]"), *folder.glob("ports/*/*"))):
        digest.update(path.read_bytes())
    built = _cache_folder() / f"{name}-{digest.hexdigest()[:16]}"
    if built.exists():
        return built
    with tempfile.TemporaryDirectory(dir=built.parent) as scratch:
        fresh = Path(scratch) / name
        command = [compiler, *STRICT, *options, "-o", str(fresh), *sources]
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
        )
        if result.returncode != 0:
            raise BuildError(f"{' '.join(command)}\n{result.stderr}")
        with fresh.open("rb") as file:
            os.fsync(file.fileno())  # a name that survives a power cut has its content
        fresh.replace(built)
    return built
