"""The GPU made of software: real pycuda over driver.cpp, in processes of their own."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import cpu_kernels, stand_ins
from tests.support.patience import PATIENCE_S

HERE = stand_ins.HERE / "software_gpu"
SITE = stand_ins.ROOT / "build" / "pycuda" / "site"


def pycuda_site() -> Path:
    """Where `make pycuda` put it; skips with the reason, in CI fails."""
    if list(SITE.glob("pycuda/_driver*.so")):
        return SITE
    if platform.machine() == "x86_64" and os.environ.get("CI"):
        pytest.fail(f"{SITE} is missing: make pycuda")
    return pytest.skip(f"{SITE} is missing: make pycuda (x86-64 only)")


def build_driver(folder: Path) -> Path:
    """libcuda.so.1 into `folder`. What pycuda wants to exist and nobody here calls only says so."""
    source = (HERE / "driver.cpp").read_text("utf-8")
    (library,) = pycuda_site().glob("pycuda/_driver*.so")
    listed = subprocess.run(
        ["nm", "-D", "--undefined-only", library], capture_output=True, text=True, check=True
    )
    wanted = set(re.findall(r"\b(cu[A-Z]\w+)", listed.stdout))
    stubs = "".join(
        f'API Status {name}() {{ fprintf(stderr, "stand-in: {name}\\n"); return 801; }}\n'
        for name in sorted(wanted - set(re.findall(r"API Status (cu\w+)\(", source)))
    )
    command = [
        cpu_kernels.COMPILER, "-std=c++17", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra",
        "-Werror", "-Wl,-soname,libcuda.so.1", "-o", folder / "libcuda.so.1", "-x", "c++", "-",
        "-ldl",
    ]  # fmt: skip
    done = subprocess.run(
        command,
        input=source + stubs,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder


class SoftwareGpu:
    """A folder with a driver, and scenarios of gpu_scenarios.py run on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = build_driver(folder)
        self._kernels = cpu_kernels.build()

    def environment(self, **more: str) -> dict[str, str]:
        """What a process needs to find this GPU."""
        paths = (HERE, SITE, stand_ins.ROOT)
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "LD_LIBRARY_PATH": str(self._folder),
            "STAND_IN_KERNELS": str(self._kernels),
            "STAND_IN_SCRATCH": str(self._folder),
            "OMP_NUM_THREADS": "1",
            **more,
        }

    def attempt(self, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        """A scenario that may fail."""
        command = [sys.executable, stand_ins.HERE / "gpu_scenarios.py", *arguments]
        return subprocess.run(
            [str(word) for word in command],
            env=self.environment(**environment), cwd=stand_ins.ROOT, capture_output=True,
            text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    def run(self, *arguments: object, **environment: str) -> dict:
        """A scenario that must not: what it found."""
        done = self.attempt(*arguments, **environment)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)
