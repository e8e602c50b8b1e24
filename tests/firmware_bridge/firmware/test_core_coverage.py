"""Every line of the firmware's core is run by its own tests, counted by gcov."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from firmware_bridge.firmware.build import CORE, FAULTS, HERE
from tests.mutation.c_run import JUDGES
from tests.support.virtual_board import BENCH, SHIM

ROOT = Path(__file__).parents[3]
#: lines that no test on the virtual clock runs, with the reason: (file, the line's text)
EXPLAINED = {
    (
        "motion.c",
        "high = low; /* the speed limit was lowered */",
    ): "settings hold while the axis moves, so that its speed is never above the limit by more",
}
RUN = """
import importlib, sys
for module in sys.argv[1:]:
    for name, test in list(vars(importlib.import_module(module)).items()):
        if name.startswith("test_"):
            test()
"""


@pytest.mark.timeout(600)
@pytest.mark.skipif(not shutil.which("gcov") or not shutil.which("gcc"), reason="no gcov here")
def test_every_line_of_the_core_is_run(tmp_path: Path) -> None:
    folder = tmp_path / "firmware"
    shutil.copytree(HERE, folder, ignore=shutil.ignore_patterns("build", "*.py", "__pycache__"))
    words = ["gcc", "-std=c99", "-O0", "--coverage", "-shared", "-fPIC", "-I.", FAULTS]
    command = [*words, "-o", "core.so", *CORE, BENCH, str(SHIM)]
    subprocess.run(command, cwd=folder, check=True)
    surroundings = {**os.environ, "VIRTUAL_CORE": str(folder / "core.so"), "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", RUN, *JUDGES], cwd=ROOT, env=surroundings, check=True)
    counted = subprocess.run(
        ["gcov", "--json-format", "--stdout", *(str(path) for path in folder.glob("*.gcda"))],
        cwd=folder, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    files = [file for line in counted.splitlines() for file in json.loads(line)["files"]]
    core = {file["file"]: file["lines"] for file in files if file["file"] in CORE}
    assert set(core) == set(CORE)
    texts = {name: (HERE / name).read_text(encoding="utf-8").splitlines() for name in CORE}
    missed = {
        (name, texts[name][line["line_number"] - 1].strip())
        for name, lines in core.items()
        for line in lines
        if not line["count"]
    }
    assert missed == set(EXPLAINED)
