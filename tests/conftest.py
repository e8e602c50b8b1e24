"""For all tests: the same examples in every run, no clock that decides, no telephone."""

from __future__ import annotations

import os

from hypothesis import settings

# for tests and stand-ins that load ONNX Runtime by themselves, and their child processes
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# a busy machine is no defect: nothing here passes or fails by how long an example took
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")
