"""For all tests: the same examples in every run, no clock that decides, no telephone."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import settings

from engines.own_cache import state_folder
from tests.support.turns import AGAIN, keep_pace

# for tests and stand-ins that load ONNX Runtime by themselves, and their child processes
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# what runs record while they are tested goes with the tests; this user's plans are used as they are
_STATE = Path(mkdtemp(prefix="sparsefocus-state-"))
(_STATE / "sparsefocus").mkdir()
(_STATE / "sparsefocus" / "plans").symlink_to(state_folder("plans"))
os.environ["XDG_STATE_HOME"] = str(_STATE)
atexit.register(shutil.rmtree, _STATE, ignore_errors=True)

# a busy machine is no defect: nothing here passes or fails by how long an example took
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

ROOT = Path(__file__).parents[1]
#: folders and files whose tests take many seconds of a core each: `make test-fast` leaves them out
LONG = (
    "tests/training",
    "tests/engines/kernels",
    "tests/engines/gpu/test_gpu_faults.py",
    "tests/engines/gpu/test_gpu_path.py",
    "tests/engines/gpu/test_plan.py",
    "tests/engines/gpu/test_plan_files.py",
    "tests/engines/build/test_build_engines.py",
    "tests/engines/estimate/test_latency_model.py",
    "tests/firmware_bridge/conformance",
    "tests/firmware_bridge/test_fault_matrix.py",
    "tests/firmware_bridge/test_line_faults.py",
    "tests/firmware_bridge/test_reconnect.py",
    "tests/firmware_bridge/test_fuzz_corpus.py",
    "tests/firmware_bridge/firmware/test_qemu_firmware.py",
    "tests/edge/appliance/evaluate/test_evaluate_page.py",
    "tests/edge/appliance/evaluate/test_evaluate_refusals.py",
    "tests/edge/appliance/evaluate/test_evaluate_verb.py",
    "tests/edge/appliance/calibrate",
    "tests/edge/appliance/selftest",
    "tests/edge/test_emulated_loop.py",
    "tests/simulator",
    "tests/test_closed_loop.py",
    "tests/test_native_stage_closed_loop.py",
)
QUICK = "tests/simulator/controllers/"  # in a folder whose other tests are long


#: those that keep pace with something that goes by the clock on the wall: a firmware in a process
#: of its own, an emulator, a camera's thread, a signal
REAL_TIME = (
    "tests/edge/appliance/camera",
    "tests/edge/appliance/control/test_as_crisp.py",
    "tests/edge/appliance/control/test_control_verb.py",
    "tests/edge/appliance/run",
    "tests/edge/appliance/selftest",
    "tests/edge/appliance/stage",
    "tests/edge/cameras/test_camera_contract.py",
    "tests/edge/cameras/test_camera_drivers.py",
    "tests/edge/cameras/test_gstreamer.py",
    "tests/edge/cameras/test_v4l2.py",
    "tests/edge/test_emulated_loop.py",
    "tests/edge/cameras/test_grabbing.py",
    "tests/edge/test_instrument.py",
    "tests/firmware_bridge/conformance",
    "tests/firmware_bridge/firmware/test_host_firmware.py",
    "tests/firmware_bridge/firmware/test_motion_profile.py",
    "tests/firmware_bridge/firmware/test_qemu_firmware.py",
    "tests/firmware_bridge/stages",
    "tests/firmware_bridge/test_busy_computer.py",
    "tests/firmware_bridge/test_client_doubts.py",
    "tests/firmware_bridge/test_fault_matrix.py",
    "tests/firmware_bridge/test_firmware_refusals.py",
    "tests/firmware_bridge/test_line_faults.py",
    "tests/firmware_bridge/test_link.py",
    "tests/firmware_bridge/test_pins.py",
    "tests/firmware_bridge/test_protocol_document.py",
    "tests/firmware_bridge/test_reconnect.py",
    "tests/firmware_bridge/test_stop_signals.py",
    "tests/firmware_bridge/test_stops.py",
    "tests/simulator/bench/test_bench.py",
    "tests/simulator/test_scan.py",
    "tests/sparsefocus/test_embedding.py",
    "tests/sparsefocus/test_own_drivers.py",
    "tests/test_closed_loop.py",
    "tests/test_commands.py",
    "tests/test_native_stage_closed_loop.py",
    "tests/test_ways_of_a_stop.py",
    "tests/training/test_closed_loop_eval.py",
    "tests/training/test_closed_loop_judge.py",
)


def pytest_configure() -> None:
    """As in a terminal, also under `nohup`: a hang-up that is ignored stays ignored by the product,
    and the tests of it would wait for ever. Children inherit this."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them, in one place, so that nothing need be written into each. The long ones come first,
    then those that wait: side by side (make pytest), the last file to end must be a short one."""
    for item in items:
        here = item.path.relative_to(ROOT).as_posix()
        for mark, names in (("long", LONG), ("real_time", REAL_TIME)):
            if mark == "long" and here.startswith(QUICK):
                continue
            if any(here == name or here.startswith(f"{name}/") for name in names):
                item.add_marker(mark)
    items.sort(key=lambda item: [item.get_closest_marker(m) is None for m in ("long", "real_time")])


def pytest_runtest_setup() -> None:
    """What is remembered of a controller is remembered for one test: all twins have one number."""
    shutil.rmtree(_STATE / "sparsefocus" / "places", ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Those that keep pace with a peer: see tests/support/turns.py."""
    if item.get_closest_marker("real_time") is None:
        return None
    keep_pace(item, nextitem)
    return True


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, str] | None:
    """A try that does not count has a letter of its own."""
    return ("ran again", "R", "RAN AGAIN") if report.outcome == AGAIN else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which were run again, and why: nobody should have to guess it."""
    for report in terminalreporter.stats.get("ran again", []):
        why = dict(report.sections).get("ran again", "")
        terminalreporter.write_line(f"ran again: {report.nodeid}: {why}")
