"""Chosen patches are drawn where they are, in the colour of their importance."""

from __future__ import annotations

import numpy as np
import pytest

from edge.appliance.report.focus_record import View
from edge.appliance.report.pictures import (
    STRIP,
    VIRIDIS,
    before_after,
    color,
    draw_patches,
    scale_start,
    thumbnail,
)
from edge.decide.decision import Decision
from edge.measure.aggregate import Reason
from edge.measure.importance import Ranked
from tests.support.sessions import SIDE, outcome, picture, ranked

PATCH = SIDE // 9


def view_of(choice: Ranked | None, why_not: Reason | None = None) -> View:
    return View(picture(), outcome(Decision.HOLD, "x", choice, why_not=why_not), "before")


def ring(sheet: np.ndarray, row: int, column: int) -> tuple[int, ...]:
    """The outline's colour in the middle of a patch's upper edge."""
    return tuple(int(v) for v in sheet[row * PATCH + 2, column * PATCH + PATCH // 2])


def test_outlines_are_at_row_and_column() -> None:
    sheet = draw_patches(view_of(ranked({(1, 6): 1.0, (4, 2): 0.8})))
    assert sheet.shape == (SIDE + STRIP, SIDE, 3)
    assert ring(sheet, 1, 6) == VIRIDIS[-1]
    assert ring(sheet, 4, 2) == VIRIDIS[0]
    for row, column in ((6, 1), (2, 4)):  # swapped
        assert np.ptp(ring(sheet, row, column)) == 0  # still grey


@pytest.mark.parametrize("side", [252, 256, 500])
def test_corner_patches_fit_pictures_of_any_size(side: int) -> None:
    cells = {(0, 0): 0.9, (0, 8): 0.95, (8, 0): 0.97, (8, 8): 0.99}
    view = View(
        np.full((side, side, 3), 128, np.uint8),
        outcome(Decision.MOVE, "x", ranked(cells), -123.4),
        "before",
    )
    sheet = draw_patches(view, 0.34)
    for row, column in cells:
        y, x = (0 if i == 0 else side - 1 for i in (row, column))
        assert tuple(sheet[y, x]) != (128, 128, 128)


def test_what_was_not_chosen_is_only_paled_and_the_view_is_not_touched() -> None:
    view = view_of(ranked({(4, 4): 0.9}))
    original = view.picture.copy()
    sheet = draw_patches(view)
    np.testing.assert_array_equal(view.picture, original)
    paled = sheet[:PATCH, :PATCH].astype(int) - original[:PATCH, :PATCH]
    assert 20 < paled.mean() < 60
    inside = np.s_[4 * PATCH + 5 : 4 * PATCH + 10, 4 * PATCH + 6 : 5 * PATCH - 6]
    np.testing.assert_array_equal(sheet[inside], original[inside])


def test_a_blank_field_carries_a_note_and_nothing_else() -> None:
    view = view_of(ranked({}))
    changed = (draw_patches(view)[:SIDE] != view.picture).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert changed.any()
    assert np.ptp(rows) < SIDE // 8
    assert np.ptp(columns) < SIDE // 2
    assert abs(rows.mean() - SIDE / 2) < 10
    assert abs(columns.mean() - SIDE / 2) < 10


def test_frames_without_numbers_can_be_drawn() -> None:
    nothing = ranked({})
    lost = Ranked(np.full((9, 9), np.nan, np.float32), nothing.sparsity, 0, (), nothing.importance)
    notes = [
        draw_patches(view_of(lost, Reason.NOT_FINITE)),
        draw_patches(view_of(nothing)),
        draw_patches(view_of(None)),
    ]
    assert not any(
        np.array_equal(a, b) for i, a in enumerate(notes) for b in notes[i + 1 :]
    )  # each says something else
    draw_patches(view_of(ranked({(0, 0): 0.9}), Reason.NOT_FINITE))  # the DPN's are NaN


def test_colour_follows_importance() -> None:
    shades = [color(x) for x in np.linspace(0.8, 1.0, 41)]
    luminance = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in shades]
    assert (np.diff(luminance) > 0).all()
    assert shades[0] == color(0.1) == VIRIDIS[0]
    assert shades[-1] == color(1.5) == VIRIDIS[-1]


def test_the_scale_reaches_down_to_what_was_chosen() -> None:
    assert scale_start(np.array([0.81, 0.99], np.float32)) == 0.8
    assert scale_start(np.array([0.47, 0.99], np.float32)) == 0.4
    assert scale_start(np.empty(0, np.float32)) == 0.8


@pytest.mark.parametrize(("um_per_px", "length_um"), [(0.34, 100), (0.17, 50), (6.5, 100)])
def test_scale_bar_length(um_per_px: float, length_um: float) -> None:
    without = draw_patches(view_of(ranked({})))
    strip = draw_patches(view_of(ranked({})), um_per_px)[SIDE + 19]
    assert (without[SIDE + 19] == without[SIDE, 0]).all()
    bright = np.flatnonzero((strip == strip[-13]).all(axis=1))
    assert bright[-1] == SIDE - 13  # its right end stands still
    width = SIDE - 12 - bright[np.r_[True, np.diff(bright) > 1]][-1]  # of the last run
    assert width == max(round(length_um / (um_per_px * 2016 / SIDE)), 1)


def test_thumbnail_averages() -> None:
    crop = np.zeros((2016, 2016, 3), np.uint8)
    crop[::2] = (200, 100, 50)
    small = thumbnail(crop, SIDE)
    assert small.shape == (SIDE, SIDE, 3)
    np.testing.assert_array_equal(np.unique(small.reshape(-1, 3), axis=0), [[100, 50, 25]])


def test_before_and_after_show_the_same_place() -> None:
    before, after = (
        View(picture(i), outcome(Decision.MOVE, "x", ranked({(0, 8): 0.9})), "") for i in (1, 2)
    )
    pair, third = before_after(before, after), SIDE // 3
    assert pair.shape == (third, 2 * third + 4, 3)
    np.testing.assert_array_equal(pair[:, :third], before.picture[:third, -third:])
    np.testing.assert_array_equal(pair[:, -third:], after.picture[:third, -third:])
