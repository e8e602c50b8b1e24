"""Whether a frame's way on the GPU is to be expected on this machine: asked before anything of it
is imported."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path

from engines.errors import GpuUnusable
from engines.gpu.device import open_driver
from engines.gpu.plan import PLANS, PROFILES, manifest_path

_log = logging.getLogger(__name__)


def gpu_is_ready(plans: Path = PLANS) -> bool:
    """Whether TensorRT, a driver and plans are here. Where only the plans are missing, a warning:
    the CPU is the reference, and slower."""
    if importlib.util.find_spec("tensorrt") is None:
        return False
    try:
        open_driver()
    except GpuUnusable:
        return False
    missing = [name for name in PROFILES if not manifest_path(name, plans).exists()]
    if missing:
        names = ", ".join(missing)
        _log.warning("no plan of %s: running on the CPU; run `sparsefocus build-engines`", names)
    return not missing
