"""The second judge's z-stacks as `sparsefocus evaluate` reads them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edge.images.zstack import read_manifest, read_pixels
from training.judge import stacks
from training.judge.__main__ import main
from training.judge.stacks import Job, offsets_um, some_groups

ARGUMENTS = ["--slides", "1", "--group", "cell dense", "--group", "blank", "--shape", "240x240",
             "--seed", "2", "--exact", "0", "--range-um", "4", "--quiet"]  # fmt: skip


def test_a_folder_is_what_evaluate_reads_and_the_same_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        stacks, "OTHERS", {"green_laplacian_z_um": stacks.OTHERS["green_laplacian_z_um"]}
    )
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        assert main(["--out", str(folder), "--planes", "2", "--others", *ARGUMENTS]) == 0
    one, two = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in folders
    )
    assert one == two
    cells, blank = (
        [e for e in read_manifest(folders[0] / "manifest.csv") if e.extra["group"] == group]
        for group in ("cell dense", "blank")
    )
    assert [len(cells), len(blank)] == [2, 2]
    assert read_pixels(cells[0]).shape == (240, 240, 3)
    assert blank[0].focus_z_um is None
    assert cells[0].z_um < cells[0].focus_z_um < cells[1].z_um
    assert abs(float(cells[0].extra["absorption_z_um"]) - cells[0].focus_z_um) < 2.0
    assert abs(float(cells[0].extra["green_laplacian_z_um"]) - cells[0].focus_z_um) < 1.0
    with (folders[0] / "patches.csv").open() as file:
        patches = list(csv.DictReader(file))
    assert len(patches) == 2
    assert main(["--out", str(folders[0]), "--planes", "2", "--others", *ARGUMENTS]) == 0
    again = {path.relative_to(folders[0]): path.read_bytes() for path in folders[0].rglob("*.*")}
    assert again == one


def test_a_folder_made_otherwise_and_wrong_options_are_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path), "--at-um", "0", *ARGUMENTS]) == 0
    capsys.readouterr()
    assert main(["--out", str(tmp_path), "--at-um", "1", *ARGUMENTS]) == 2
    assert "at_um" in capsys.readouterr().err
    assert main(["--out", str(tmp_path / "b"), "--na", "1.2", *ARGUMENTS]) == 2
    assert "--na must be" in capsys.readouterr().err
    assert main(["--out", str(tmp_path / "b"), "--group", "bone", *ARGUMENTS]) == 2
    assert "group 'bone'" in capsys.readouterr().err


def test_planes_are_drawn_once_in_each_stratum() -> None:
    drawn = offsets_um(Job(planes=5, range_um=25.0), "cell dense", 3)
    assert [int((z + 25.0) // 10.0) for z in drawn] == [0, 1, 2, 3, 4]
    assert len(offsets_um(Job(planes="all"), "cell dense", 3)) == 101
    near = offsets_um(Job(planes=2, near=3), "cell dense", 3)
    assert set(offsets_um(Job(planes=2), "cell dense", 3)) < set(near)
    assert sum(abs(z) <= 3.0 for z in near) >= 3
    assert len(near) == 5
    assert offsets_um(Job(at_um=(5.0, -1.0)), "blank", 0) == [-1.0, 5.0]


def test_groups_are_named_whole_or_by_kind() -> None:
    assert some_groups(["cell"]) == ("cell dense", "cell sparse", "cell ex-sparse")
    assert len(some_groups([])) == 7


def test_a_drawn_iris_stands_in_the_manifest_and_none_leaves_the_folder_as_it_was(
    tmp_path: Path,
) -> None:
    plain, drawn = tmp_path / "plain", tmp_path / "drawn"
    assert main(["--out", str(plain), "--at-um", "0", *ARGUMENTS]) == 0
    assert main(["--out", str(drawn), "--at-um", "0", "--iris", "0.5:0.6", *ARGUMENTS]) == 0
    assert "condenser" not in read_manifest(plain / "manifest.csv")[0].extra
    assert "iris" not in (plain / "settings.json").read_text()
    assert 0.5 <= float(read_manifest(drawn / "manifest.csv")[0].extra["condenser"]) <= 0.6
    assert main(["--out", str(tmp_path / "x"), "--iris", "0.5:1.6", *ARGUMENTS]) == 2
