"""The plan of a scan: what it covers, in which order, and how it grows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.wsi import path
from edge.wsi.grid import Grid
from edge.wsi.path import ScanPlan, plan_at, plan_of_json, plan_scan
from edge.wsi.regions import Box, Mask, Polygon
from edge.wsi.route import distance_um, in_order, islands, travel_um
from edge.wsi.walk import Answer, Walk

#: 2448 x 2048 px of 0.34 um
GRID = Grid(832.32, 696.32, 0.1)
WINDOW = Box(-30_000, -30_000, 30_000, 30_000)


def square(size_um: float, x_um: float = 0.0, y_um: float = 0.0) -> Polygon:
    x1, y1 = x_um + size_um, y_um + size_um
    return Polygon(((x_um, y_um), (x1, y_um), (x1, y1), (x_um, y1)))


def blobs(*cells: tuple[int, int]) -> ScanPlan:
    """A plan of exactly these cells of the lattice."""
    spots = [square(1.0, x - 0.5, y - 0.5) for x, y in map(GRID.place, cells)]
    return plan_scan(spots, GRID, WINDOW)


def test_a_slide_of_15_mm_has_480_fields() -> None:
    x0, y0 = GRID.width_um / 2, GRID.height_um / 2
    grid = Grid(GRID.width_um, GRID.height_um, 0.1, x0, y0)
    plan = plan_scan([square(15_000)], grid, WINDOW)
    assert len(plan) == 20 * 24 == len(plan.lines()) * 20
    assert grid.pitch_x_um == pytest.approx(749, abs=0.1)
    assert grid.pitch_y_um == pytest.approx(627, abs=0.4)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_every_speck_of_a_region_is_shown_and_no_field_in_vain(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = rng.random((30, 40)) < 0.02
    cells[3, 4] = True
    mask = Mask(cells, 100.0, 0.0, 0.0)
    plan = plan_scan([mask], GRID, WINDOW)
    shown = sum(mask.content_um2(GRID.box(field.cell)) > 0 for field in plan)
    assert shown == len(plan)
    for row, column in zip(*np.nonzero(cells), strict=True):
        x, y = 100.0 * column + 50, 100.0 * row + 50
        assert any(GRID.box(field.cell).holds(x, y) for field in plan)


def test_rows_are_passed_to_and_fro() -> None:
    plan = blobs(*[(r, c) for r in range(4) for c in range(5)])
    assert [line.direction for line in plan.lines()] == [1, -1, 1, -1]
    assert plan.travel_um == pytest.approx(16 * GRID.pitch_x_um + 3 * GRID.pitch_y_um)


def test_most_content_first() -> None:
    big = square(4000, 0, 0)
    specks = [square(100, 15_000, 0), square(100, -15_000, 0), square(100, 0, 15_000)]
    plan = plan_scan([*specks, big], GRID, WINDOW)
    assert plan.fields[0].content > 0.2
    assert [field.content > 0.05 for field in plan].index(False) > 20


def test_a_row_with_a_gap_is_entered_at_its_nearer_end() -> None:
    plan = blobs((0, 0), (0, 1), (1, 1), (1, 2), (1, 3), (2, 3), (2, 4))
    assert [field.cell for field in plan] == [
        (0, 0),
        (0, 1),
        (1, 1),
        (1, 2),
        (1, 3),
        (2, 3),
        (2, 4),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_islands_cost_less_travel_than_rows_over_all_of_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    content = {}
    for _ in range(12):
        row, column = rng.integers(0, 40, 2)
        for dr in range(rng.integers(1, 4)):
            for dc in range(rng.integers(1, 4)):
                content[int(row + dr), int(column + dc)] = float(rng.random())
    order = in_order(content, GRID.place)
    assert sorted(order) == sorted(content)
    rows = sorted(content, key=lambda cell: (cell[0], cell[1] * (-1) ** cell[0]))
    assert travel_um([GRID.place(c) for c in order]) < 0.75 * travel_um(
        [GRID.place(c) for c in rows]
    )
    assert in_order(dict(reversed(content.items())), GRID.place) == order


def test_islands_touch_by_their_corners_too() -> None:
    assert islands([(0, 0), (1, 1), (3, 3)]) == [[(0, 0), (1, 1)], [(3, 3)]]


def test_the_way_is_that_of_the_slower_axis() -> None:
    assert distance_um((0, 0), (3, -4)) == 4


def test_the_window_of_the_stage_bounds_the_plan() -> None:
    narrow = Box(-100, -100, 1000, 1000)
    plan = plan_scan([square(5000)], GRID, narrow)
    assert {field.cell for field in plan} == {(0, 0), (0, 1), (1, 0), (1, 1)}
    assert not any(plan.at_border(field.id) for field in plan)
    with pytest.raises(ValueError, match="window"):
        plan_scan([square(10, 20_000, 20_000)], GRID, narrow)


def test_a_border_field_with_content_grows_the_plan() -> None:
    plan = blobs((0, 0))
    walk = Walk(plan)
    first = walk.next()
    assert first is not None
    assert first.cell == (0, 0)
    assert walk.visited(first.id, informative_patches=1) is Answer.CONTENT
    assert {field.cell for field in walk.plan} == {(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)}
    assert all(field.grown_by == first.id for field in walk.plan if field.id != first.id)
    assert (walk.done, walk.left) == (1, 8)


@pytest.mark.parametrize(("patches", "answer"), [(0, Answer.BLANK), (None, Answer.UNKNOWN)])
def test_a_field_grows_nothing_without_content(patches: int | None, answer: Answer) -> None:
    """Whatever the macro picture claims of it."""
    walk = Walk(plan_scan([square(500, -250, -250)], GRID, WINDOW))
    field = walk.next()
    assert field is not None
    assert field.content > 0.3
    assert walk.visited(field.id, patches) is answer
    assert len(walk.plan) == 1


def test_content_that_no_region_claimed_counts_like_any() -> None:
    walk = Walk(blobs((0, 0)))
    content = {(0, 0), (0, 1), (0, 2), (1, 3)}
    while (field := walk.next()) is not None:
        walk.visited(field.id, int(field.cell in content))
    assert content <= {field.cell for field in walk.plan}
    assert next(f for f in walk.plan if f.cell == (1, 3)).content == 0


def test_fields_that_were_grown_come_after_those_visited_and_nearby() -> None:
    walk = Walk(blobs(*[(0, c) for c in range(6)], (9, 9)))
    visited = []
    for _ in range(3):
        field = walk.next()
        assert field is not None
        visited.append(field.id)
        walk.visited(field.id, 1)
    assert [field.id for field in walk.plan][:3] == visited
    assert [field.cell for field in walk.plan][-1] == (9, 9)  # far away, and still last


def test_the_same_answers_give_the_same_walk() -> None:
    start = blobs(*[(0, c) for c in range(4)])
    rng = np.random.default_rng(7)
    walks, digests = [], []
    for again in (False, True):
        walk = Walk(start)
        for number in range(12):
            field = walk.next()
            assert field is not None
            patches = walks[number][1] if again else int(rng.integers(0, 2))
            if not again:
                walks.append((field.id, patches))
            assert walks[number][0] == field.id
            walk.visited(field.id, patches)
        digests.append(walk.plan.digest)
    assert digests[0] == digests[1] != start.digest


def test_a_walk_says_no_to_what_cannot_be() -> None:
    walk = Walk(blobs((0, 0)))
    with pytest.raises(ValueError, match="not in the plan"):
        walk.visited(99, 1)
    with pytest.raises(ValueError, match="informative"):
        walk.visited(0, -1)
    walk.visited(0, 0)
    assert walk.next() is None
    with pytest.raises(ValueError, match="before"):
        walk.visited(0, 0)


def test_a_plan_is_frozen_and_goes_through_json() -> None:
    plan = plan_scan([square(3000), square(300, 9000, 9000)], GRID, WINDOW)
    plan = plan.grow(plan.fields[0].id, [plan.fields[0].id])
    again = plan_of_json(json.loads(json.dumps(plan.as_json())))
    assert (again, again.digest) == (plan, plan.digest)
    with pytest.raises(AttributeError):
        plan.fields = ()  # type: ignore[misc]


@pytest.mark.parametrize("change", [{"format": 2}, {"fields": 3}, {"grid": [1]}, {"fields": [[1]]},
                                    {"fields": []}, {"window": [0, 0, 1, 1]}])  # fmt: skip
def test_what_is_no_plan(change: dict[str, object]) -> None:
    value = {**blobs((3, 3), (0, 0)).as_json(), **change}
    with pytest.raises(ValueError):
        plan_of_json(value)
    with pytest.raises(ValueError, match="plan"):
        plan_of_json(None)


def test_places_given_one_by_one_stay_as_they_are() -> None:
    plan = plan_at([(5.0, 5.0), (900.0, 1.0), (5.5, 5.0)], GRID, WINDOW)
    assert [(field.x_um, field.y_um) for field in plan] == [(5.0, 5.0), (900.0, 1.0), (5.5, 5.0)]
    assert not plan.at_border(0)
    assert plan.grow(0, [0]) is plan
    assert len(plan.lines()) == 3
    assert plan_of_json(plan.as_json()) == plan
    with pytest.raises(ValueError, match="window"):
        plan_at([(1e6, 0.0)], GRID, WINDOW)


def test_too_many_fields_are_refused_before_they_are_counted_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(ValueError, match="more than"):
        plan_scan([square(50_000)], Grid(1.0, 1.0), WINDOW)
    monkeypatch.setattr(path, "MOST_FIELDS", 3)
    with pytest.raises(ValueError, match="4 fields are more than 3"):
        blobs((0, 0), (4, 0), (0, 4), (4, 4))


@pytest.mark.parametrize(
    "sizes", [(0, 1), (1, math.nan), (1, 1, 0.6), (1, 1, -0.1), (1, 1, 0.1, math.inf)]
)
def test_what_is_no_grid(sizes: tuple[float, ...]) -> None:
    with pytest.raises(ValueError):
        Grid(*sizes)


def test_two_fields_are_never_one() -> None:
    plan = blobs((0, 0), (0, 1))
    a, b = plan.fields
    for pair in ((a, a), (a, path.Field(b.id, *a.cell, a.x_um, a.y_um, 1.0))):
        with pytest.raises(ValueError, match="same"):
            ScanPlan(GRID, pair, WINDOW)
