"""`sparsefocus doctor`: what is missing is named, with what helps, and the status says so."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge.appliance import cli
from edge.appliance.selftest import inventory, libraries
from engines.engine import MODELS
from engines.errors import GpuUnusable
from engines.gpu.device import Gpu


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with nothing attached, and a home of its own."""
    for name in ("XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setattr(inventory.list_ports, "comports", list)


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status = cli.main(["doctor", "--json", "-", *words])
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is (status == 0)
    assert all(each["do"] for each in document["findings"] if each["state"] == "missing")
    return status, {each["what"]: each for each in document["findings"]}


def test_a_machine_that_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    status, report = asked(capsys)
    assert status == 0
    sha = json.loads((MODELS / "rin.json").read_text())["sha256"]
    assert report["model rin"]["detail"].startswith(sha[:12])
    assert "CPUExecutionProvider" in report["providers of the CPU path"]["detail"]
    assert report["key of this machine"]["state"] == "note"
    assert {"Python", "numpy", "OpenCV", "monotonic clock", "disk", "user"} <= set(report)


def test_an_opencv_that_does_not_load_is_told_and_nothing_behind_it_is_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "OpenCV is here and cannot be loaded: numpy.core.multiarray; numpy is 2.2.6, ..."
    monkeypatch.setattr(libraries, "trouble", lambda: line)
    monkeypatch.setattr(inventory, "speed", None)
    status, report = asked(capsys)
    assert status == 2
    assert report["OpenCV"]["detail"] == line
    assert "model rin" not in report


def test_a_port_that_this_user_may_not_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = SimpleNamespace(device="/dev/ttyNOT")
    monkeypatch.setattr(inventory.list_ports, "comports", lambda: [port])
    assert cli.main(["doctor", "--quiet"]) == 2
    assert capsys.readouterr().out == (
        "MISSING serial port /dev/ttyNOT: this user may not use it\n"
        "          -> sudo usermod -aG dialout USER, then log in again\n"
    )


def test_a_key_that_others_can_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = tmp_path / "XDG_CONFIG_HOME" / "sparsefocus" / "key"
    key.parent.mkdir(parents=True)
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    status, report = asked(capsys)
    assert status == 2
    assert "mode 0644" in report["key of this machine"]["detail"]


def test_what_an_instrument_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its config, with each mistake, and its own models: one byte is another network."""
    for name in ("rin.json", "rin.onnx", "dpn.json", "dpn.onnx"):
        (tmp_path / name).write_bytes((MODELS / name).read_bytes())
    changed = bytearray((MODELS / "dpn.onnx").read_bytes())
    changed[5000] ^= 1
    (tmp_path / "dpn.onnx").write_bytes(changed)
    path = tmp_path / "scanner.yaml"
    path.write_text(
        "camera: {driver: recorded, period_ms: 50, options: {folder: a}}\n"
        "stage: {driver: binary, z_min_um: 0, z_max_um: 9, focus_direction: 1, "
        "options: {port: /dev/x}}\n"
        "objective: {na: 0.75, magnification: 20, um_per_px: 0.34}\n"
        "models: {rin: rin.json, dpn: dpn.json, backend: cpu}\n"
    )
    status = cli.main(["doctor", "--config", str(path), "--json", "-"])
    findings = json.loads(capsys.readouterr().out)["findings"]
    missing = [(each["what"], each["detail"]) for each in findings if each["state"] == "missing"]
    assert status == 2
    assert [what for what, _ in missing] == ["model dpn.json", "config", "config"]
    assert "SHA-256" in missing[0][1]
    assert "stage.calibration must name" in missing[1][1]


def test_a_gpu_without_plans_is_told_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inventory, "find_gpu", lambda: Gpu("Orin", (8, 7), 1 << 33))
    monkeypatch.setattr(inventory, "PLANS", tmp_path)
    report = {each.what: each for each in inventory.gpu()}
    assert report["GPU"].detail == "Orin, sm_87"
    assert report["plans"].do == "run `sparsefocus build-engines`"

    def none() -> Gpu:
        raise GpuUnusable("no NVIDIA driver (libcuda.so.1): build on the device itself")

    monkeypatch.setattr(inventory, "find_gpu", none)
    (only,) = inventory.gpu()
    assert (only.state, only.detail) == ("note", "no NVIDIA driver (libcuda.so.1), the CPU is used")


def test_a_clock_that_was_never_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inventory.time, "gmtime", lambda: SimpleNamespace(tm_year=1970))
    assert [each.state for each in inventory.clock()] == ["ok", "note"]


def test_the_version_names_the_networks(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    output = capsys.readouterr().out
    for name in ("rin", "dpn"):
        sha = hashlib.sha256((MODELS / f"{name}.onnx").read_bytes()).hexdigest()
        assert f"{name} {sha[:12]}" in output
