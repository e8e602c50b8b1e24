"""The service file: what the loop does not need it may not do, by systemd's own judgement."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1] / "deploy" / "sparsefocus.service"
MOST = 2.0  # exposure, 0 best, 10 worst


def test_the_unit_is_hardly_exposed() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env=environment)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    if found is None:
        pytest.skip(f"this systemd judges no file that is not loaded: {done.stderr[:100]}")
    assert float(found[1]) <= MOST


def test_what_the_loop_needs_is_still_allowed() -> None:
    text = UNIT.read_text(encoding="utf-8")
    for line in ("Restart=no", "AmbientCapabilities=CAP_SYS_NICE CAP_IPC_LOCK", "User=sparsefocus",
                 "DeviceAllow=char-ttyUSB rw", "DeviceAllow=char-video4linux rw",
                 "Environment=ORT_DISABLE_TELEMETRY=1"):  # fmt: skip
        assert f"\n{line}\n" in text
    assert not re.search(r"^(RestrictRealtime|PrivateDevices|MemoryDenyWriteExecute)=", text, re.M)
