"""NVIDIA's libraries for machines without a GPU: fetched by `make tensorrt`, or compiled here."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
FETCHED = ROOT / "build" / "tensorrt"
#: releases as in the Makefile: Jetson's bindings, and RTX shaped like TensorRT 10 and like 11
BINDINGS = ("10.3.0", "10.13.3.9", "10.16.1.11", "11.4.0.106")
RTX_10, RTX_11 = "1.4.0.76", "1.7.1.116"


def fetched(name: str) -> Path:
    """A folder that `make tensorrt` filled; skips with the reason, in CI fails."""
    folder = FETCHED / name
    if (folder / ".done").exists():
        return folder
    if platform.machine() == "x86_64" and os.environ.get("CI"):
        pytest.fail(f"{folder} is missing: make tensorrt")
    return pytest.skip(f"{folder} is missing: make tensorrt (x86-64 only)")


def compile_library(source: Path, output: Path, soname: str) -> Path:
    """A shared library of one C file."""
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", f"-Wl,-soname,{soname}"]
    subprocess.run([*command, "-o", output, source], check=True, timeout=PATIENCE_S)
    return output


def run(arguments, *paths, libraries="", **environment):
    """Python with `arguments`, these folders first on its path; the finished process."""
    values = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT))),
        "LD_LIBRARY_PATH": str(libraries),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",  # RTX calls the timing cache deprecated; TensorRT does not
        **environment,
    }
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT, env=values, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
