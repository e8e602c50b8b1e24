"""`sparsefocus evaluate` from manifest to table, with networks whose answers are known: the DPN
reads red as 128 + 4 d, the RIN takes dark green for content (see tiny_models)."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.appliance import cli
from edge.appliance.evaluate import examiner as examiner_module
from edge.appliance.evaluate import verb as evaluate_verb
from edge.appliance.evaluate.metrics import tables
from edge.appliance.evaluate.rows_file import COLUMNS, read_rows, rows_file
from edge.appliance.frame_result import FrameResult
from edge.errors import ConfigError
from edge.images.zstack import Exposure
from edge.measure.aggregate import FocusEstimate
from edge.measure.defocus import PatchDefocus
from edge.measure.importance import Ranked, Sparsity
from edge.measure.sensor import Measurement
from edge.optics import Objective

HEAD = ("file", "page", "stack_id", "z_um", "focus_z_um", "um_per_px", "group", "condition",
        "slide", "split", "w040_waves")  # fmt: skip
HALF_DEPTH = Objective(0.75, 20.0, 0.34).half_depth_um
THREE = [(0, 0), (0, 1), (1, 0)]

#: file, stack, z, focus, group, condition, slide, split, what the DPN will read (None = blank)
FRAMES = (
    ("a", "cell <b> 1", 97.0, "100.0", "cell <i>", "clean", "1", "test", 3.25),
    ("b", "cell <b> 1", 103.0, "100.0", "cell <i>", "clean", "1", "test", -3.0),
    ("c", "cell 2", 88.0, "100.0", "cell <i>", "clean", "2", "test", 15.0),
    ("d", "cell 3", 100.3, "100.3", "cell <i>", "clean", "2", "test", -0.25),
    ("e", "tissue 1", 95.0, "100.0", "tissue", "clean", "3", "test", None),
    ("f", "tissue 1", 110.0, "100.0", "tissue", "clean", "3", "test", 10.0),
    ("g", "lost", 50.0, "", "tissue", "clean", "3", "train", 2.0),
    ("h", "empty", 50.0, "", "blank", "clean", "4", "test", 8.0),
    ("i", "empty", 60.0, "", "blank", "clean", "4", "test", None),
    ("j", "empty 2", 50.0, "", "blank", "clean", "5", "train", 0.25),
)


def picture(defocus, side=2016):
    pixels = np.full((side, side, 3), (0, 255, 30), np.uint8)
    for row, column in THREE if defocus is not None else ():
        patch = (slice(224 * row, 224 * (row + 1)), slice(224 * column, 224 * (column + 1)))
        pixels[patch] = (128 + 4 * defocus, 0, 30)
    return pixels


def write(path, pixels):
    cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])


def manifest(folder, rows, head=HEAD):
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return folder / "manifest.csv"


@pytest.fixture(scope="module")
def stacks(tmp_path_factory):
    """A manifest of ten frames of real size."""
    folder = tmp_path_factory.mktemp("stacks")
    for name, *_, defocus in FRAMES:
        write(folder / f"{name}.png", picture(defocus))
    return manifest(folder, [(f"{name}.png", "", stack, z, focus, "0.34", *rest, "0.5")
                             for name, stack, z, focus, *rest, _ in FRAMES])  # fmt: skip


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with two tiny networks."""
    pytest.importorskip("onnx")
    from tests.support.tiny_models import write_dpn, write_rin

    folder = tmp_path_factory.mktemp("models")
    write_rin(folder)
    write_dpn(folder)
    return folder


@pytest.fixture(scope="module")
def measured(stacks, models, tmp_path_factory):
    """Everything the verb writes for that manifest."""
    folder = tmp_path_factory.mktemp("out")
    out = {"json": folder / "e.json", "rows": folder / "e.csv", "report": folder / "page"}
    words = [str(w) for option, path in out.items() for w in (f"--{option}", path)]
    assert cli.main(["evaluate", str(stacks), "--models", str(models), "--quiet", *words]) == 0
    return out


def line(document, group="all", distance="all"):
    (result,) = [x for x in document["tables"] if (x["group"], x["distance"]) == (group, distance)]
    return result


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


class _Page(HTMLParser):
    """Checks that tags are closed in order."""

    VOID = frozenset({"meta"})

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_page_stands_alone_and_says_what_the_json_says(measured):
    folder = measured["report"]
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = _Page(text)
    assert page.open == []
    assert page.tags.count("svg") == 2 + 3  # two groups; errors, coverage, distance
    assert not {"script", "iframe", "link", "img"} & set(page.tags)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", text)
    assert "cell <i>" not in text
    assert "cell &lt;i&gt;" in text
    assert "cell <b>" not in text
    assert json.loads((folder / "evaluation.json").read_text()) == json.loads(
        measured["json"].read_text()
    )
    # 0.25, 0, 3, 0.25 of cells and 20 of the one tissue frame that was answered
    assert "mean error 4.70 µm on 5 of 6 frames, 60 % within ±0.60 µm" in text


def test_page_draws_every_frame(measured):
    text = (measured["report"] / "index.html").read_text(encoding="utf-8")
    cells, tissue = re.findall(r"<svg[^>]*Found against true.*?</svg>", text)
    assert cells.count("<circle") == 2 * 3  # in the plot and in the strip below
    assert cells.count("<polygon") == 2 * 1  # the one that is 3 um off, in both
    assert "4 of 4 answered" in cells
    assert "1 of 2 answered" in tissue
    assert "blank</title>" in tissue  # the tick of the silent one says why


def test_a_foreign_page_is_not_overwritten(stacks, models, tmp_path, capsys):
    (tmp_path / "index.html").write_text("mine")
    words = ["evaluate", str(stacks), "--models", str(models), "--quiet"]
    assert cli.main([*words, "--report", str(tmp_path)]) == 2
    assert "will not be overwritten" in capsys.readouterr().err
    assert (tmp_path / "index.html").read_text() == "mine"


def test_blank_fields_alone_make_a_page_too(stacks, models, tmp_path):
    folder = tmp_path / "page"
    head, *rows = stacks.read_text().splitlines()
    alone = stacks.with_name("blank.csv")
    alone.write_text("\n".join([head, *(r for r in rows if ",blank," in r)]) + "\n")
    words = ["evaluate", str(alone), "--models", str(models), "--quiet", "--report", str(folder)]
    assert cli.main(words) == 0
    text = (folder / "index.html").read_text(encoding="utf-8")
    assert _Page(text).open == []
    assert "No frame with a known focus" in text


@pytest.mark.filterwarnings("default")  # of Dask's own parts
def test_two_workers_write_the_same_rows(measured, stacks, models, tmp_path):
    rows = tmp_path / "rows.csv"
    words = ["--workers", "2", "--rows", str(rows), "--quiet"]
    assert cli.main(["evaluate", str(stacks), "--models", str(models), *words]) == 0
    assert rows.read_bytes() == measured["rows"].read_bytes()


def test_workers_need_the_library(stacks, models, monkeypatch, capsys):
    monkeypatch.setattr(evaluate_verb, "CLUSTER", "training.nowhere")
    words = ["evaluate", str(stacks), "--models", str(models), "--workers", "2", "--quiet"]
    assert cli.main(words) == 2
    assert "needs the extra `train`" in capsys.readouterr().err
