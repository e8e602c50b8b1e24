"""Somebody's own `edge` or `engines` folder is told in one line, and nothing of it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sparsefocus import shadows
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environment, timeout=PATIENCE_S,
                          capture_output=True, text=True, check=False)  # fmt: skip


@pytest.mark.parametrize("name", shadows.OURS)
@pytest.mark.parametrize("kind", ["a package", "a module"])
def test_a_folder_of_the_users_is_named(tmp_path: Path, name: str, kind: str) -> None:
    shadow = tmp_path / (name if kind == "a package" else f"{name}.py")
    code = "raise SystemExit('somebody elses code ran')\n"
    if kind == "a package":
        shadow.mkdir()
        (shadow / "__init__.py").write_text(code)
    else:
        shadow.write_text(code)
    done = run(tmp_path, "-c", "import sparsefocus; sparsefocus.open(simulate=True)")
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: sparsefocus: {shadow} is in front of its own package")
    assert "rename that" in last
    command = run(tmp_path, "-m", "sparsefocus", "--version")
    assert command.returncode == 4
    assert command.stderr.startswith(f"sparsefocus: {shadow} is in front")
    assert command.stderr.count("\n") == 1


def test_without_one_nothing_is_said(tmp_path: Path) -> None:
    assert shadows.first_shadow() == ""
    (tmp_path / "engines").mkdir()  # without modules: Python goes on to ours
    done = run(tmp_path, "-m", "sparsefocus", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sparsefocus ")


def test_a_module_made_by_hand_is_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "engines", type(sys)("engines"))
    assert "engines (made by the program) is in front" in shadows.first_shadow()


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shadows, "OURS", ("edge_that_is_not_there",))
    assert "its package 'edge_that_is_not_there' is missing" in shadows.first_shadow()


def test_importing_the_door_loads_nothing(tmp_path: Path) -> None:
    code = "import sys, sparsefocus; print(sorted({'numpy', 'cv2', 'edge'} & set(sys.modules)))"
    assert run(tmp_path, "-c", code).stdout == "[]\n"
