"""Every command that a document shows is run: here with less work, by another test, or by a person
with the reason why. A command that nobody runs is one that stops working unnoticed."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.appliance import cli
from firmware_bridge.firmware.host import HostFirmware
from tests.test_documents import DOCUMENTS, ROOT

#: the command begins like this -> words added so that it takes less time, exit statuses, long
RUN: dict[str, tuple[str, tuple[int, ...], bool]] = {
    r"sparsefocus check-config scanner\.yaml": ("", (0,), False),
    r"sparsefocus camera find$": ("", (0,), False),
    r"sparsefocus camera check ": ("", (0,), True),
    r"sparsefocus stage find": ("", (0,), False),
    r"sparsefocus stage move 1200 ": ("", (0,), False),
    r"sparsefocus stage stop ": ("", (0,), False),
    r"sparsefocus stage watch ": ("--every-ms 5", (0,), False),
    r"sparsefocus stage conformance /dev/ttyUSB0": ("", (4,), False),  # nobody there
    r"sparsefocus bench --predict": ("", (0,), False),
    r"sparsefocus bench --frames": ("--frames 2", (0,), True),
    r"sparsefocus focus (frame|field)\.png": ("", (0,), True),
    r"sparsefocus evaluate stacks/manifest\.csv": ("--limit 1", (0,), True),
    r"sparsefocus selftest": ("--frames 2", (0,), True),
    r"sparsefocus simulate --invert-sign": ("", (3,), True),
    r"sparsefocus simulate": ("--fields 1 --quiet", (0,), True),
    r"sparsefocus run --demo": ("--seconds 2", (0,), True),
    r"sparsefocus run --config scanner\.yaml": ("--seconds 2", (0,), True),
    r"python build_engines\.py --dry-run": ("", (0, 4), True),  # 4: no TensorRT here
    r"sparsefocus build-engines --dry-run": ("", (0, 4), True),
    r"python -m firmware_bridge\.c_header": ("", (0,), False),
}
#: the command begins like this -> the tests that run the same verb or module
ELSEWHERE = {
    r"make (run|test)\b": "tests/test_documents.py",
    r"make family": "tests/training/family/test_family.py",
    r"make paper|python -m training\.paper": "tests/training/paper/test_paper.py",
    r"make bench": "tests/simulator/bench/test_bench.py",
    r"sparsefocus calibrate --config": "tests/edge/appliance/calibrate/test_calibrate_verb.py",
    r"sparsefocus calibrate --zstacks": "tests/training/adapt/test_adapt.py",
    r"sparsefocus calibrate": "tests/edge/appliance/calibrate/test_calibrate_verb.py",
    r"sparsefocus camera find --network": "tests/edge/appliance/camera/test_camera_verb.py",
    r"sparsefocus stage serve-asi": "tests/edge/appliance/stage/test_stage_verb.py",
    r"sparsefocus evaluate runs": "tests/edge/appliance/evaluate/test_evaluate_verb.py",
    r"sparsefocus (init|doctor|explain)": "tests/edge/appliance",
    r"sparsefocus (replay|report-bundle)": "tests/edge",
    r"sparsefocus control": "tests/edge/appliance/control/test_control_verb.py",
    r"sparsefocus (scan|slide|capture)": "tests",
    r"python -m training\.stacks": "tests/training/test_stacks.py",
    r"python -m training\.train": "tests/training/test_data_parallel.py",
    r"python -m training\.pool": "tests/training/test_pool.py",
    r"python -m training\.(export|novelty)": "tests/training/test_nets.py",
    r"python -m training\.calibrate": "tests/training/test_calibrate.py",
    r"python -m training\.evaluate": "tests/training/test_shipped.py",
    r"python -m training\.closed_loop_judge": "tests/training/test_closed_loop_judge.py",
    r"python -m training\.closed_loop": "tests/training/test_closed_loop_eval.py",
    r"python -m training\.judge": "tests/training/judge/test_judge_stacks.py",
    r"torchrun --nproc-per-node": "tests/training/test_data_parallel.py",
}
#: the command begins like this -> why only a person runs it
BY_HAND = {
    r"sudo ": "changes the machine; deploy/ has its own tests",
    r"python3 -m venv ": "JetPack's own packages are needed",
    r"torchrun --nnodes": "two machines are needed",
    r"python -m benchmarks\.": "measures this machine for minutes",
    r"(make records|python -m tests\.support\.reference_records)": "replaces the references",
    r"python benchmarks/real_stacks\.py": "needs real stacks, and minutes of each",
}
COMMAND = re.compile(r"(sparsefocus [a-z]|python3? |make [a-z]|sudo |torchrun )")

SCANNER = """
camera: {{driver: recorded, period_ms: 30, options: {{folder: "{folder}", repeat: true}}}}
stage:
  driver: binary
  z_min_um: 100
  z_max_um: 9000
  max_step_um: 25
  focus_direction: 1
  calibration: by-hand
  options: {{port: "{port}"}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
models: {{backend: cpu}}
"""


def commands() -> list[str]:
    """Each once, as it stands in a code block, without its remark."""
    lines: dict[str, None] = {}
    for path in DOCUMENTS:
        for block in re.findall(r"^```\w*\n(.*?)^```", path.read_text("utf-8"), re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                line = line.partition(" #")[0].strip().removeprefix("$ ")
                if COMMAND.match(line):
                    lines[re.split(r"\s{4,}", line)[0]] = None
    return list(lines)


def rule_of(command: str) -> str | None:
    """The pattern of RUN that fits first."""
    return next((p for p in RUN if re.match(p, command)), None)


def elsewhere(command: str) -> str | None:
    """The tests that run it, the longest pattern first, or the reason why nobody can."""
    for table in (ELSEWHERE, BY_HAND):
        for pattern in sorted(table, key=len, reverse=True):
            if re.match(pattern, command):
                return table[pattern]
    return None


def runs(long: bool) -> list[str]:
    """What is run here."""
    return [c for c in commands() if (rule := rule_of(c)) is not None and RUN[rule][2] is long]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the files that the documents name, and a board behind the config's port."""
    folder = tmp_path_factory.mktemp("documents")
    (folder / "stacks").mkdir()
    (folder / "pictures").mkdir()
    noise = np.random.default_rng(1).integers(180, 220, (2016, 2016, 3), np.uint8)
    for name in ("frame.png", "field.png", "stacks/a.png", "pictures/a.png"):
        cv2.imwrite(str(folder / name), noise)
    (folder / "stacks/manifest.csv").write_text(
        "file,page,stack_id,z_um,focus_z_um,um_per_px\na.png,,s,0,1,0.34\n"
    )
    board = HostFirmware(z_min_nm=0, z_max_nm=9_100_000, start_nm=1_190_000)
    with board:
        text = SCANNER.format(folder=folder / "pictures", port=board.port)
        (folder / "scanner.yaml").write_text(text)
        yield folder


def run(command: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command where its files are; what it writes stays there."""
    monkeypatch.chdir(place)
    pattern = rule_of(command)
    assert pattern is not None
    more, statuses, _ = RUN[pattern]
    words = [*shlex.split(re.split(r"[|;>&]", command)[0]), *shlex.split(more)]
    if words[0] == "sparsefocus":
        assert cli.main(words[1:]) in statuses
        return
    given = [sys.executable, str(ROOT / words[1])] if words[1].endswith(".py") else [sys.executable]
    given += words[2:] if words[1].endswith(".py") else words[1:]
    done = subprocess.run(given, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in statuses, done.stderr


@pytest.mark.parametrize("command", runs(long=False))
def test_a_command_of_the_documents(
    command: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(command, place, monkeypatch)


@pytest.mark.long
@pytest.mark.timeout(3600)  # thirteen fields are rendered by some
@pytest.mark.parametrize("command", runs(long=True))
def test_a_long_command_of_the_documents(
    command: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(command, place, monkeypatch)


def test_no_command_is_run_by_nobody() -> None:
    others = [command for command in commands() if rule_of(command) is None]
    assert [command for command in others if elsewhere(command) is None] == []
    assert [tests for tests in ELSEWHERE.values() if not (ROOT / tests).exists()] == []
