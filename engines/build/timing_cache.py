"""TensorRT's timing cache: what makes the second build short, kept per TensorRT, GPU and clocks.

Timings of another power mode would choose other kernels, so each mode has a file of its own.
A cache is only ever a hint: one that cannot be read or written costs time, nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

from engines.gpu.plan import Host
from engines.whole_file import replace_file

#: where nvpmodel, Jetson's power tool, keeps the mode it has set
NVPMODEL_STATUS = Path("/var/lib/nvpmodel/status")
DEVFREQ = Path("/sys/class/devfreq")
LIMIT = 64 << 20


def power_mode(status: Path = NVPMODEL_STATUS, devfreq: Path = DEVFREQ) -> str:
    """Jetson's power mode and the GPU's highest clock, such as "pmode:0002 918000000"."""
    words = []
    with contextlib.suppress(OSError):
        words += status.read_text("ascii", "replace").split()[:1]
    for clock in sorted(devfreq.glob("*g*/max_freq")):
        if any(part in clock.parent.name for part in ("gpu", "ga10b", "gpc")):
            with contextlib.suppress(OSError):
                words.append(clock.read_text("ascii", "replace").strip()[:20])
    return " ".join(words) or "unknown"


class TimingCache:
    """The cache file of this machine in a plan folder."""

    def __init__(self, folder: Path, host: Host) -> None:
        key = f"{host.tensorrt} {host.gpu} {host.compute_capability} {power_mode()}"
        self.path = folder / f"timing-{hashlib.sha256(key.encode()).hexdigest()[:12]}.cache"

    def read(self) -> bytes:
        """Its bytes; none where there is no usable file."""
        with contextlib.suppress(OSError):
            if self.path.is_file() and self.path.stat().st_size <= LIMIT:
                return self.path.read_bytes()
        return b""

    def write(self, data: bytes) -> None:
        """Keep it for the next build."""
        with contextlib.suppress(OSError):
            replace_file(self.path, data, mode=0o644)
