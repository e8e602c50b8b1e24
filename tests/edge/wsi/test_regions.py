"""How much of a region lies in a box."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.wsi.regions import Box, Mask, Polygon

SQUARE = ((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0))
HORSESHOE = (
    (0.0, 0.0),
    (100.0, 0.0),
    (100.0, 100.0),
    (80.0, 100.0),
    (80.0, 20.0),
    (20.0, 20.0),
    (20.0, 100.0),
    (0.0, 100.0),
)


@pytest.mark.parametrize("turn", [1, -1])
def test_a_polygon_is_cut_exactly(turn: int) -> None:
    square, shoe = Polygon(SQUARE[::turn]), Polygon(HORSESHOE[::turn])
    assert square.content_um2(Box(-50, -50, 50, 50)) == pytest.approx(2500)
    assert square.content_um2(Box(-500, -500, 500, 500)) == pytest.approx(10_000)
    assert square.content_um2(Box(200, 0, 300, 100)) == 0
    # two legs of a concave shape: what the cut doubles along the side between them has no area
    assert shoe.content_um2(Box(-10, 50, 110, 90)) == pytest.approx(2 * 20 * 40)
    assert shoe.content_um2(Box(30, 30, 70, 90)) == 0
    assert shoe.box == Box(0, 0, 100, 100)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=6, unique=True).map(sorted))
@settings(max_examples=25)
def test_the_parts_of_a_polygon_are_the_whole(cuts: list[float]) -> None:
    edges = [-10.0, *cuts, 110.0]
    shoe = Polygon(HORSESHOE)
    parts = [shoe.content_um2(Box(a, -10, b, 110)) for a, b in pairwise(edges)]
    assert sum(parts) == pytest.approx(100 * 20 + 2 * 20 * 80, rel=1e-9)


@pytest.mark.parametrize(
    "corners",
    [
        SQUARE[:2],
        ((0.0, 0.0), (1.0, 1.0), (2.0, 2.0)),
        ((0.0, 0.0), (100.0, 100.0), (100.0, 0.0), (0.0, 100.0)),
        ((0.0, 0.0), (math.nan, 1.0), (1.0, 0.0)),
        SQUARE * 200,
    ],
    ids=["two corners", "no area", "edges cross", "NaN", "too many"],
)
def test_what_is_no_polygon(corners: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="polygon"):
        Polygon(corners)


def test_a_mask_counts_cells_and_their_parts() -> None:
    cells = np.zeros((4, 6), bool)
    cells[1, 2] = cells[2, 2] = True
    mask = Mask(cells, 50.0, 1000.0, 2000.0)
    assert mask.box == Box(1100, 2050, 1150, 2150)
    assert mask.content_um2(Box(1100, 2050, 1125, 2150)) == pytest.approx(25 * 100)
    assert mask.content_um2(Box(1000, 2000, 1099, 2200)) == 0
    assert mask.content_um2(Box(1149, 2149, 1300, 2300)) == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_what_is_no_mask(scale: float) -> None:
    with pytest.raises(ValueError, match="mask"):
        Mask(np.ones((2, 2), bool), scale, 0, 0)
    with pytest.raises(ValueError, match="mask"):
        Mask(np.zeros((2, 2), bool), 1.0, 0, 0)


@pytest.mark.parametrize(
    "box", [(0, 0, 0, 1), (1, 0, 0, 1), (0, math.nan, 1, 1), (0, 0, math.inf, 1)]
)
def test_what_is_no_box(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ValueError, match="no box"):
        Box(*box)
