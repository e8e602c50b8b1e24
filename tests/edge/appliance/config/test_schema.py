"""The schema for editors is made from the reader, and says what the reader says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edge.appliance.config.config_file import read_config
from edge.appliance.config.schema import NAME, schema
from edge.appliance.files import json_text
from edge.errors import ConfigError

ROOT = Path(__file__).parents[4]
EXAMPLE = (ROOT / "examples/scanner.yaml").read_text("utf-8")


def test_the_file_is_what_the_code_says() -> None:
    written = (ROOT / "docs" / NAME).read_text("utf-8")
    command = f"python -m edge.appliance.config.schema >docs/{NAME}"
    assert written == json_text(schema()), f"run: {command}"


def fits(value: Any, rule: dict[str, Any]) -> bool:
    """As much of JSON Schema as ours uses."""
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int}
    if (kind := rule.get("type")) == "number":
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
    elif kind and (not isinstance(value, kinds[kind]) or (kind == "integer" and value is True)):
        return False
    if "enum" in rule and value not in rule["enum"]:
        return False
    if "const" in rule and value != rule["const"]:
        return False
    if isinstance(value, (int, float)) and not (
        rule.get("minimum", value) <= value <= rule.get("maximum", value)
        and value > rule.get("exclusiveMinimum", value - 1)
    ):
        return False
    if isinstance(value, list) and not all(fits(each, rule.get("items", {})) for each in value):
        return False
    if isinstance(value, dict):
        known = rule.get("properties", {})
        if not set(rule.get("required", ())) <= set(value):
            return False
        if rule.get("additionalProperties") is False and not set(value) <= set(known):
            return False
        if not all(fits(value[name], how) for name, how in known.items() if name in value):
            return False
    if "anyOf" in rule and not any(fits(value, one) for one in rule["anyOf"]):
        return False
    for one in rule.get("allOf", ()):
        if fits(value, one["if"]) and not fits(value, one["then"]):
            return False
    return True


def test_the_example_fits() -> None:
    assert fits(yaml.safe_load(EXAMPLE), schema())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("driver: pylon ", "driver: pilon "),
        ("link: usb", "lnk: usb"),
        ("    link: usb\n", ""),
        ("period_ms: 28.6", "period_ms: 0"),
        ("z_min_um: 100", "z_min_um: low"),
        ("  z_min_um: 100\n", ""),
        ("settle_ms: 5 ", "settle_ms: 1001 "),
        ("port: /dev/ttyACM0", "baudrate: 115200"),
        ("port: /dev/ttyACM0", "port: /dev/ttyACM0\n    baudrate: 1"),
        ("port: /dev/ttyACM0", "port: /dev/ttyACM0\n    axis: Z"),
        ("max_shots: 4", "max_shots: 4.5"),
        ("lock_memory: false", "lock_memory: 0"),
        ("  na: 0.75", "  na: 3"),
        ("objective:", "objectiv:"),
    ],
)
def test_what_the_reader_refuses_does_not_fit(tmp_path: Path, old: str, new: str) -> None:
    assert old in EXAMPLE
    text = EXAMPLE.replace(old, new)
    path = tmp_path / "scanner.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError):
        read_config(path)
    assert not fits(yaml.safe_load(text), schema())


def test_a_calibration_stands_for_the_direction() -> None:
    text = EXAMPLE.replace("  focus_direction: 1\n", "")
    assert fits(yaml.safe_load(text), schema())
    assert not fits(yaml.safe_load(text.replace("  calibration: by-hand\n", "")), schema())
