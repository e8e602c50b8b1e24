"""`sparsefocus evaluate` from manifest to table, with networks whose answers are known: the DPN
reads red as 128 + 4 d, the RIN takes dark green for content (see tiny_models)."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.evaluate import examiner as examiner_module
from edge.appliance.evaluate.metrics import tables
from edge.appliance.evaluate.rows_file import COLUMNS, read_rows, rows_file
from edge.appliance.frame_result import FrameResult
from edge.images.zstack import Exposure
from edge.measure.aggregate import FocusEstimate
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Ranked, Sparsity
from edge.measure.sensor import Measurement
from edge.optics import Objective
from tests.support.known_stacks import FRAMES, HALF_DEPTH, HEAD, line, manifest, picture, write


def test_numbers_are_those_of_the_frames(measured):
    document = json.loads(measured["json"].read_text())
    cells, tissue = line(document, "cell <i>"), line(document, "tissue")
    # found less true: 3.25 - 3, -3 + 3, 15 - 12, -0.25 - 0
    assert (cells["frames"], cells["answered"], cells["slides"]) == (4, 4, 2)
    assert cells["mae_um"] == pytest.approx((0.25 + 0 + 3 + 0.25) / 4, abs=1e-4)
    assert cells["dof"] == 0.75
    assert cells["dof_third"] == 0.25  # 0.25 um is above a third of 0.604 um
    assert cells["dss"] == 1.0  # in focus already: both directions are right
    assert cells["mae_um_95"] == pytest.approx([0.125, 1.625], abs=1e-4)
    assert (tissue["frames"], tissue["answered"], tissue["reasons"]) == (2, 1, {"blank": 1})
    assert tissue["direction"] == 0.0  # found +10 where -10 is true
    assert document["unscored"] == {"clean": 1}
    assert document["dof_um"] == pytest.approx(HALF_DEPTH)
    assert document["paper_dof_um"] == 0.63
    assert document["worst"][0]["found_um"] == pytest.approx(10.0, abs=1e-4)


def test_false_moves_follow_the_controller(measured):
    document = json.loads(measured["json"].read_text())
    (blank,) = document["blank"]
    assert (blank["frames"], blank["slides"], blank["answered"]) == (3, 2, 2)
    # +8 um moves the glass, +0.25 um is inside the deadband, nothing is nothing
    assert blank["false_moves"] == 1
    decisions = {r.file[-5]: r.decision for r in read_rows(measured["rows"])}
    assert decisions == {"a": "MOVE", "b": "MOVE", "c": "VERIFY", "d": "IN_FOCUS", "e": "HOLD",
                         "f": "VERIFY", "g": "MOVE", "h": "VERIFY", "i": "HOLD",
                         "j": "IN_FOCUS"}  # fmt: skip


@pytest.mark.parametrize(
    ("defocus", "half", "decision"),
    [(0.3, 0.1, "IN_FOCUS"), (0.31, 0.1, "MOVE"), (0.5, 0.55, "IN_FOCUS"), (0.7, 0.75, "HOLD"),
     (5.0, 3.99, "MOVE"), (5.0, 4.01, "HOLD"), (-20.0, 3.9, "VERIFY"), (-20.0, 9.9, "HOLD")],
)  # fmt: skip
def test_decisions_are_those_of_the_loop(monkeypatch, defocus, half, decision):
    """The deadband is 0.302 um, sharp 0.604; widest interval 4 um, also far out."""
    nothing = np.empty(0, np.float32)

    def measure(sensor, frame, lap):
        estimate = FocusEstimate(defocus, half, 3, Sparsity.DENSE, frame.exposure_start_ns,
                                 frame.exposure_mid_ns, 0.1)  # fmt: skip
        patches = PatchDefocus(nothing, nothing, nothing, (), Sparsity.DENSE, True)
        ranked = Ranked(np.zeros((9, 9), np.float32), Sparsity.DENSE, 0, (), nothing)
        return Measurement(ranked, patches, estimate)

    monkeypatch.setattr(examiner_module, "measure_in_full", measure)
    examiner = examiner_module.Examiner(None, Objective(0.75, 20.0, 0.34))
    exposure = Exposure(Path("f.png"), None, "s", 1.0, None, None)
    result = examiner.examine(exposure, np.zeros((1, 1, 3), np.uint8), "here")
    assert result.decision == decision
    assert result.moves == (decision in ("MOVE", "VERIFY"))


def test_tables_made_from_the_csv_are_the_same(measured):
    document = json.loads(measured["json"].read_text())
    again = tables(read_rows(measured["rows"]), document["dof_um"])
    assert json.loads(json.dumps([x.as_json() for x in again])) == document["tables"]


def test_csv_keeps_what_a_refit_needs(measured):
    first, *_ = records = read_rows(measured["rows"])
    assert len(records) == len(FRAMES)
    assert (first.k, first.sparsity, first.slide) == (3, "ex-sparse", "1")
    assert first.true_um == 3.0
    assert first.found_um == pytest.approx(3.25, abs=1e-4)
    assert first.patch_defocus_um == pytest.approx([3.25] * 3, abs=1e-4)
    assert first.patch_spread_um == pytest.approx([0.3] * 3)
    assert first.network_um == pytest.approx(0.3)
    assert first.between_um == pytest.approx(0.0, abs=1e-6)
    assert len(first.patch_importance) == 3
    assert first.importance_min == pytest.approx(min(first.patch_importance), abs=1e-5)
    assert first.extra == {"w040_waves": "0.5"}
    silent = records[4]
    assert (silent.found_um, silent.reason, silent.k) == (None, "blank", 0)
    assert silent.patch_importance == []
    assert records[3].true_um == 0.0


def test_in_focus_is_zero_to_the_last_digit(models, tmp_path):
    """100.3 - 100.2 - 0.1 is not 0 to a computer; Eq. 4 asks whether it is."""
    write(tmp_path / "a.png", picture(1.0))
    path = manifest(tmp_path, [("a.png", "", "s", 0.1 + 0.2, "0.3", "")], HEAD[:6])
    out = tmp_path / "e.csv"
    words = ["evaluate", str(path), "--models", str(models), "--quiet", "--rows", str(out)]
    assert cli.main(words) == 0
    (record,) = read_rows(out)
    assert record.true_um == 0.0
    # a manifest without our own columns: the folder is the condition, each stack a slide
    assert (record.condition, record.slide) == (tmp_path.name, "s")


def test_split_and_limit(stacks, models, tmp_path):
    out = tmp_path / "e.csv"
    words = ["evaluate", str(stacks), "--models", str(models), "--quiet", "--rows", str(out)]
    assert cli.main([*words, "--split", "train"]) == 0
    assert [r.file[-5] for r in read_rows(out)] == ["g", "j"]
    assert cli.main([*words, "--split", "test", "--limit", "3"]) == 0
    assert [r.file[-5] for r in read_rows(out)] == ["a", "e", "i"]


def test_a_terminal_sees_tables_and_a_script_sees_json(stacks, models, capsys):
    words = ["evaluate", str(stacks), "--models", str(models), "--limit", "8"]
    assert cli.main(words) == 0
    out, err = capsys.readouterr()
    assert "cell <i>" in out
    assert "false moves" in out
    assert "1 not answered (1 blank)" in out
    assert "not scored" in out
    assert err.splitlines()[-1].startswith("[6/6, 0 s left]")  # stacks
    assert cli.main([*words, "--quiet", "--json", "-", "--dof-um", "0.2"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["dof_um"] == 0.2
    assert err == ""


def test_a_model_that_knows_where_it_was_trained(stacks, tmp_path):
    pytest.importorskip("onnx")
    from tests.support.tiny_models import write_dpn, write_rin

    write_rin(tmp_path)
    bounds = {"action": "warn", "combine": "weighted", "bounds": {"novelty": 0.5}}
    write_dpn(tmp_path, witnesses=True, calibration={"envelope": bounds})
    out, report = tmp_path / "e.csv", tmp_path / "e.json"
    words = ["--models", str(tmp_path), "--quiet", "--rows", str(out), "--json", str(report)]
    assert cli.main(["evaluate", str(stacks), "--limit", "2", *words]) == 0
    first = read_rows(out)[0]
    # blue is 30: W040 0.3 waves, novelty 1
    assert np.array(first.optics) == pytest.approx(np.array([[0.3, 0.05, 1.0, 0.1]] * 3))
    assert first.novelty == pytest.approx([1.0] * 3)
    assert first.photometry["background"] > 0
    assert (first.shift, first.shift_feature) == (pytest.approx(2.0), "novelty")
    assert first.shift_alarm is True
    assert line(json.loads(report.read_text()))["alarms"] == 1.0


def test_rows_come_back_as_they_were_written(tmp_path):
    result = FrameResult(
        condition="a, \"b\"\n", group="g", slide="07", stack_id="s", file="f", z_um=0.1 + 0.2,
        found_um=-1e-17, decision="HOLD", sparsity="dense", k=31, shift_alarm=False,
        optics=[[0.1, 0.2]], photometry={"black": 0.5}, patch_importance=[], patch_defocus_um=[],
        patch_spread_um=[1.0, None],
    )  # fmt: skip
    path = tmp_path / "rows.csv"
    with rows_file(path) as keep:
        keep(result)
        keep(dataclasses.replace(result, page=3, shift_alarm=None))
    first, second = read_rows(path)
    assert first == dataclasses.replace(result, cells=())
    assert (second.page, second.shift_alarm) == (3, None)


def test_every_number_of_a_frame_has_its_column():
    names = {field.name for field in dataclasses.fields(FrameResult)}
    assert names == {*COLUMNS, "cells", "decision_reason"}  # those two are of no use in a file


@pytest.mark.filterwarnings("default")  # of Dask's own parts
def test_two_workers_write_the_same_rows(measured, stacks, models, tmp_path):
    rows = tmp_path / "rows.csv"
    words = ["--workers", "2", "--rows", str(rows), "--quiet"]
    assert cli.main(["evaluate", str(stacks), "--models", str(models), *words]) == 0
    assert rows.read_bytes() == measured["rows"].read_bytes()
