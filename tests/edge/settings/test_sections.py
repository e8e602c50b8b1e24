"""Every section of a config is a dataclass whose defaults can stand for a section left out."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from edge.settings import (
    CameraSettings,
    Config,
    ControlSettings,
    RealtimeSettings,
    RecordSettings,
    StageSettings,
)
from edge.settings.config_key import Key
from firmware_bridge.plug_ins import GIVEN


def keys(section: type) -> dict[str, Key]:
    return {each.name: each.metadata["key"] for each in fields(section) if "key" in each.metadata}


@pytest.mark.parametrize("section", [RealtimeSettings, RecordSettings])
def test_a_section_that_is_left_out_is_made_of_its_defaults(section: type) -> None:
    assert all(each.default is not MISSING for each in fields(section))
    assert section() == section()


def test_what_is_asked_for_by_being_there_has_no_default() -> None:
    optional = {each.name for each in fields(Config) if each.default is None}
    assert {"scan", "control", "xy_stage"} <= optional
    control = ControlSettings(Path("s"))
    assert (control.uids, control.mode) == ((), "0660")
    assert "0666" not in keys(ControlSettings)["mode"].choices


@pytest.mark.parametrize("section", [CameraSettings, StageSettings])
def test_a_driver_may_be_the_programs_or_another_packages(section: type) -> None:
    driver = keys(section)["driver"]
    assert driver.choices[-1] == GIVEN
    assert not set(driver.more()) & set(driver.choices)
