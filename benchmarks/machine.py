"""What a result was measured on, written beside every number."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
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
        "load_average": [round(value, 2) for value in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "qemu": _first_line("qemu-system-arm", "--version"),
    }


def _first_line(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(
            "\n"
        )[0]
    except OSError:
        return ""


def write(path: Path | None, numbers: dict[str, Any]) -> None:
    """Print the numbers; with a path, write them with machine and command."""
    record = {
        "command": "python " + " ".join(sys.argv),
        "machine": description(),
        **numbers,
    }
    print(json.dumps(numbers, indent=1))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
