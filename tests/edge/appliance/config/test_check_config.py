"""`check-config` tells every mistake at once, and refuses what `run` would refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge.appliance import cli
from edge.appliance.config.config_file import read_config
from edge.cameras.options import Options
from edge.errors import ConfigFaults, OptionError
from engines.engine import MODELS

GOOD = """\
camera:
  driver: recorded
  period_ms: 50
  options: {folder: slides}
stage:
  driver: asi
  z_min_um: 0
  z_max_um: 200
  focus_direction: 1
  calibration: by-hand
  options: {port: /dev/ttyNOT, axis: Z, resolution_um: 0.05}
objective: {na: 0.75, magnification: 20, um_per_px: 0.34}
"""


def mistakes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, *more: str
) -> list[str]:
    """The lines of the mistakes; none for a config that is taken."""
    path = tmp_path / "scanner.yaml"
    path.write_text(text)
    status = cli.main(["check-config", str(path), *more])
    lines = capsys.readouterr().err.splitlines()
    assert status == (2 if lines else 0)
    assert all(line.startswith(f"sparsefocus: {path}") for line in lines), lines
    return [line.removeprefix(f"sparsefocus: {path}") for line in lines]


def test_a_good_one_is_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mistakes(tmp_path, capsys, GOOD) == []


def test_every_mistake_of_every_section_in_the_order_of_its_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (
        GOOD.replace("period_ms: 50", "period_ms: 0\n  period_ms: 3\n  gain: 2")
        .replace("z_max_um: 200", "z_max_um: -1")
        .replace("axis: Z, resolution_um: 0.05", "axis: zz, axs: 3")
        .replace("na: 0.75", "na: 2")
        + "loop: 3\nmdels: {}\n"
    )
    lines = mistakes(tmp_path, capsys, text)
    assert [line.split(" ")[1] for line in lines] == [
        "camera.period_ms", "camera.period_ms", "camera.gain", "stage.z_max_um",
        "stage.options.axis", "stage.options.axs", "stage.options.resolution_um",
        "objective.na", "loop", "mdels",
    ]  # fmt: skip
    numbers = [int(line.split(":")[1]) for line in lines]
    assert numbers == sorted(numbers)


def test_an_empty_file_of_sections_names_all_that_must_be_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = mistakes(tmp_path, capsys, "camera: {}\nstage: {}\nobjective: {}\n")
    keys = [line.split(" ")[1] for line in lines]
    assert keys == [
        "camera.driver", "camera.period_ms", "stage.driver", "stage.z_min_um",
        "stage.focus_direction", "stage.z_max_um", "objective.na", "objective.magnification",
        "objective.um_per_px",
    ]  # fmt: skip


def test_a_mistake_makes_no_other_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What depends on a wrong value is not judged by a value that nobody gave."""
    for old, new in (
        ("z_min_um: 0", "z_min_um: x"),
        ("driver: asi", "driver: asj"),
        ("driver: recorded", "driver: none"),
        ("axis: Z", "axis: [{a: yes}]"),
    ):
        assert len(mistakes(tmp_path, capsys, GOOD.replace(old, new))) == 1, new
    loop = GOOD + "loop: {k_dense: 99, k_sparse: 31, k_ex_sparse: 31}\n"
    assert len(mistakes(tmp_path, capsys, loop)) == 1


def test_any_other_verb_tells_the_first_and_where_the_others_are(tmp_path: Path) -> None:
    path = tmp_path / "scanner.yaml"
    path.write_text(GOOD.replace("na: 0.75, magnification: 20, ", ""))
    with pytest.raises(ConfigFaults) as caught:
        read_config(path)
    assert len(caught.value.lines) == 2
    assert str(caught.value) == f"{caught.value.lines[0]} (and 1 more: sparsefocus check-config)"


def test_what_run_refuses_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    without = GOOD.replace("  calibration: by-hand\n", "")
    (line,) = mistakes(tmp_path, capsys, without)
    assert "stage.calibration must name the file of `sparsefocus calibrate`" in line
    assert mistakes(tmp_path, capsys, without, "--calibrating") == []
    missing = GOOD.replace("by-hand", "drive.json")
    assert cli.main(["check-config", str(tmp_path / "scanner.yaml")]) == 2
    capsys.readouterr()
    (tmp_path / "scanner.yaml").write_text(missing)
    assert cli.main(["check-config", str(tmp_path / "scanner.yaml")]) == 2
    assert "drive.json: the calibration cannot be read" in capsys.readouterr().err
    assert mistakes(tmp_path, capsys, missing, "--calibrating") == []


def test_the_models_are_judged_as_run_does_and_beside_the_calibration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    far = GOOD.replace("calibration: by-hand", "max_step_um: 900")
    path = tmp_path / "scanner.yaml"
    path.write_text(far)
    assert cli.main(["check-config", str(path)]) == 2
    calibration, step = capsys.readouterr().err.splitlines()
    assert "stage.calibration" in calibration
    assert "stage.max_step_um = 900 must be at most" in step
    bare = tmp_path / "dpn.json"
    document = json.loads((MODELS / "dpn.json").read_text())
    document["calibration"].pop("envelope")
    bare.write_text(json.dumps(document))
    (tmp_path / "dpn.onnx").write_bytes((MODELS / "dpn.onnx").read_bytes())
    path.write_text(GOOD + "models: {dpn: dpn.json, backend: cpu}\n")
    assert cli.main(["check-config", str(path)]) == 2
    assert "calibration.envelope is missing" in capsys.readouterr().err


def test_all_wrong_options_of_a_camera_are_told_and_no_consequence() -> None:
    options = Options({"a": 5, "c": "x", "more": 1})
    assert options.number("a", 0, 1, "s") == 0
    assert options.truth("b") is False
    assert options.choice("c", ("one", "two"), default="two") == "two"
    options.reject("a", "does not go with c")  # of stand-ins: nobody's mistake
    with pytest.raises(OptionError) as caught:
        options.done()
    assert [caught.value.key, *(each.key for each in caught.value.others)] == [
        "a",
        "b",
        "c",
        "more",
    ]
