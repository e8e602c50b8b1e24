"""`sparsefocus init`: what it writes is taken, what it cannot know it asks, and never guesses."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from edge.appliance import cli
from edge.appliance.config import init, verb
from edge.appliance.config.config_file import read_config
from edge.appliance.config.schema import NAME, schema
from edge.appliance.config.template import scalar
from edge.appliance.config.yaml_file import read_yaml
from firmware_bridge.stage import STAGES
from firmware_bridge.stage_options import STAGE_OPTIONS

WINDOW = ("--window", "100.125", "300")
STAGE_KNOWS = {
    "axis": "Z", "resolution_um": "0.05", "full_step_um": "5", "speed_um_s": "1000",
    "config": "a.cfg", "adapters": "/opt/mm", "device": "Z drive",
}  # fmt: skip
CAMERA_KNOWS = {"aravis": {"device": "192.168.1.20"},
                "gstreamer": {"source": "test", "width": "2448", "height": "2048"}}  # fmt: skip


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening the networks is no part of this."""
    monkeypatch.setattr(verb, "sensor_of", lambda _: (None, ()))


def stage_words(driver: str) -> list[str]:
    known = {**STAGE_KNOWS, **({"axis": "1"} if driver == "zaber" else {})}
    needed = [key for key, option in STAGE_OPTIONS[driver].items() if option.needed]
    options = [f"{key}={known[key]}" for key in needed if key in known]
    return ["--stage", driver, *(word for each in options for word in ("--stage-option", each))]


@pytest.mark.parametrize("driver", STAGES)
def test_what_it_writes_is_taken_for_every_stage(
    tmp_path: Path, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scanner.yaml"
    words = ["init", str(path), "--yes", *WINDOW, *stage_words(driver)]
    assert cli.main(words) == 0
    assert cli.main(["check-config", "--calibrating", str(path)]) == 0
    assert cli.main(["check-config", str(path)]) == 2  # nobody has vouched for the sign
    assert cli.main([*words, "--force", "--direction", "-1"]) == 0
    assert cli.main(["check-config", str(path)]) == 0
    stage = read_config(path).stage
    assert (stage.z_min_um, stage.focus_direction, stage.calibration) == (100.125, -1, "by-hand")


@pytest.mark.parametrize("driver", sorted(init.CAMERA_USUAL))
def test_and_for_every_camera(tmp_path: Path, driver: str) -> None:
    path = tmp_path / "scanner.yaml"
    options = CAMERA_KNOWS.get(driver, {})
    more = [word for pair in options.items() for word in ("--camera-option", "=".join(pair))]
    words = ["init", str(path), "--yes", *WINDOW, "--camera", driver, *more, "--direction", "1"]
    assert cli.main(words) == 0
    assert cli.main(["check-config", str(path)]) == 0
    assert json.loads((tmp_path / NAME).read_text()) == json.loads(json.dumps(schema()))


def test_a_window_is_never_guessed_and_nothing_is_written_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scanner.yaml"
    assert cli.main(["init", str(path), "--yes", "--stage", "asi"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert all(line.startswith("sparsefocus: init: stage.") for line in lines)
    assert [line.split(" ")[2] for line in lines] == [
        "stage.z_min_um", "stage.z_max_um", "stage.options.axis", "stage.options.resolution_um",
    ]  # fmt: skip
    assert list(tmp_path.iterdir()) == []


def test_a_config_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "scanner.yaml"
    path.write_text("mine")
    assert cli.main(["init", str(path), "--yes", *WINDOW]) == 2
    assert path.read_text() == "mine"


def test_it_asks_what_it_was_not_told(tmp_path: Path) -> None:
    answers = {
        "camera driver": "", "camera.options.link": "", "camera.options.exposure_ms": "2.5",
        "camera.options.pixel_format": "Mono8", "stage driver": "asi",
        "stage.options.port": "/dev/x", "stage.options.axis": "Z",
        "stage.options.resolution_um": "0.1", "lowest z": "10", "highest z": "90",
        "objective.na": "", "objective.magnification": "", "objective.um_per_px": "",
    }  # fmt: skip
    asked: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return next(answer for start, answer in answers.items() if question.startswith(start))

    path = tmp_path / "scanner.yaml"
    nothing: dict[str, Any] = dict.fromkeys(
        ("camera", "stage", "window", "direction", "period_ms", "na", "magnification", "um_per_px")
    )
    options = Namespace(
        file=path, yes=False, force=False, camera_option=[], stage_option=[], **nothing
    )
    assert init.run(options, ask) == 0
    config = read_config(path, calibrating=True)
    assert config.camera.options == {"link": "usb", "exposure_ms": 2.5, "pixel_format": "Mono8"}
    assert (config.stage.driver, config.stage.z_max_um) == ("asi", 90)
    assert config.stage.options == {"port": "/dev/x", "axis": "Z", "resolution_um": 0.1}
    assert len(asked) == len(answers)


@pytest.mark.parametrize(
    "value", [0.1, 1e-7, 123456.789, 3, True, "yes", "true", "a: b", 'q"\\', "usb", "1"]
)
def test_every_value_is_read_back_as_it_was(tmp_path: Path, value: Any) -> None:
    path = tmp_path / "scanner.yaml"
    assert cli.main(["init", str(path), "--yes", *WINDOW, "--camera", "recorded"]) == 0
    line = "folder: pictures"
    assert line in path.read_text()
    path.write_text(path.read_text().replace(line, f"{line}\n    y: {scalar(value)}"))
    camera = read_yaml(path).section("camera")
    assert camera is not None
    assert camera.options("options")["y"] == value


def test_bytes_that_are_no_text_are_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, device = tmp_path / "scanner.yaml", os.fsdecode(b"device=/dev/video\xff")
    words = ["init", str(path), "--yes", "--window", "100", "300", "--direction", "1"]
    assert cli.main([*words, "--camera", "v4l2", "--camera-option", device]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "device: " in line
    assert line.endswith("is not UTF-8, which a config is")
    assert not path.exists()
