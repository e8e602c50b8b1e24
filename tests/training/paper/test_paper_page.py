"""The paper's page: its numbers, its pictures and its figures."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from edge.appliance.evaluate.metrics import tables
from simulator.bench.climb import Climb
from tests.support.paper_answers import answered
from training.paper import psf
from training.paper.choose import (
    NAMES,
    OURS,
    ablated,
    compared,
)
from training.paper.page import Findings, as_json, write
from training.paper.published import DOF, DSS, GROUPS, MAE_UM, THEIRS


def test_the_papers_numbers_are_whole_and_as_printed() -> None:
    for table in (MAE_UM, DOF, DSS):
        assert set(table) == {*NAMES.values(), THEIRS}
        assert all(len(row) == len(GROUPS) for row in table.values())
    assert [mean for mean, _ in MAE_UM[THEIRS]] == [0.37, 0.51, 0.60, 0.49, 0.43, 0.45]
    assert MAE_UM["Li et al."][2] == (12.25, 10.65)
    assert DOF["Jiang et al."][5] == (4.06, 5.19, 8.63)
    assert DSS["Dastidar et al."][2] == 69.48
    assert all(a < b < c for row in DOF.values() for a, b, c in row)


def test_the_point_spread_function_is_lopsided_by_its_aberration_only() -> None:
    near, far = psf.asymmetry(1.0), psf.asymmetry(5.0)
    assert 0.02 < far.difference < near.difference < 1.0
    assert far.peak_above != pytest.approx(far.peak_below, rel=0.05)
    ideal = replace(psf.TYPICAL, w040_waves=0.0)
    above, below = psf.point(5.0, psf.GREEN, ideal), psf.point(-5.0, psf.GREEN, ideal)
    assert np.abs(above - below).max() < 1e-3 * above.max()
    assert psf.point(0.0).argmax() == psf.SIDE // 2 * psf.SIDE + psf.SIDE // 2
    assert len(psf.through_focus()) == 81


def test_pictures_of_a_page_say_what_they_should() -> None:
    shades = psf.grey(np.array([[0.0, 0.25, 1.0]], np.float32))
    assert shades.tolist() == [[255, 128, 0]]
    colours = psf.signed(np.array([[-1.0, 0.0, 1.0]], np.float32), 1.0)
    assert colours.tolist() == [[[0, 114, 178], [255, 255, 255], [213, 94, 0]]]
    url = psf.data_url(colours, 2.0)
    assert url.startswith("data:image/png;base64,")


def findings() -> Findings:
    """Two slides per group; the rivals are ten times worse."""
    frames = [
        answered(group, slide, true_um)
        for slide, group in enumerate(GROUPS * 2)
        for true_um in (5.0, 4.0)
    ]
    rows = compared(frames)
    climbs = {"SparseFocus": [Climb("cell dense", 9.0, 2, 0.2, 0.1, "IN_FOCUS")]}
    trained = {OURS: {"parameters": 1000, "core_minutes": 1.0, "samples": 5}}
    return Findings(rows, tables(rows, 0.63, 50), tables(ablated(frames), 0.63, 50), climbs,
                    trained, 0.63, {"machine": "a <small> one"})  # fmt: skip


def test_the_page_holds_tables_figures_and_its_numbers(tmp_path: Path) -> None:
    result = findings()
    page = write(result, tmp_path).read_text("utf-8")
    HTMLParser().feed(page)
    for words in ("Table 1", "Table 2", "Table 3", "Figure 2", "Figure 3", "Figure 4", "KDAF",
                  "12.25 ± 10.65", "a &lt;small&gt; one", "quoted, not measured here"):  # fmt: skip
        assert words in page
    assert "$" not in page.replace("$$", "")
    numbers = json.loads((tmp_path / "paper.json").read_text("utf-8"))
    ratio = numbers["times_better_than_the_best_rival"][OURS]["cell sparse"]
    assert ratio == pytest.approx(46.5 / 0.6, rel=1e-3)  # 46 and 47 um against 0.1 and 1.1
    assert numbers["hill_climbing"]["SparseFocus"]["images"] == 2
    assert as_json(result)["dof_um"] == 0.63
