"""Small C functions of ours, compiled on first use with the system's compiler and kept.

Where there is no compiler, or it fails, a wheel brings them compiled for any processor of its kind;
without that the caller has another way that gives the same numbers.
What is kept is named by source, options, compiler and processor, lies in the user's own cache, and
is not loaded when anybody else could have written it: a shared library is a program.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from engines.own_cache import cache_folder
from engines.whole_file import put_in_place

OPTIONS = ("-O3", "-march=native", "-shared", "-fPIC")
TIMEOUT_S = 60.0


def load(source: Path, options: Sequence[str] = ()) -> ctypes.CDLL | None:
    """The compiled source, or None where that cannot be had."""
    return _for_this_processor(source, options) or _prebuilt(source)


def prebuild(source: Path, folder: Path) -> Path:
    """Compile a source into a package that is being built; CalledProcessError, and OSError without
    a compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise OSError("no C compiler")
    library = folder / _prebuilt_name(source)
    words = [compiler, *(x for x in OPTIONS if x != "-march=native"), str(source)]
    subprocess.run([*words, "-o", str(library)], check=True, capture_output=True, timeout=TIMEOUT_S)
    return library


def _prebuilt(source: Path) -> ctypes.CDLL | None:
    library = source.parent / _prebuilt_name(source)
    try:
        return ctypes.CDLL(str(library)) if library.exists() else None
    except OSError:
        return None


def _prebuilt_name(source: Path) -> str:
    """Not scale.so: Python would take that for the module `scale`."""
    return f"lib{source.stem}.so"


def _for_this_processor(source: Path, options: Sequence[str]) -> ctypes.CDLL | None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    try:
        words = [compiler, *OPTIONS, *options]
        folder = cache_folder()
        if folder is None:
            return None
        library = folder / f"{source.stem}-{_name(source, words)}.so"
        if not library.exists():
            _compile(source, words, library)
        if not _is_ours(library):
            return None
        return ctypes.CDLL(str(library))
    except (OSError, subprocess.SubprocessError):
        return None


def _compile(source: Path, words: Sequence[str], library: Path) -> None:
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        part = Path(folder) / library.name
        command = [*words, str(source), "-o", str(part)]
        subprocess.run(command, check=True, capture_output=True, timeout=TIMEOUT_S)
        part.chmod(0o700)
        put_in_place(part, library)


def _name(source: Path, words: Sequence[str]) -> str:
    """Another processor, compiler or source gets another file."""
    parts = [source.read_bytes(), " ".join(words).encode(), _processor().encode()]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    facts = (x for x in lines if x.startswith(("flags", "Features", "CPU part", "model name")))
    return platform.machine() + "\n".join(sorted(set(facts)))


def _is_ours(library: Path) -> bool:
    info = library.stat()
    others = stat.S_IWGRP | stat.S_IWOTH
    return info.st_uid == os.getuid() and not info.st_mode & others
