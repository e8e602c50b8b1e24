"""The reference of keys is made from the code that reads them, and the example is a config."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.appliance.config.config_file import read_config
from edge.appliance.config.reference import SECTIONS, keys, reference
from edge.appliance.config.strict_yaml import Section
from edge.errors import ConfigError

ROOT = Path(__file__).parents[4]

XY = "xy_stage: {driver: asi, x_min_um: 0, x_max_um: 1, y_min_um: 0, y_max_um: 1, travel_z_um: 0}\n"


def test_the_document_is_what_the_code_says():
    written = (ROOT / "docs/config_reference.md").read_text("utf-8")
    assert written == reference(), (
        "run: python -m edge.appliance.config.reference >docs/config_reference.md"
    )


def test_every_key_that_is_read_is_listed_and_every_listed_one_is_read(monkeypatch, tmp_path):
    read: dict[str, list[str]] = {}
    done = Section.done

    def watched(self):
        read[self.name] = list(self._known)
        done(self)

    monkeypatch.setattr(Section, "done", watched)
    text = (ROOT / "examples/scanner.yaml").read_text("utf-8")
    path = tmp_path / "scanner.yaml"
    more = "\nscan: {scan_speed_um_s: 1000, max_step_um: 1}\ncontrol: {socket: s}\n"
    path.write_text(text + more + XY)
    read_config(path)
    for name, (_, settings) in SECTIONS.items():
        assert set(read[name]) == {key for key, _, _ in keys(settings)}, name
    assert set(read[""]) == set(SECTIONS)


def test_the_example_is_a_config():
    config = read_config(ROOT / "examples/scanner.yaml")
    assert config.stage.calibration == "by-hand"


@pytest.mark.parametrize("settings", [settings for _, settings in SECTIONS.values()])
def test_defaults_keep_their_own_bounds(settings):
    for name, how, default in keys(settings):
        if isinstance(default, (int, float)) and how.kind in ("number", "integer"):
            assert how.low <= default <= how.high, name


def test_a_bound_is_what_the_reference_says(tmp_path):
    text = (
        (ROOT / "examples/scanner.yaml")
        .read_text("utf-8")
        .replace("settle_ms: 5 ", "settle_ms: 1001 ")
    )
    path = tmp_path / "scanner.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"stage\.settle_ms = 1001 must be a number 0 to 1000"):
        read_config(path)
