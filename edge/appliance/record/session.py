"""What a record says once, in every file: the config, the models, the versions, the machine."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from edge.appliance.record.values import plain, without_secrets
from edge.measure.sensor import LooksAgain
from edge.rig import Rig

FORMAT = 1
PACKAGES = ("sparsefocus-edge", "numpy", "opencv-python-headless", "onnxruntime", "openvino",
            "pyserial", "mcap")  # fmt: skip


def session_of(rig: Rig, path: bool = False) -> dict[str, Any]:
    """Plain values: all that a replay and a maker's support need to know of a rig. `path`:
    whether a program gives the places along a scan."""
    stage, camera = rig.stage, rig.camera
    return {
        "format": FORMAT,
        "id": secrets.token_hex(4),
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "config": without_secrets(plain(rig.config)),
        "stage": {"z_min_um": stage.z_min_um, "z_max_um": stage.z_max_um,
                  "resolution_um": stage.resolution_um},
        "looks_again": isinstance(rig.sensor, LooksAgain),
        "path": path,
        "devices": {"stage": getattr(getattr(stage, "identity", None), "text", ""),
                    "camera": getattr(camera, "identity", "")},
        "networks": {net.manifest.name: net.manifest.sha256 for net in rig.engines},
        **machine(),
    }  # fmt: skip


def machine() -> dict[str, Any]:
    """Versions of what runs, and on what."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": os.cpu_count(),
        "processor_flags": _sha256(_line("/proc/cpuinfo", "flags")),
        "board": _text("/proc/device-tree/model").rstrip("\0\n"),
        "release": _text("/etc/nv_tegra_release").split("\n")[0],
        "boot": _text("/proc/sys/kernel/random/boot_id").strip(),
    }


def _sha256(text: str) -> str:
    """Short: two processors with the same instructions calculate the same."""
    return hashlib.sha256(text.encode()).hexdigest()[:12] if text else ""


def _line(path: str, begins: str) -> str:
    return next((line for line in _text(path).split("\n") if line.startswith(begins)), "")


def _text(path: str) -> str:
    try:
        return Path(path).read_text("utf-8", "replace")
    except OSError:
        return ""
