"""The command line with a camera that falls silent: `python -m benchmarks.silent_camera run ...`.

The recorded camera of the config shows its pictures until a file called `silent` lies beside the
folder that they are in; from then on no frame comes, and nothing else is said.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from edge.appliance.cli import main
from edge.camera import CAMERAS, Frame
from edge.cameras.recorded import RecordedCamera, read_options
from edge.errors import CameraStalled

SILENCE = "silent"
__all__ = ["SILENCE", "SilentCamera", "read_options"]  # the last is asked of a driver's module


class SilentCamera(RecordedCamera):
    """See RecordedCamera."""

    def __init__(self, folder: str | Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self._silence = Path(folder).parent / SILENCE

    def next(self, timeout_s: float) -> Frame:
        """CameraStalled after `timeout_s` once it is silent."""
        if self._silence.exists():
            time.sleep(timeout_s)
            raise CameraStalled(f"no frame within {timeout_s:g} s")
        return super().next(timeout_s)


if __name__ == "__main__":
    CAMERAS["recorded"] = "benchmarks.silent_camera:SilentCamera"
    sys.exit(main())
