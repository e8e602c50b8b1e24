"""For all tests: the same examples in every run, no clock that decides, no telephone."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from hypothesis import settings

# for tests and stand-ins that load ONNX Runtime by themselves, and their child processes
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# a busy machine is no defect: nothing here passes or fails by how long an example took
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

ROOT = Path(__file__).parents[1]
#: folders and files whose tests take many seconds of a core each: `make test-fast` leaves them out
LONG = (
    "tests/training",
    "tests/engines/kernels",
    "tests/engines/gpu/test_plan.py",
    "tests/engines/gpu/test_gpu_path.py",
    "tests/engines/build/test_build_engines.py",
    "tests/engines/estimate/test_latency_model.py",
    "tests/firmware_bridge/conformance",
    "tests/firmware_bridge/test_fault_matrix.py",
    "tests/firmware_bridge/test_line_faults.py",
    "tests/firmware_bridge/test_reconnect.py",
    "tests/firmware_bridge/test_fuzz_corpus.py",
    "tests/firmware_bridge/firmware/test_qemu_firmware.py",
    "tests/edge/appliance/evaluate/test_evaluate_verb.py",
    "tests/edge/appliance/calibrate",
    "tests/edge/appliance/selftest",
    "tests/edge/test_emulated_loop.py",
    "tests/simulator",
    "tests/test_closed_loop.py",
    "tests/test_native_stage_closed_loop.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, in one place, so that nothing need be written into each."""
    for item in items:
        here = item.path.relative_to(ROOT).as_posix()
        if any(here == name or here.startswith(f"{name}/") for name in LONG):
            item.add_marker(pytest.mark.long)


_LEAST_SHARE = 0.8  # of a core, for what has to keep pace with a camera
_LOOK_S = 0.2


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`real_time`: a whole loop against a camera that waits for nobody. On a computer that gives us
    less than most of a core it would measure the computer, and is left out, and says so."""
    if item.get_closest_marker("real_time") is None:
        return
    began, used = time.monotonic(), time.process_time()
    while time.monotonic() - began < _LOOK_S:
        pass
    share = (time.process_time() - used) / (time.monotonic() - began)
    if share < _LEAST_SHARE:
        pytest.skip(f"this computer is busy: {100 * share:.0f} % of a core is left for real time")
