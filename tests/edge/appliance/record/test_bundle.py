"""What support gets: enough to help, and nothing that is the owner's alone."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from edge.appliance import cli
from edge.appliance.record import bundle
from edge.appliance.record.bundle import hidden
from engines.engine import MODELS
from engines.manifest import Manifest
from tests.support.reference_records import FOLDER

ROOT = Path(__file__).parents[4]
SECRETS = """
camera:
  options:
    location: rtsp://me:hunter2@camera/1   # ours
    password: hunter2
    api-key: "hunter2"
    more: {token: hunter2, rate_hz: 30}
"""


def test_secrets_are_taken_out_and_nothing_else() -> None:
    text = hidden(SECRETS)
    assert "hunter2" not in text
    assert "rtsp://***@camera/1   # ours" in text
    assert "more: {token: ***, rate_hz: 30}" in text
    example = (ROOT / "examples/scanner.yaml").read_text("utf-8")
    assert hidden(example) == example


def test_the_archive_has_what_support_asks_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundle, "_doctor", lambda config: '{"ok": true}\n')
    config, out = tmp_path / "scanner.yaml", tmp_path / "r.tar.gz"
    config.write_text((ROOT / "examples/scanner.yaml").read_text("utf-8") + SECRETS)
    words = ["report-bundle", str(out), "--config", str(config), "--record", str(FOLDER)]
    assert cli.main(words) == 0
    assert "Look through it" in capsys.readouterr().out
    with tarfile.open(out) as archive:
        files = {
            entry.name.partition("/")[2]: archive.extractfile(entry).read()  # type: ignore[union-attr]
            for entry in archive
        }
    assert not any(b"hunter2" in data for data in files.values())
    assert json.loads(files["models.json"])["dpn"]["sha256"] == (
        Manifest.read(MODELS / "dpn.json").sha256
    )
    assert {"versions.json", "health.json", "doctor.json", "config.yaml"} <= set(files)
    records = {name for name in files if name.startswith("records/")}
    assert records == {f"records/{path.name}" for path in FOLDER.glob("*.mcap")}


def test_the_newest_records_go_first_and_only_as_many_as_fit(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.mcap").write_bytes(bytes(1000))
    assert [path.name for path in bundle._last(tmp_path, 2500)] == ["2.mcap", "3.mcap"]
    assert list(bundle._last(tmp_path, 0)) == []
    assert list(bundle._last(tmp_path / "none", 10)) == []


def test_doctor_says_what_it_finds_or_why_it_cannot(monkeypatch: pytest.MonkeyPatch) -> None:
    assert json.loads(bundle._doctor(None))["findings"]
    monkeypatch.setattr(bundle.sys, "executable", "/nonexistent/python")
    assert "No such file" in json.loads(bundle._doctor(None))["error"]


def test_an_archive_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["report-bundle", str(tmp_path / "none" / "r.tar.gz")]) == 2
    assert cli.main(["report-bundle", str(tmp_path / "r"), "--mib", "-1"]) == 2
    assert cli.main(["report-bundle", str(tmp_path / "r"), "--config", "/none.yaml"]) == 2
    assert capsys.readouterr().err.count("\n") == 3
    assert list(tmp_path.iterdir()) == []
