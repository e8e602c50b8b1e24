"""Mistakes under the options of a stage or camera: `check-config` says file, line, key and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.appliance import cli
from edge.camera import CAMERAS
from firmware_bridge.stage import STAGES
from firmware_bridge.stage_options import STAGE_OPTIONS

GOOD = {
    "port": "/dev/ttyNOT", "axis": "Z", "resolution_um": "0.05", "full_step_um": "5",
    "speed_um_s": "1000", "config": "a.cfg", "adapters": "/opt/mm", "device": "Z drive",
}  # fmt: skip
CONFIG = """\
camera:
  driver: recorded
  period_ms: 1000
  options:
    folder: pictures
stage:
  driver: {driver}
  z_min_um: 100
  z_max_um: 300
  focus_direction: 1
  calibration: by-hand
  options:
{options}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
"""
FIRST = 13  # the line of the first option


def options_of(driver: str) -> dict[str, str]:
    given = {k: GOOD[k] for k, option in STAGE_OPTIONS[driver].items() if option.needed}
    return {**given, **({"axis": "1"} if driver == "zaber" else {})}


def checked(tmp_path: Path, driver: str, options: dict[str, str]) -> tuple[int, Path]:
    path = tmp_path / "s.yaml"
    lines = "\n".join(f"    {key}: {value}" for key, value in options.items())
    path.write_text(CONFIG.format(driver=driver, options=lines))
    return cli.main(["check-config", str(path)]), path


@pytest.mark.parametrize("driver", STAGES)
def test_what_a_driver_needs_is_enough(tmp_path: Path, driver: str) -> None:
    assert checked(tmp_path, driver, options_of(driver))[0] == 0


@pytest.mark.parametrize("driver", STAGES)
@pytest.mark.parametrize(
    ("key", "value", "why"),
    [("axs", "Z", "is not an option of this driver, which has"),
     ("port", "3", "= 3 must be the name of a serial port"),
     ("baudrate", "fast", "= 'fast' must be a whole number"),
     ("settle_ms", "'abc'", "= 'abc' must be a"),
     ("assumed_tolerance_um", "-1", "= -1 must be a number 0 to"),
     ("z_min_um", "0", "belongs into the section itself")],
)  # fmt: skip
def test_a_mistake_has_file_line_key_and_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], driver: str, key: str, value: str, why: str
) -> None:
    known = key in STAGE_OPTIONS[driver] or key in ("axs", "z_min_um")
    why = why if known else "is not an option of this driver"
    options = {k: v for k, v in options_of(driver).items() if k != key}
    status, path = checked(tmp_path, driver, {**options, key: value})
    error = capsys.readouterr().err
    assert status == 2
    assert f"{path}:{FIRST + len(options)}: stage.options.{key} {why}" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("driver", STAGES)
def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], driver: str
) -> None:
    for key in (k for k, option in STAGE_OPTIONS[driver].items() if option.needed):
        rest = {k: v for k, v in options_of(driver).items() if k != key}
        status, path = checked(tmp_path, driver, {**rest, "settle_ms": "30"})
        assert status == 2
        error = capsys.readouterr().err
        assert error.startswith(f"sparsefocus: {path}:")
        assert f"stage.options.{key} must be given" in error


@pytest.mark.parametrize("driver", CAMERAS)
def test_a_misspelt_option_of_any_camera_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], driver: str
) -> None:
    path = tmp_path / "s.yaml"
    stage = "\n".join(f"    {key}: {value}" for key, value in options_of("asi").items())
    text = CONFIG.format(driver="asi", options=stage).replace(
        "driver: recorded", f"driver: {driver}"
    )
    for bad in ("foldr: pictures", "exposure_ms: '4'", "folder: 3", "files: [1]"):
        path.write_text(text.replace("    folder: pictures", f"    {bad}"))
        assert cli.main(["check-config", str(path)]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert all(line.startswith(f"sparsefocus: {path}:") for line in lines), lines
        assert any(f": camera.options.{bad.split(':')[0]} " in line for line in lines) or (
            driver == "recorded"  # as many sources as one
        )
