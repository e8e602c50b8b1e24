"""A calibrated instrument: its config and its signed file."""

from types import SimpleNamespace

import pytest

from edge.appliance.calibrate.verb import result_of
from edge.appliance.config import calibration_file
from edge.appliance.config.config_file import read_config
from tests.support.calibrated_drive import CONFIG, bench


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A config and its signed file, with this machine's key in the same folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "keys"))
    path = tmp_path / "scanner.yaml"
    path.write_text(CONFIG)
    config = read_config(path, calibrating=True)
    here = bench(monkeypatch, gain=-0.7, play_um=2.0)
    result = here.run()
    calibration_file.write(tmp_path / "calibration.json", result_of(result), config)
    return SimpleNamespace(path=path, file=tmp_path / "calibration.json", found=result,
                           key=tmp_path / "keys" / "sparsefocus" / "key")  # fmt: skip
