"""`sparsefocus calibrate`: the file, the page and the numbers that it writes, and what stops it
first."""

import json
from types import SimpleNamespace

import pytest

from edge.appliance import cli
from edge.appliance.calibrate import verb as calibrate_verb
from edge.appliance.calibrate.page import write_page
from edge.appliance.config import calibration_file
from edge.appliance.config.config_file import read_config
from edge.errors import ConfigError
from tests.support.calibrated_drive import CONFIG, bench


def test_the_verb_writes_file_page_and_numbers(made, tmp_path, monkeypatch, capsys):
    here = bench(monkeypatch, gain=1.3, play_um=1.0)
    closed = []
    rig = SimpleNamespace(
        stage=here.drive, guard=here.guard, sensor=here.sight,
        camera=SimpleNamespace(next=here.sight.next), close=lambda: closed.append(1),
    )  # fmt: skip
    monkeypatch.setattr(calibrate_verb, "build_rig", lambda config: rig)
    words = ["calibrate", "--config", str(made.path), "--quiet", "--json", str(tmp_path / "j.json"),
             "--report", str(tmp_path / "page")]  # fmt: skip
    assert cli.main(words) == 0
    output = capsys.readouterr().out
    assert "a rising z raises the objective" in output
    assert "written and signed" in output
    assert json.loads((tmp_path / "j.json").read_text())["um_per_unit"] == pytest.approx(1.3, 0.02)
    page = (tmp_path / "page" / "index.html").read_text()
    assert page.count("<svg") == 2
    assert read_config(made.path).stage.um_per_unit == pytest.approx(1.3, 0.02)
    assert closed == [1]


def test_wrong_use(made, tmp_path, capsys):
    plain = CONFIG.replace("  calibration: calibration.json\n", "  focus_direction: 1\n")
    made.path.write_text(plain)
    for words, message in (
        (["--config", str(made.path)], "stage.calibration must name the file"),
        (["--config", str(made.path), "--out", "x"], "belong to --zstacks"),
        (["--zstacks", "m.csv"], "--zstacks needs --out"),
    ):
        assert cli.main(["calibrate", *words]) == 2
        assert message in capsys.readouterr().err


def test_the_page_says_which_way(monkeypatch, tmp_path):
    page = write_page(bench(monkeypatch, gain=-1.0).run(), tmp_path).read_text()
    assert "A rising z lowers the objective" in page


# ---- where the result cannot be kept -------------------------------------------------------------


@pytest.fixture
def moving(made, tmp_path, monkeypatch):
    """`sparsefocus calibrate` on a drive of its own, with more words if need be."""
    here = bench(monkeypatch, gain=1.0, play_um=1.0)
    rig = SimpleNamespace(
        stage=here.drive, guard=here.guard, sensor=here.sight,
        camera=SimpleNamespace(next=here.sight.next), close=lambda: None, halt=lambda why: None,
    )  # fmt: skip
    monkeypatch.setattr(calibrate_verb, "build_rig", lambda config: rig)
    here.run = lambda *more: cli.main(["calibrate", "--config", str(made.path), "--quiet", *more])
    return here


def _no_folder(made):
    made.path.write_text(CONFIG.replace("calibration.json", "nowhere/calibration.json"))


def _a_folder_of_that_name(made):
    made.file.unlink()
    made.file.mkdir()


def _key_cut_short(made):
    made.key.write_bytes(made.key.read_bytes()[:7])


def _key_of_everybody(made):
    made.key.chmod(0o644)


def _key_cannot_be_made(made):
    made.key.unlink()
    made.key.parent.rmdir()
    made.key.parent.write_text("a file")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(_no_folder, "there is no folder"), (_a_folder_of_that_name, "it is a folder"),
     (_key_cut_short, "cut short: 7 bytes"), (_key_of_everybody, "mode 0644"),
     (_key_cannot_be_made, "cannot be made")],
)  # fmt: skip
def test_what_stands_in_the_way_is_said_before_anything_moves(made, moving, capsys, spoil, words):
    spoil(made)
    assert moving.run() == 2
    assert moving.drive.moves == []
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("more", ["--json {}/no/x.json", "--report {}/scanner.yaml/page"])
def test_so_is_a_page_or_record_that_cannot_be_written(made, moving, tmp_path, capsys, more):
    assert moving.run(*more.format(tmp_path).split()) == 2
    assert moving.drive.moves == []
    assert more.split()[0] in capsys.readouterr().err


def test_a_disk_that_fills_up_meanwhile_leaves_the_result_told(
    made, moving, tmp_path, monkeypatch, capsys
):
    before = made.file.read_bytes()

    def full(value, path, option="--json"):
        raise ConfigError(f"{option} {path}: cannot be written: No space left on device")

    monkeypatch.setattr(calibration_file, "write_json", full)
    assert moving.run("--json", str(tmp_path / "kept.json")) == 2
    assert moving.drive.moves
    streams = capsys.readouterr()
    assert "um of focus per commanded um" in streams.out
    assert "written and signed" not in streams.out
    assert "No space left" in streams.err
    assert json.loads((tmp_path / "kept.json").read_text())["focus_direction"] == 1
    assert made.file.read_bytes() == before
