"""`sparsefocus scan`: what it says, its numbers, and how it ends."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from edge.appliance import cli
from edge.appliance.scan import verb
from edge.wsi import scan_folder
from simulator import scan_simulated
from simulator.scanner import Harm
from tests.support.scan_bed import bed


@pytest.fixture
def scanners(monkeypatch: pytest.MonkeyPatch) -> list:
    """The simulated scanners that were opened; `bed` stands in for the rendered slide."""
    opened: list = []

    def open_simulated(options, regions):
        opened.append(bed(regions=regions, inverted=options.seed == 13))
        if options.seed == 14:
            opened[-1].camera.harm = Harm(gone=9)
        if options.seed == 15:
            opened[-1].xy.jammed = "x"
        return opened[-1]

    monkeypatch.setattr(scan_simulated, "open_simulated", open_simulated)
    return opened


def scan(tmp_path: Path, *more: str, seed: int = 1) -> int:
    words = ["scan", "--simulate", "--seed", str(seed), "--out", str(tmp_path / "scan")]
    return cli.main([*words, "--json", str(tmp_path / "scan.json"), *more])


@pytest.mark.parametrize("pipeline", verb.PIPELINES)
def test_a_scan_and_its_numbers(scanners, tmp_path: Path, capsys, pipeline: str) -> None:
    assert scan(tmp_path, "--pipeline", pipeline, "--key-points", "4") in (0, 1)
    result = json.loads((tmp_path / "scan.json").read_text())
    summary, fields = result["summary"], result["fields"]
    assert summary["fields"] == len(fields) > 0
    assert summary["seconds"] > 0
    assert summary["lost"] == 0
    if pipeline != "key-points":
        assert summary["verdict"] == "pass"
        assert summary["within_half_dof"] == 1.0
        assert summary["blank"] > 0
    output = capsys.readouterr()
    assert "fields to come, about" in output.err
    assert "s left] field" in output.err
    assert "s of the scanner" in output.out
    assert {"plan.json", "fields.jsonl", "frames"} == set(os.listdir(tmp_path / "scan"))


def test_quiet_is_quiet(scanners, tmp_path: Path, capsys) -> None:
    assert scan(tmp_path, "--quiet") == 0
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")


def test_the_time_told_before_is_about_the_time_it_took(scanners, tmp_path: Path, capsys) -> None:
    assert scan(tmp_path) == 0
    result = json.loads((tmp_path / "scan.json").read_text())["summary"]
    pace, plan = scanners[0].scanner.pace, scan_folder.take_up(tmp_path / "scan").walk.plan
    predicted_s = sum(pace.steps_s(plan))
    assert result["seconds"] == pytest.approx(predicted_s, rel=0.5)


@pytest.mark.parametrize(("seed", "status"), [(13, 3), (14, 4), (15, 5)])
def test_how_it_ends_and_is_taken_up(scanners, tmp_path: Path, capsys, seed, status) -> None:
    """An inverted Z, a camera that went away, a jammed axis."""
    assert scan(tmp_path, seed=seed) == status
    assert capsys.readouterr().err.count("sparsefocus: ") == 1
    assert scanners[0].rig.state.value.value == "shutdown"
    again = scan(tmp_path, "--resume", seed=1)  # another slide
    assert again == 2
    assert "it was begun with seed" in capsys.readouterr().err


def test_a_camera_that_came_back(scanners, tmp_path: Path, monkeypatch, capsys) -> None:
    assert scan(tmp_path, seed=14) == 4
    before = json.loads((tmp_path / "scan" / "plan.json").read_text())
    real = bed

    def sound(options, regions):
        return real(regions=regions)

    monkeypatch.setattr(scan_simulated, "open_simulated", sound)
    assert scan(tmp_path, "--resume", seed=14) == 0
    assert json.loads((tmp_path / "scan" / "plan.json").read_text()) == before


def test_a_folder_with_a_scan_is_not_overwritten(scanners, tmp_path: Path, capsys) -> None:
    assert scan(tmp_path) == 0
    assert scan(tmp_path) == 2
    assert "there is a scan already" in capsys.readouterr().err
    assert scan(tmp_path, "--resume") == 0  # nothing is left to do


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--region", "1,2,3"], "--region 1,2,3 must be x,y,width,height"),
        (["--region", "a,b,c,d"], "must be numbers"),
        (["--region", "0,0,1e999,1"], "must be finite"),
        (["--region", "0,0,-5,1"], "width and height must be above 0"),
        (["--region", "0,0,5,1,99"], "99 um is more than 10"),
        (["--polygon", "0,0,1"], "must be pairs"),
        (["--polygon", "0,0,1,1"], "3 to 500 corners"),
        (["--key-points", "1"], "--key-points 1 must be 4 to 1000"),
        (["--pass-share", "nan"], "--pass-share nan must be 0 to 1"),
        (["--resume"], "No such file"),
    ],
)
def test_wrong_use_is_one_line(scanners, tmp_path: Path, capsys, words, why) -> None:
    assert scan(tmp_path, *words) == 2
    error = capsys.readouterr().err
    assert why in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "why"),
    [(["--size-mm", "0.1"], "--size-mm"), (["--roughness", "9"], "--roughness"),
     (["--seed", "-1"], "--seed")],
)  # fmt: skip
def test_a_slide_that_nobody_can_make(tmp_path: Path, capsys, words, why) -> None:
    out = ["scan", "--simulate", "--out", str(tmp_path / "scan")]
    assert cli.main([*out, *words]) == 2
    assert why in capsys.readouterr().err


def test_a_config_needs_a_stage_under_the_slide(tmp_path: Path, capsys) -> None:
    from simulator.simulate_verb import NOMINAL

    words = ["scan", "--config", str(NOMINAL), "--out", str(tmp_path / "scan")]
    assert cli.main(words) == 2
    assert "xy_stage must be given" in capsys.readouterr().err


def test_a_signal_stops_scan(scanners, tmp_path: Path, monkeypatch, capsys) -> None:
    """At once, and what was recorded stays."""
    original = verb.Told.__call__

    def telling(self, record):
        original(self, record)
        if self._folder.walk.done == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(verb.Told, "__call__", telling)
    assert scan(tmp_path) == 128 + signal.SIGTERM
    assert scanners[0].rig.state.reason == "stopped by SIGTERM"
    with scan_folder.take_up(tmp_path / "scan") as folder:
        assert len(folder.records) == 3
