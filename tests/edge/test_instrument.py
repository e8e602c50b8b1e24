"""A calibration belongs to one instrument; a number of um means the same to every verb."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.appliance import cli
from edge.appliance.config import calibration_file
from edge.appliance.config.calibration_file import MadeWith
from edge.appliance.config.config_file import read_config
from edge.errors import ConfigError
from edge.instrument import calibrated, camera_says, check_same, open_stage_of, stage_says
from firmware_bridge.stage import Identity
from firmware_bridge.stages.scaled import ScaledStage
from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.serving import Served
from simulator.controllers.zaber import SimulatedZaber

CONFIG = """\
camera: {{driver: recorded, period_ms: 40, options: {{folder: pictures, rate_hz: 25}}}}
stage:
  driver: zaber
  z_min_um: 100
  z_max_um: 300
  calibration: calibration.json
  options: {{port: "{port}", full_step_um: 3.2, poll_ms: 5, settle_ms: 5}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
"""
RESULT = {
    "focus_direction": 1,
    "um_per_unit": 2.0,
    "reference_um": 200.0,
    "play_um": 0.8,
    "interval_factor": 1.0,
}


class OtherZaber(SimulatedZaber):
    """Another device of the same make."""

    def _get(self, setting: str, axis: SimulatedAxis) -> tuple[str, str]:
        return ("OK", "54321") if setting == "system.serial" else super()._get(setting, axis)


@pytest.fixture
def axis() -> SimulatedAxis:
    return SimulatedAxis(start_nm=200_000, min_nm=0, max_nm=400_000)


@pytest.fixture
def written(
    axis: SimulatedAxis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., str]]:
    """A config whose calibration was made with whatever answers on its port."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "keys"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    with Served(SimulatedZaber(axis)) as served, Served(OtherZaber(axis)) as other:

        def write(port: str = "", made_with: MadeWith | None = None, **result: Any) -> str:
            path = tmp_path / "scanner.yaml"
            path.write_text(CONFIG.format(port=port or served.port))
            config = read_config(path, calibrating=True)
            if made_with is None:
                stage = open_stage_of(config.stage)
                made_with = MadeWith(stage_says(stage), {})
                stage.close()
            file = tmp_path / "calibration.json"
            calibration_file.write(file, {**RESULT, **result}, config, made_with=made_with)
            path.write_text(CONFIG.format(port=port or served.port))
            return str(path)

        write.other = other.port  # type: ignore[attr-defined]
        yield write


def test_another_microscopes_calibration_is_refused(
    written: Any, axis: SimulatedAxis, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written()
    assert read_config(Path(path)).stage.made_with["serial number"] == "12345"
    assert cli.main(["stage", "move", "210", "--config", path]) == 0
    Path(path).write_text(CONFIG.format(port=written.other))
    moves = axis.moves
    assert cli.main(["stage", "move", "205", "--config", path]) == 2
    assert "another stage: serial number '12345', here '54321'" in capsys.readouterr().err
    assert axis.moves == moves
    assert cli.main(["stage", "stop", "--config", path]) == 0  # a stop asks for no papers


def test_a_controller_set_up_otherwise_is_refused(written: Any) -> None:
    stage = read_config(Path(written())).stage
    settings = {**stage.made_with, "um per step": 0.1}
    with pytest.raises(ConfigError, match=r"another stage: um per step 0\.1, here 0\.05"):
        open_stage_of(replace(stage, made_with=settings))


def test_what_a_stage_says_of_itself() -> None:
    def says(**more: Any) -> dict[str, Any]:
        stage: Any = SimpleNamespace(identity=Identity("box", 0.1, None, **more))
        return stage_says(stage)

    assert says(serial="7", port="/dev/serial/by-id/a") == {
        "controller": "box",
        "serial number": "7",
        "um per step": 0.1,
    }
    assert says(port="/dev/serial/by-id/a")["port"] == "/dev/serial/by-id/a"
    nobody: Any = SimpleNamespace(identity=None)
    assert stage_says(nobody) == {}
    camera: Any = SimpleNamespace(identity="acA2440 40012345")
    assert camera_says(camera) == {"camera": "acA2440 40012345"}
    with pytest.raises(ConfigError, match="another camera: camera 'a', here None"):
        check_same({"camera": "a"}, {}, "camera")
    check_same({}, {"camera": "a"}, "camera")


def test_one_conversion_for_every_verb(
    written: Any, axis: SimulatedAxis, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 um of focus for a commanded um, about 200: focus 103 is the controller's 151.5."""
    path = written()
    assert cli.main(["stage", "move", "103", "--config", path]) == 0
    assert axis.position_nm() == 151_500
    assert "103.000 um" in capsys.readouterr().out
    assert cli.main(["stage", "watch", "--config", path, "--count", "1"]) == 0
    assert "103.000 um" in capsys.readouterr().out
    assert cli.main(["stage", "stop", "--config", path]) == 0
    assert "103.000 um" in capsys.readouterr().out
    assert cli.main(["stage", "move", "99", "--config", path]) == 3  # outside the window
    config = read_config(Path(path))
    stage = calibrated(open_stage_of(config.stage), config.stage)
    assert isinstance(stage, ScaledStage)
    assert not isinstance(stage.inner, ScaledStage)
    assert (stage.z_min_um, stage.z_max_um) == (100, 300)
    assert (stage.inner.z_min_um, stage.inner.z_max_um) == (150, 250)  # the driver's own um
    assert stage.status().z_um == pytest.approx(103)
    stage.close()
    low, high = axis.extremes_nm
    assert 150_000 <= low <= high <= 250_000


@pytest.mark.parametrize("scale", [2.0, 1.0])
def test_z_is_known_no_better_than_the_calibration_found(written: Any, scale: float) -> None:
    """Its reports are coarser than the driver's resolution: what calibrate saw, run is told."""
    path = written(um_per_unit=scale, off_um=0.8)
    settings = read_config(Path(path)).stage
    assert settings.off_um == 0.8
    stage = open_stage_of(settings)
    try:
        assert stage.z_at(time.monotonic_ns()).uncertainty_um == pytest.approx(0.8 * scale)
        assert stage.status().z_um == pytest.approx(200.0)
        inner = stage.inner  # type: ignore[attr-defined]
        alone = calibrated(inner, settings)
        assert alone.z_at(time.monotonic_ns()).uncertainty_um == pytest.approx(0.8 * scale)
        assert calibrated(alone, settings) is alone
        better = replace(settings, um_per_unit=1.0, off_um=inner.resolution_um)
        assert calibrated(inner, better) is inner
    finally:
        stage.close()


@pytest.mark.parametrize("off_um", [-0.1, 101.0, "0.1", None, True])
def test_a_half_width_that_is_none_is_refused(written: Any, off_um: Any) -> None:
    with pytest.raises(ConfigError, match="off_um"):
        read_config(Path(written(off_um=off_um)))


def test_a_file_of_an_older_release_does_not_tell_it(written: Any) -> None:
    assert read_config(Path(written())).stage.off_um == 0.0
