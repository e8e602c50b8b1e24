"""Numbers written with the machine they were measured on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from edge.appliance.machine import description


def write(path: Path | None, numbers: dict[str, Any]) -> None:
    """Print the numbers; with a path, write them with machine and command."""
    record = {
        "command": " ".join(["python", _program(), *sys.argv[1:]]),
        "machine": description(),
        **numbers,
    }
    print(json.dumps(numbers, indent=1))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _program() -> str:
    """How the program that runs was called: `-m module`, and of no folder of this machine."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"-m {spec.name}" if spec is not None else Path(sys.argv[0]).name
