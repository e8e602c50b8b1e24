"""The service file: what the loop does not need it may not do, by systemd's own judgement."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.patience import PATIENCE_S

UNIT = Path(__file__).parents[1] / "deploy" / "sparsefocus.service"
MOST = 2.0  # exposure, 0 best, 10 worst


def test_the_unit_is_hardly_exposed() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    words = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=PATIENCE_S, env=environment
    )
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


def test_what_the_runtime_needs_is_pinned_by_hashes() -> None:
    root = UNIT.parents[1]
    pinned = (root / "requirements.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", re.sub(r"^#.*\n", "", pinned, flags=re.M))
    names = set()
    for entry in filter(None, entries):
        name, version = re.match(r"([\w.-]+)==([\w.]+)", entry).groups()  # type: ignore[union-attr]
        assert entry.count("--hash=sha256:") >= 1, name
        names.add(name)
        assert version
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    wanted = config["options"]["install_requires"].split("\n")
    needed = {re.split(r"[<>=; ]", x)[0].lower() for x in wanted if x and x[0] != "#"}
    assert needed <= names
    assert (
        "numpy==1.26.4 ; python_full_version < '3.11' and platform_machine == 'aarch64'" in pinned
    )
