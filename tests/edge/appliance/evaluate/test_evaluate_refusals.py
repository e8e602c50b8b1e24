"""Wrong use, manifests and rows that do not do: one line and exit 2."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.evaluate import verb as evaluate_verb
from edge.appliance.evaluate.rows_file import COLUMNS, read_rows
from edge.errors import ConfigError
from tests.support.known_stacks import HEAD, manifest, picture, write


@pytest.mark.parametrize(
    ("more", "hints"),
    [
        (["--limit", "0"], ["--limit 0", "at least 1"]),
        (["--dof-um", "nan"], ["--dof-um nan", "above 0"]),
        (["--dof-um", "-1"], ["--dof-um"]),
        (["--split", "nowhere"], ["nowhere"]),
        (["--json", "/nowhere/e.json"], ["/nowhere"]),
        (["--rows", "/nowhere/e.csv"], ["/nowhere/e.csv"]),
        (["--models", "/nowhere"], ["/nowhere"]),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(stacks, models, capsys, more, hints):
    assert cli.main(["evaluate", str(stacks), "--models", str(models), "--quiet", *more]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    for hint in hints:
        assert hint in err


@pytest.mark.parametrize(
    ("cells", "head", "hints"),
    [
        (("small.png", "", "s", 1.0, "2.0", "0.34"), HEAD[:6], ["small.png", "a side of 200 px"]),
        (("good.png", "", "s", 1.0, "2.0", "0.1"), HEAD[:6], ["um_per_px = 0.1", "0.147 to 0.513"]),
        (("gone.png", "", "s", 1.0, "2.0", ""), HEAD[:6], ["gone.png"]),
    ],
)
def test_bad_frames_are_one_line_and_exit_2(models, tmp_path, capsys, cells, head, hints):
    write(tmp_path / "good.png", picture(1.0))
    write(tmp_path / "small.png", np.zeros((200, 640, 3), np.uint8))
    path = manifest(tmp_path, [("good.png", "", "first", 0.0, "2.0", ""), cells], head)
    rows = tmp_path / "e.csv"
    words = ["--models", str(models), "--quiet", "--rows", str(rows)]
    assert cli.main(["evaluate", str(path), *words]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    for hint in hints:
        assert hint in err
    assert not rows.exists()  # a file under its own name is complete
    if "small.png" in hints:
        assert len(Path(f"{rows}.part").read_text().splitlines()) == 2  # what was measured stays


def test_split_needs_its_column(models, tmp_path, capsys):
    write(tmp_path / "a.png", picture(1.0))
    path = manifest(tmp_path, [("a.png", "", "s", 0.0, "1.0", "")], HEAD[:6])
    assert cli.main(["evaluate", str(path), "--models", str(models), "--split", "test"]) == 2
    assert "column `split`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("column", "text"),
    [("found_um", "nan"), ("found_um", "1,5"), ("k", "x"), ("shift_alarm", "maybe"),
     ("optics", "[1"), ("z_um", "1e999")],
)  # fmt: skip
def test_a_damaged_csv_is_refused_with_line_and_column(measured, tmp_path, column, text):
    with measured["rows"].open(newline="") as file:
        rows = list(csv.reader(file))
    rows[2][COLUMNS.index(column)] = text
    path = tmp_path / "bad.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(ConfigError, match=rf"bad.csv:3: {column}"):
        read_rows(path)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([[name for name in COLUMNS if name != column]])
    with pytest.raises(ConfigError, match=rf"{column} is missing"):
        read_rows(path)


def test_workers_need_the_library(stacks, models, monkeypatch, capsys):
    monkeypatch.setattr(evaluate_verb, "CLUSTER", "training.nowhere")
    words = ["evaluate", str(stacks), "--models", str(models), "--workers", "2", "--quiet"]
    assert cli.main(words) == 2
    assert "needs the extra `train`" in capsys.readouterr().err
