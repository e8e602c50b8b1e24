"""`python -m training.calibrate`: from the rows of an evaluation to what the runtime reads."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from edge.appliance.evaluate.rows_file import rows_file
from edge.appliance.frame_result import FrameResult
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Sparsity
from edge.measure.interval import IntervalModel
from edge.measure.training_range import TrainingRange
from engines.manifest import NOMINAL_OPTICS, Input, Manifest, Output
from tests.support.drawn_rows import interval_rows, optics_rows, outside_rows
from training import calibrate
from training.fit_interval import intervals
from training.frame_rows import FrameRow, best_of, read_frames

# --- the command


def result_of(row: FrameRow, number: int) -> FrameResult:
    """The frame of a row, with the range's witnesses of `row.patches`."""
    k = row.k
    return FrameResult(
        condition=row.condition, group=row.group, slide=row.slide, stack_id=f"s{number}", file="f",
        decision="MOVE", sparsity=row.group.split()[1], k=k, z_um=0.0,
        true_um=row.found_um - row.error_um, found_um=row.found_um, network_um=row.network_um,
        between_um=row.between_um, patch_importance=[row.importance] * k,
        patch_defocus_um=[row.found_um] * k, patch_spread_um=[row.network_um] * k,
        optics=row.patches.optics.tolist(), novelty=row.patches.novelty.tolist(),
        photometry=row.photometry,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows_csv(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibrate") / "rows.csv"
    measured = interval_rows(40, 40, frames=2)
    optics = optics_rows("everyday", 40, 41, frames=2)
    rows = [dataclasses.replace(a, patches=b.patches, photometry=b.photometry, k=b.k)
            for a, b in zip(measured, optics, strict=True)]  # fmt: skip
    rows += [*optics_rows("edge", 8, 42), *outside_rows(8, 43)]
    with rows_file(path) as append:
        for number, row in enumerate(rows):
            append(result_of(row, number))
    return path


def manifest_at(folder) -> Manifest:
    outputs = (*(Output(n, ("k",), "1") for n in ("defocus_um", "spread_um", "novelty")),
               Output("optics", ("k", 4), "1"))  # fmt: skip
    manifest = Manifest("dpn", "dpn.onnx", "0" * 64, (Input("patches", ("k", 224, 224, 3)),),
                        outputs, NOMINAL_OPTICS, calibration={
                            "interval": {"scale_um": 9.0, "disagree_um": 3.5}, "note": "kept"
                        })  # fmt: skip
    manifest.write(folder / "dpn.json")
    return Manifest.read(folder / "dpn.json")


def test_rows_are_read_as_they_were_measured(rows_csv):
    rows = read_frames([rows_csv])
    assert len(rows) == 480 + 48 + 96
    assert rows[0].group == "cell dense"
    assert rows[0].patches.optics.shape == (rows[0].k, 4)
    (first,) = interval_rows(1, 40, frames=1)[:1]
    for name in ("error_um", "found_um", "network_um", "between_um", "importance"):
        assert getattr(rows[0], name) == pytest.approx(getattr(first, name), rel=1e-5)


def test_the_best_of_more_patches_are_looked_at_as_the_runtime_would():
    defocus = np.array([2.0, 2.2, 2.4, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0, 9.0], np.float32)
    spread = np.arange(10, dtype=np.float32)
    cells = tuple((0, 0) for _ in range(10))
    patches = PatchDefocus(defocus, spread, 1 - spread / 10, cells, Sparsity.SPARSE, True)
    whole = FrameRow("everyday", "cell sparse", "1", 10, 6.9, 9.0, 4.5, 0.0, 0.55, patches, {}, 2.1)
    best = best_of(whole, 3)
    assert (best.k, best.patches.left_out, len(best.patches.cells)) == (3, 7, 3)
    result = best.found_um, best.error_um, best.network_um, best.importance
    assert result == pytest.approx((2.2, 0.1, 1.0, 0.9), rel=1e-5)
    assert best.between_um == pytest.approx(1.4826 * 0.2, rel=1e-5)
    # nine would be believed to the least half-width, nine of ten are not
    calibration = IntervalModel(27.0, scale_um=((1, 2.0), (9, 1e-3)), least_um=0.1)
    nine = best_of(whole, 9)
    no_more = dataclasses.replace(nine.patches, left_out=0)
    claimed = intervals([dataclasses.replace(nine, patches=no_more), nine], calibration)
    assert claimed.tolist() == pytest.approx([0.1, 8.0])
    table = {line["rows"]: line for line in calibrate.interval_table([whole, best], calibration)}
    assert (table["best 9 of more"]["frames"], table["best 3 of more"]["frames"]) == (1, 1)
    assert table["best 3 of more"]["error_um"] == pytest.approx(0.1, rel=1e-5)


def test_slides_of_two_files_are_different_slides(rows_csv, tmp_path):
    other = tmp_path / rows_csv.name  # in another folder
    other.write_bytes(rows_csv.read_bytes())
    one, both = read_frames([rows_csv]), read_frames([rows_csv, other])
    slides = {(row.condition, row.slide) for row in one}
    assert len({(row.condition, row.slide) for row in both}) == 2 * len(slides)


def test_the_command_writes_what_the_runtime_reads(rows_csv, tmp_path, capsys):
    manifest_at(tmp_path)
    path, out = tmp_path / "dpn.json", tmp_path / "report.json"
    words = [str(rows_csv), "--manifest", str(path), "--json", str(out)]
    before = path.read_bytes()
    assert calibrate.main(words) == 0
    assert path.read_bytes() == before  # only with --write
    assert calibrate.main([*words, "--write", "--action", "hold"]) == 0
    changed = Manifest.read(path)
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    assert changed.calibration["note"] == "kept"
    assert IntervalModel.of(changed).disagree_um == 3.5
    assert IntervalModel.of(changed).scale_um != 9.0
    assert TrainingRange.of(changed).hold
    report = json.loads(out.read_text())
    assert report["envelope"] == changed.calibration["envelope"]
    assert report["slides"][0] + report["slides"][1] > 3 * report["slides"][2]
    shares = {line["rows"]: line for line in report["coverage"]}
    assert 0.88 <= shares["all"]["coverage"] <= 1.0
    assert {"cell dense", "tissue ex-sparse", "k = 31", "from 10 um"} <= set(shares)
    loud = {line["rows"]: line["alarms"] for line in report["alarms"]}
    assert loud["everyday"] <= 0.05
    assert loud["outside-w040"] >= 0.9
    assert "outside-axial, tissue ex-sparse" in loud
    printed = capsys.readouterr().out
    assert "tissue ex-sparse" in printed
    assert f"written to {path}" in printed


def test_the_look_is_at_the_other_file(rows_csv, tmp_path):
    manifest_at(tmp_path)
    out = tmp_path / "report.json"
    words = ["--manifest", str(tmp_path / "dpn.json"), "--check", str(rows_csv)]
    assert calibrate.main([str(rows_csv), *words, "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["slides"][0] + report["slides"][1] == report["slides"][2]
    assert report["coverage"][0]["frames"] == 528


def test_rows_that_do_not_do_are_one_line_and_exit_2(rows_csv, tmp_path, capsys):
    manifest_at(tmp_path)
    manifest = ["--manifest", str(tmp_path / "dpn.json")]
    lines = rows_csv.read_text().splitlines(keepends=True)
    few, no_column, broken = (tmp_path / name for name in ("few.csv", "column.csv", "broken.csv"))
    few.write_text("".join(lines[:20]))
    no_column.write_text("".join([lines[0].replace("optics", "glass"), *lines[1:]]))
    broken.write_text(lines[0] + lines[1].replace(",31,", ",30,", 1))
    for path, hint in ((few, "slides for the fit part"), (no_column, "optics"),
                       (broken, "broken.csv:2: patch_importance has shape"),
                       (tmp_path / "no.csv", "cannot be read")):  # fmt: skip
        assert calibrate.main([str(path), *manifest]) == 2, path
        err = capsys.readouterr().err
        assert len(err.splitlines()) == 1
        assert hint in err
    assert calibrate.main([str(rows_csv), "--manifest", str(tmp_path / "no.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err
