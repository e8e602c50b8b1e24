"""`run --demo`: the appliance's loop with nothing but this package."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edge.appliance import cli
from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from simulator import demo
from simulator.camera import open_simulated
from simulator.demo import FIELDS, FRAMES, DemoCamera
from tests.support.patience import PATIENCE_S


class Bench:
    """A microscope and its drive in plain numbers; the camera's frames are empty."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, str, int, int]] = []
        self.microscope = self.mechanics = self

    def load_field(self, kind: str, sparsity: str, number: int, slide: int) -> Any:
        self.loaded.append((kind, sparsity, number, slide))
        return SimpleNamespace(z_focus_um=200.0)

    def height_um(self, time_ns: int) -> float:
        return 200.0 + 10.0 / time_ns


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> tuple[DemoCamera, Bench]:
    frames = (Frame(np.zeros((1, 1, 3), np.uint8), PixelFormat.RGB8, n, n, n) for n in range(1, 99))
    fake = SimpleNamespace(next=lambda _: next(frames), close=lambda: None)
    monkeypatch.setattr(demo, "SimulatedCamera", lambda *_: fake)
    bench = Bench()
    return DemoCamera(bench), bench  # type: ignore[arg-type]


def test_not_by_itself_only_a_program_brings_another_field(
    camera: tuple[DemoCamera, Bench],
) -> None:
    shown, bench = camera[0], camera[1]
    shown._by_itself = False
    shown.on_new_field = lambda: pytest.fail("nobody asked for it")
    for _ in range(3 * FRAMES):
        shown.next(1.0)
    assert len(bench.loaded) == 1
    shown.go_on()
    shown.next(1.0)
    assert [each[:2] for each in bench.loaded] == list(FIELDS[:2])


def test_fields_follow_each_other_and_the_loop_is_told_before_the_next_frame(
    camera: tuple[DemoCamera, Bench], capsys: pytest.CaptureFixture[str]
) -> None:
    shown, bench = camera
    messages: list[int] = []
    shown.on_new_field = lambda: messages.append(len(bench.loaded))
    for _ in range(2 * FRAMES):
        shown.next(1.0)
    assert messages == [1, 2]  # while the field that ends is still there
    assert [each[:3] for each in bench.loaded] == [(*FIELDS[0], 0), (*FIELDS[1], 1)]
    first, _ = shown.fields
    assert first["start_error_um"] == 10.0
    assert first["final_error_um"] == round(10.0 / FRAMES, 3)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == (
        "demo: field 1, tissue dense: 10.00 um out of focus when it came, 1.67 um at the end"
    )


def test_a_file_or_the_demo_and_not_both(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["run"], ["run", "--demo", "--config", "x"]):
        with pytest.raises(SystemExit) as refused:
            cli.main(words)
        assert refused.value.code == 2
    assert "--demo" in capsys.readouterr().err


def test_a_simulated_camera_without_its_firmware_says_what_to_do_instead() -> None:
    with pytest.raises(ConfigError, match=r"none: no running firmware .* `sparsefocus run --demo`"):
        open_simulated(trace="none")


@pytest.mark.long
def test_it_focuses_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "edge.appliance.cli", "run", "--demo"]
    record = tmp_path / "demo.json"
    done = subprocess.run([*words, "--frames", "5", "--json", str(record)], capture_output=True,
                          text=True, timeout=PATIENCE_S)  # fmt: skip
    assert done.returncode == 0, done.stderr
    document = json.loads(record.read_text())
    (field,) = document["demo"]["fields"]
    assert document["moves"] >= 1
    assert abs(field["final_error_um"]) < 0.6 < abs(field["start_error_um"])
    running = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert running.stderr is not None
    line = running.stderr.readline()  # of the status: the loop runs
    os.kill(running.pid, signal.SIGINT)
    _, more = running.communicate(timeout=PATIENCE_S)
    assert running.returncode == 0, line + more
