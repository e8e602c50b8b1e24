"""The product on a grid of instruments: its rows, its frames on disk, its numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge.appliance.evaluate.examiner import Examiner
from edge.appliance.frame_result import FrameResult
from edge.optics import NOMINAL, Objective
from engines.engine import MODELS
from training.family import frames, page
from training.family.__main__ import main
from training.family.frames import Measured, Plan, measured, refusal
from training.family.instruments import Row, rows
from training.family.table import area_under_curve, cell, cells

ROW = Row("row", "words")
LOW_NA = Row("low", "low", Objective(0.3, 10, 0.68))


def test_a_row_looks_as_the_nominal_one_does_in_its_own_units() -> None:
    named = {row.name: row for row in rows()}
    assert len(named) == len(rows())
    for row in named.values():
        bench, pixels = row.bench(), row.objective.pixel / NOMINAL.pixel
        assert bench.shape[0] * pixels == pytest.approx(row.side_px, abs=2)
        assert bench.scope.axial_unit == pytest.approx(row.unit)
        assert bench.scope.axial_colour == pytest.approx([0.7 * row.unit, 0, -0.9 * row.unit])
        patch_px = bench.patch_um / bench.scope.um_per_px * pixels  # of the models
        assert patch_px == pytest.approx(224)
    assert (named["iris"].iris, named["iris"].objective) == ((0.45, 0.9), NOMINAL)
    assert named["40x-0.95"].unit == pytest.approx(0.4919, abs=1e-3)


def _frame(true: float, found: float | None, half: float = 0.5, **more: object) -> FrameResult:
    held = {"decision": "HOLD"} if found is None else {"decision": "MOVE", "interval_um": half}
    return replace(
        FrameResult(group="cell dense", slide="a", true_um=true, found_um=found, z_um=-true),
        **{**held, **more},  # type: ignore[arg-type]
    )


def test_errors_are_in_um_in_nominal_um_and_in_depths_of_focus() -> None:
    unit = LOW_NA.unit
    looks = [_frame(20 * unit, 21 * unit), _frame(-20 * unit, -23 * unit), _frame(5.0, None)]
    line = cell(LOW_NA, "all", looks)
    assert line.mean_um == pytest.approx(2 * unit)
    assert line.mean_nominal == pytest.approx(2.0)
    assert line.mean_depths == pytest.approx(2 * unit / LOW_NA.objective.depth_of_field_um)
    assert line.answered == pytest.approx(2 / 3)
    assert line.direction == 1.0


def test_confidently_wrong_is_far_off_in_um_and_in_intervals_and_not_held() -> None:
    wrong = _frame(10.0, 14.0)
    frames = [
        wrong,
        replace(wrong, interval_um=2.0),  # two intervals
        replace(wrong, found_um=10.9, interval_um=0.1),  # 0.9 um
        replace(wrong, decision="HOLD"),
    ]
    assert cell(ROW, "all", frames).wrong == 0.25
    assert cell(ROW, "all", frames).coverage == 0.0


def test_one_move_tells_the_scale_and_the_next_look_is_divided_by_it() -> None:
    looks = [_frame(20.0, 14.4, 0.3), _frame(5.6, 4.03, 0.3)]  # everything at 0.72
    line = cell(ROW, "all", looks)
    assert line.mean_um == pytest.approx((5.6 + 1.57) / 2)
    assert line.after_move == pytest.approx(0.0, abs=0.1)
    assert line.after_coverage == 1.0
    assert line.interval_scale == 1.0  # the family's spread has it, before any move
    assert cell(ROW, "all", looks[:1]).after_move is None
    nearer = [_frame(20.0, 20.0, 0.3), _frame(18.0, 18.0, 0.3)]  # no move brings it there
    assert cell(ROW, "all", nearer).after_move is None


def test_the_area_under_the_curve_counts_pairs() -> None:
    assert area_under_curve([3, 1, 2, 0], [True, False, True, False]) == 1.0
    assert area_under_curve([1, 1], [True, False]) == 0.5
    assert area_under_curve([1, 2], [True, True]) is None


def test_the_runtime_says_why_it_refuses_an_objective() -> None:
    assert refusal(MODELS, NOMINAL) == ""
    reason = refusal(MODELS, Objective(0.13, 4, 1.7))
    assert "objective.na = 0.13 is outside 0.28 to 0.8" in reason


def test_frames_are_rendered_and_measured_once_and_with_the_range_lifted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frames, "CONTENT", ("cell dense",))
    row = Row("low", "4x/0.13", Objective(0.13, 4, 1.7), side_px=240)
    first = measured(row, Plan(1, 1, 3), MODELS, tmp_path, None)
    assert "0.13" in first.refused
    assert [f.group for f in first.frames] == ["cell dense"]
    assert abs(first.frames[0].true_um or 0.0) <= 26 * row.unit

    def never(*_: object) -> FrameResult:
        raise AssertionError("measured again")

    with monkeypatch.context() as patch:
        patch.setattr(Examiner, "examine", never)
        again = measured(row, Plan(1, 1, 3), MODELS, tmp_path, None)
    assert [f.found_um for f in again.frames] == [f.found_um for f in first.frames]
    more = measured(row, Plan(2, 1, 3), MODELS, tmp_path, None)  # goes on where it was
    assert [f.slide for f in more.frames[:1]] == [f.slide for f in first.frames]
    assert len(more.frames) == 2


def test_the_page_has_a_line_for_each_row_and_group() -> None:
    done = Measured(LOW_NA, [_frame(20.0, 21.0), _frame(20.0, None)], "is outside")
    text = page.text([(done, cells(done))], MODELS, Plan(1, 2, 3))
    assert "| low (refused) |" in text
    assert "| low, cell dense |" in text
    assert "- low: is outside" in text


def test_wrong_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), "--slides", "0"]) == 2
    assert "at least 1" in capsys.readouterr().err
