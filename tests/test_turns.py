"""Tests of real time: run again where the computer stood still, and only there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support import turns
from tests.support.patience import PATIENCE_S
from tests.support.turns import TRIES, Turns

ROOT = Path(__file__).parents[1]
HOOKS = """
from tests.conftest import pytest_report_teststatus, pytest_runtest_protocol
from tests.conftest import pytest_terminal_summary
from tests.support.turns import Turns
Turns.missed = lambda self: missed[0]
missed = ["this computer stood still for 345 ms"]
"""
SUITE = """
import pytest
import conftest

pytestmark = pytest.mark.real_time
tried = []

@pytest.fixture(scope="module")
def peer():
    tried.append("peer")
    assert tried.count("peer") == 2
    return 5

def test_of_a_fixture_that_failed_once(peer):
    assert peer == 5

def test_that_fails_once(tmp_path):
    tried.append("once")
    (tmp_path / "mine").mkdir()  # its fixtures are made anew
    assert tried.count("once") == 2

def test_that_always_fails():
    tried.append("always")
    assert False

def test_that_fails_on_a_quiet_computer():
    assert tried.count("always") == TRIES
    conftest.missed[0] = ""
    tried.append("quiet")
    assert False

def test_that_it_was_not_tried_again():
    assert tried.count("quiet") == 1
"""


def test_only_what_the_computer_is_to_blame_for_is_run_again(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(HOOKS)
    (tmp_path / "test_it.py").write_text(SUITE.replace("TRIES", str(TRIES)))
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = real_time: of real time\n")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""}, cwd=tmp_path,
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.returncode == 1, done.stdout + done.stderr
    assert lines[-1].startswith(f"2 failed, 3 passed, {1 + 1 + TRIES - 1} ran again in")
    messages = [line for line in lines if line.startswith("ran again: ")]
    assert len(messages) == 1 + 1 + TRIES - 1
    assert messages[1].endswith("::test_that_fails_once: this computer stood still for 345 ms")
    failed = [line.split("::")[1].split(" ")[0] for line in lines if line.startswith("FAILED ")]
    assert failed == ["test_that_always_fails", "test_that_fails_on_a_quiet_computer"]


def missed(monkeypatch: pytest.MonkeyPatch, longest_s: float, load: float) -> str:
    monkeypatch.setattr(turns, "cores_for_us", lambda: 2)
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 0.0, 0.0))
    watch = Turns()
    watch._stalls.longest_s = longest_s
    return watch.missed()


def test_what_the_computer_is_to_blame_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missed(monkeypatch, 0.09, 4.0) == ""
    assert missed(monkeypatch, 0.1, 0.5) == "this computer stood still for 100 ms"
    assert missed(monkeypatch, 0.0, 9.6) == "10 processes want the 2 cores of this computer"


def test_a_stall_is_noticed() -> None:
    """A thread of ours that did not wake for long: what a stopped process would see, too."""
    now, naps = [0.0], []

    class Late(threading.Event):
        def wait(self, nap_s: float | None = None) -> bool:
            assert nap_s is not None
            naps.append(nap_s)
            now[0] += 0.25 if len(naps) == 2 else nap_s
            return len(naps) > 4

    watch = Turns(SimpleNamespace(monotonic=lambda: now[0]))  # type: ignore[arg-type]
    watch._over = Late()
    watch._watch()
    assert watch._stalls.longest_s == pytest.approx(0.24)
