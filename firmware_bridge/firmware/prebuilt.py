"""The reference firmware compiled when the wheel was built: for machines without a compiler.

It is used only where the sources beside it are those that it was made of.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from pathlib import Path

from firmware_bridge.firmware.build import CORE, HERE, STRICT, native_compiler

HOST = ("ports/host/main.c", "ports/host/trace.c", "ports/bench/bench.c")
#: no library of the machine that runs it is needed
OPTIONS = ("-O2", "-static")


def prebuilt(folder: Path = HERE) -> Path | None:
    """The program that came with the package, None where there is none for these sources."""
    program = folder / _name(folder)
    return program if os.access(program, os.X_OK) else None


def build_prebuilt(target: Path) -> Path:
    """Compile it into a package that is being built; BuildError without a compiler,
    CalledProcessError when it refuses."""
    program = target / _name(HERE)
    words = [native_compiler(), *STRICT, *OPTIONS, "-o", str(program.resolve()), *CORE, *HOST]
    subprocess.run(words, cwd=HERE, check=True, capture_output=True, timeout=120)
    program.chmod(0o755)
    return program


def _name(folder: Path) -> str:
    digest = hashlib.sha256(platform.machine().encode())
    for path in sorted((*folder.glob("*.[ch]"), *folder.glob("ports/*/*.[ch]"))):
        digest.update(path.read_bytes())
    return f"z-firmware-{digest.hexdigest()[:16]}"
