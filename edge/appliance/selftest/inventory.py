"""What `sparsefocus doctor` looks at on this machine: one function a subject. Nothing is moved,
nothing is opened that another program may hold, and nothing is asked on a network.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from serial.tools import list_ports

from edge.appliance.config.machine_key import key_path, read_key
from edge.appliance.selftest.libraries import MISSING, NOTE, OK, Finding
from edge.cameras.aravis_library import aravis
from edge.cameras.gstreamer_library import gstreamer
from edge.errors import ConfigError, EngineRejected
from edge.measure.scale import Scaler
from edge.settings import ModelSettings
from engines.device_health import read_health, warnings_of
from engines.errors import GpuUnusable
from engines.gpu.device import find_gpu
from engines.gpu.plan import AGAIN, PLANS, PROFILES, manifest_path
from engines.manifest import Manifest
from engines.onnx_runtime import ort
from engines.own_cache import cache_folder
from firmware_bridge import plug_ins

LEAST_FREE_MIB = 500
BUILT_YEAR = 2026  # a clock that shows less was never set


def speed() -> Iterator[Finding]:
    """What the CPU path runs on."""
    yield Finding("providers of the CPU path", OK, ", ".join(ort.get_available_providers()))
    native = Scaler(1).native
    do = "" if native else "the same numbers, slower: install a C compiler"
    yield Finding("compiled C", OK if native else NOTE, "used" if native else "OpenCV instead", do)


def models(settings: ModelSettings) -> Iterator[Finding]:
    """The networks that will be used, by the hash of their bytes."""
    for path in (settings.rin, settings.dpn):
        try:
            manifest = Manifest.read(path)
            manifest.model_bytes()
            detail = f"{manifest.sha256[:12]}, {manifest.optics.objective}"
            yield Finding(f"model {manifest.name}", OK, detail)
        except EngineRejected as error:
            yield Finding(f"model {path.name}", MISSING, str(error), "install again")


def gpu() -> Iterator[Finding]:
    """The GPU, TensorRT and the plans; a machine without is a CPU machine, and fine."""
    try:
        device = find_gpu()
    except GpuUnusable as error:
        yield Finding("GPU", NOTE, f"{str(error).partition(':')[0]}, the CPU is used")
        return
    yield Finding("GPU", OK, f"{device.name}, {device.architecture}")
    for name, do in (("tensorrt", "JetPack's python3-libnvinfer, and an environment that sees it"),
                     ("pycuda", "pip install 'sparsefocus-edge[jetson]'")):  # fmt: skip
        here = importlib.util.find_spec(name) is not None
        detail = "here" if here else "is not here: the CPU is used"
        yield Finding(name, OK if here else NOTE, detail, "" if here else do)
    lacking = [name for name in PROFILES if not manifest_path(name, PLANS).exists()]
    yield Finding("plans", NOTE if lacking else OK,
                  f"none of {', '.join(lacking)} in {PLANS}" if lacking else str(PLANS),
                  AGAIN if lacking else "")  # fmt: skip


def ports() -> Iterator[Finding]:
    """Serial ports, and whether this user may use them; none is opened."""
    names = sorted(port.device for port in list_ports.comports())
    if not names:
        yield Finding("serial ports", NOTE, "none is here", "plug the stage's controller in")
    for name in names:
        yield _usable(f"serial port {name}", name, "dialout")


def cameras() -> Iterator[Finding]:
    """Video devices, and the libraries of the other drivers."""
    for device in sorted(Path("/dev").glob("video*")):
        yield _usable(f"camera {device}", str(device), "video")
    here = importlib.util.find_spec("pypylon") is not None
    do = "" if here else "Basler cameras: pip install 'sparsefocus-edge[pylon]'"
    yield Finding("pylon", OK if here else NOTE, "here" if here else "no pypylon", do)
    for name, load in (("aravis", aravis), ("gstreamer", gstreamer)):
        try:
            load()
            yield Finding(name, OK, "its library is here")
        except ConfigError as error:
            yield Finding(name, NOTE, str(error), "only for cameras of this driver")


def plugged_in() -> Iterator[Finding]:
    """The drivers that other installed packages bring, and whether they can be loaded."""
    for kind, group in (("camera", plug_ins.CAMERAS), ("stage", plug_ins.STAGES)):
        for name in plug_ins.names(group):
            try:
                plug_in = plug_ins.find(group, name)
                assert plug_in is not None
                plug_in.load()
                yield Finding(f"{kind} driver {name}", OK, str(plug_in))
            except plug_ins.PlugInBroken as broken:
                yield Finding(f"{kind} driver {name}", NOTE, str(broken), "mend that package")


def user() -> Iterator[Finding]:
    """Who we are here, where we may write, and the key that signs calibrations."""
    yield Finding("user", OK, f"uid {os.geteuid()}, groups {sorted(os.getgroups())}")
    cache = cache_folder()
    yield Finding("cache", OK if cache else NOTE, str(cache or "no folder can be written"),
                  "" if cache else "set HOME or XDG_CACHE_HOME")  # fmt: skip
    if cache is not None:
        free = shutil.disk_usage(cache).free >> 20
        enough = free >= LEAST_FREE_MIB
        yield Finding("disk", OK if enough else MISSING, f"{free} MiB free",
                      "" if enough else f"free {LEAST_FREE_MIB} MiB")  # fmt: skip
    try:
        path = key_path()
        if path.exists():
            read_key(path)
            yield Finding("key of this machine", OK, str(path))
        else:
            do = "`sparsefocus calibrate` makes it, for the user who calibrates"
            yield Finding("key of this machine", NOTE, f"none at {path}", do)
    except ConfigError as error:
        yield Finding("key of this machine", MISSING, str(error), "see the line")


def clock() -> Iterator[Finding]:
    """The clock that times exposures and moves, and the one that dates records."""
    info = time.get_clock_info("monotonic")
    fine = info.resolution <= 1e-6
    yield Finding("monotonic clock", OK if fine else MISSING, f"{info.resolution * 1e9:g} ns",
                  "" if fine else "a clock this coarse cannot time an exposure")  # fmt: skip
    year = time.gmtime().tm_year
    yield Finding("date", OK if year >= BUILT_YEAR else NOTE, time.strftime("%Y-%m-%d"),
                  "" if year >= BUILT_YEAR else "set it: records are dated by it")  # fmt: skip


def health() -> Iterator[Finding]:
    """Heat and clocks, where the machine tells them."""
    for warning in warnings_of(read_health()):
        yield Finding("health", NOTE, warning)


def _usable(what: str, device: str, group: str) -> Finding:
    if os.access(device, os.R_OK | os.W_OK):
        return Finding(what, OK, "may be used")
    return Finding(what, MISSING, "this user may not use it",
                   f"sudo usermod -aG {group} USER, then log in again")  # fmt: skip
