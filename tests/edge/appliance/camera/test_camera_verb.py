"""`sparsefocus camera`, on pylon's emulated camera and without any."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from edge.appliance import cli

os.environ.setdefault("PYLON_CAMEMU", "1")

CONFIG = """\
camera:
  driver: pylon
  period_ms: 20
  options:
    link: emulated
    exposure_ms: {exposure}
    pixel_format: BayerRG8
    width: 640
    height: 480
    rate_hz: 50
    {more}
stage:
  {{driver: binary, z_min_um: 0, z_max_um: 100, focus_direction: 1, options: {{port: none}}}}
objective: {{na: 0.75, magnification: 20, um_per_px: 0.34}}
"""


def write(tmp_path: Path, exposure: object = 4, more: str = "") -> str:
    path = tmp_path / "scanner.yaml"
    path.write_text(CONFIG.format(exposure=exposure, more=more))
    return str(path)


def test_check_tells_what_comes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["camera", "check", "--config", write(tmp_path), "--frames", "20", "--json", "-"]
    assert cli.main(words) == 0
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (document["width_px"], document["height_px"], document["pixel_format"]) == (
        640,
        480,
        "BayerRG8",
    )
    assert (document["frames"], document["exposure_ms"], document["incomplete"]) == (20, 4.0, 0)
    # the emulator stamps nothing: half of readout_ms
    assert document["time_uncertainty_ms"] == 10.0
    assert 10 < document["period_ms"] < 40
    assert document["age_ms"]["p50"] <= document["age_ms"]["p99"] <= document["age_ms"]["p100"]


def test_check_of_what_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write(tmp_path, more='serial: "77"')
    assert cli.main(["camera", "check", "--config", config]) == 4
    assert "no camera 77 on emulated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("exposure", "more", "line", "says"),
    [
        (0, "", 6, "camera.options.exposure_ms = 0 must be a number 0.001 to 10000 (ms)"),
        (21, "", 6, "camera.options.exposure_ms = 21 must fit into the 20 ms between frames"),
        (4, "colour: 3", 11, "camera.options.colour is not an option of this driver"),
        (4, "trigger: hardware", 5, "camera.options.trigger_line must be given with trigger:"),
    ],
)
def test_wrong_options_are_named_with_their_line(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    exposure: object,
    more: str,
    line: int,
    says: str,
) -> None:
    path = write(tmp_path, exposure, more)
    assert cli.main(["check-config", path]) == 2
    assert f"{path}:{line}: {says}" in capsys.readouterr().err


def test_find_does_not_ask_the_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import edge.appliance.camera.verb as verb

    asked: list[bytes] = []

    class Library:
        def __getattr__(self, name: str) -> Any:
            return lambda *values: asked.append(name.encode() + b" " + b"".join(values)) or 0

    monkeypatch.setattr(verb, "aravis", Library)
    assert cli.main(["camera", "find", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {"v4l2", "pylon", "aravis", "gstreamer"}
    assert isinstance(document["pylon"], list)
    off, look, on = (
        asked.index(name)
        for name in (
            b"disable_interface GigEVision",
            b"update_device_list ",
            b"enable_interface GigEVision",
        )
    )
    assert off < look < on  # on again for whoever opens a camera in this process


def test_find_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pypylon.pylon", None)
    assert cli.main(["camera", "find"]) == 0
    assert "pylon: not usable: camera.driver = pylon needs pypylon: pip install" in (
        capsys.readouterr().out
    )
