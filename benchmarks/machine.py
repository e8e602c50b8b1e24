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
        "command": "python " + " ".join(sys.argv),
        "machine": description(),
        **numbers,
    }
    print(json.dumps(numbers, indent=1))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
