"""What a result was measured on, written beside every number."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import Any


def description() -> dict[str, Any]:
    """Processor, cores, load, system, Python, and the emulator where there is one."""
    model = ""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")
    except OSError:
        pass
    return {
        "processor": model or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": load_average(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "qemu": _first_line("qemu-system-arm", "--version"),
    }


def load_average() -> list[float]:
    """Of the last 1, 5 and 15 minutes: what else the machine was doing."""
    return [round(value, 2) for value in os.getloadavg()]


def _first_line(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )[0]
    except OSError:
        return ""
