"""The benchmark of whole slides, as far as a test has time for it."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.whole_slide import Scanned, row_of, ways
from benchmarks.whole_slide_page import cells, page


def scanned(off_um: float) -> Scanned:
    places = np.array([[x, y] for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0)])
    errors = np.array([0.1, -0.2, off_um, 0.3, -0.4, math.inf])
    return Scanned(places, np.linspace(34, 36, 6), errors, 30.0, 5.0)


def test_a_field_that_was_not_taken_is_out_of_focus() -> None:
    row = row_of("one step", "tissue", [scanned(0.5), scanned(0.7)])
    assert row["share"] == 9 / 12
    assert row["worst_slide"] == 4 / 6
    assert row["p50_um"] == 0.3
    assert row["p95_um"] == math.inf
    area_cm2 = 749.088 * 626.688 / 1e8
    assert math.isclose(row["cm2_per_min"], area_cm2 * 4.5 / 0.5, rel_tol=1e-9)


def test_the_page_has_a_map_for_every_way() -> None:
    shown = {("tissue", name): scanned(0.5) for name in ways()}
    rows = [row_of(name, "tissue", [scanned(0.5)]) for name in ways()]
    text = page(rows, shown, 1)
    assert text.count("<svg") == len(ways()) == 7
    for row in rows:
        assert all(f"<td>{cell}</td>" in text for cell in cells(row))
    assert "not taken" in text
