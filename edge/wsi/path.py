"""The plan of a scan: which fields of a slide are visited, in which order. Frozen, and of no stage.

All regions share one lattice, so fields agree in their overlaps wherever they come from. A field is
planned wherever a region claims anything at all: the least speck of cytology is worth a look. A
plan never shrinks; it grows by the neighbours of a field at its border in which something was seen.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edge.wsi.grid import MOST_FIELDS, Grid
from edge.wsi.regions import Box, Region
from edge.wsi.route import Cell, distance_um, in_order, neighbours, travel_um

_FORMAT = 1  # of the JSON


@dataclass(frozen=True, slots=True)
class Field:
    """One place of the plan. `content`: the share of it that a region claims (0 to 1; 0 for one
    that was grown): it ranks, and never decides what is blank. `grown_by`: id of that field."""

    id: int
    row: int
    column: int
    x_um: float
    y_um: float
    content: float
    grown_by: int | None = None

    @property
    def cell(self) -> Cell:
        """Its place in the lattice."""
        return self.row, self.column


@dataclass(frozen=True, slots=True)
class Line:
    """Fields side by side in one row, as they are visited; `direction` +1: x rises."""

    row: int
    direction: int
    fields: tuple[Field, ...]


@dataclass(frozen=True)
class ScanPlan:
    """`fields` in the order of the visit; `window`: where centres of fields may lie; `fixed`: the
    places were given one by one, lie on no lattice, and none is added."""

    grid: Grid
    fields: tuple[Field, ...]
    window: Box
    fixed: bool = False

    def __post_init__(self) -> None:
        if not self.fields:
            raise ValueError("a plan has at least one field")
        if len({field.id for field in self.fields}) != len(self.fields):
            raise ValueError("two fields of the plan have the same id")
        if len(self.cells) != len(self.fields):
            raise ValueError("two fields of the plan lie at the same place")
        for field in self.fields:
            if not self.window.holds(field.x_um, field.y_um):
                raise ValueError(f"field {field.id} lies outside the window of the plan")

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    @cached_property
    def cells(self) -> frozenset[Cell]:
        return frozenset(field.cell for field in self.fields)

    @cached_property
    def by_id(self) -> Mapping[int, Field]:
        """The fields by their number."""
        return {field.id: field for field in self.fields}

    @property
    def travel_um(self) -> float:
        """The way from the first field to the last, by the axis that has more of each step."""
        return travel_um([(field.x_um, field.y_um) for field in self.fields])

    @cached_property
    def digest(self) -> str:
        """A name for exactly this plan: SHA-256 of its JSON."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def lines(self) -> list[Line]:
        """The plan as lines for a continuous scan: runs of fields that lie side by side."""
        runs: list[list[Field]] = []
        for field in self.fields:
            run = runs[-1] if runs else []
            if run and field.row == run[-1].row:
                step = field.column - run[-1].column
                so_far = run[1].column - run[0].column if len(run) > 1 else step
                if abs(step) == 1 and step == so_far:
                    run.append(field)
                    continue
            runs.append([field])
        return [_line(run, runs[i - 1] if i else None) for i, run in enumerate(runs)]

    def at_border(self, field_id: int) -> bool:
        """Whether a neighbour of this field is not in the plan, and could be."""
        return bool(self._missing_around(field_id))

    def grow(
        self, field_id: int, done: Collection[int], toward: frozenset[Cell] | None = None
    ) -> ScanPlan:
        """The plan with the missing neighbours of a field in which something was seen: all of
        them, or those on the sides (rows, columns from here) to whose edge something reaches.

        Each goes where it costs the least travel among the fields still to come; `done`: ids of
        those that were visited. The same calls give the same plan. KeyError for an unknown id.
        """
        row, column = self.by_id[field_id].cell
        missing = [
            cell
            for cell in self._missing_around(field_id)
            if toward is None or (cell[0] - row, cell[1] - column) in toward
        ]
        if not missing:
            return self
        fields = list(self.fields)
        first = 1 + max((i for i, field in enumerate(fields) if field.id in done), default=-1)
        next_id = 1 + max(field.id for field in fields)
        for cell in missing:
            x, y = self.grid.place(cell)
            new = Field(next_id, *cell, x, y, 0.0, field_id)
            fields.insert(_cheapest(fields, first, new), new)
            next_id += 1
        return ScanPlan(self.grid, tuple(fields), self.window)

    def _missing_around(self, field_id: int) -> list[Cell]:
        around = neighbours(self.by_id[field_id].cell)
        return [
            cell
            for cell in around
            if not self.fixed
            and cell not in self.cells
            and self.window.holds(*self.grid.place(cell))
        ]

    def as_json(self) -> dict[str, Any]:
        """Plain values; `plan_of_json` reads them back to an equal plan."""
        grid, window = self.grid, self.window
        return {
            "format": _FORMAT,
            "grid": [grid.width_um, grid.height_um, grid.overlap, grid.x0_um, grid.y0_um],
            "window": [window.x0_um, window.y0_um, window.x1_um, window.y1_um],
            "fixed": self.fixed,
            "fields": [
                [f.id, f.row, f.column, f.x_um, f.y_um, f.content, f.grown_by] for f in self.fields
            ],
        }


def plan_of_json(value: Any) -> ScanPlan:
    """The plan that `as_json` wrote. ValueError for anything else."""
    try:
        if value["format"] != _FORMAT:
            raise ValueError(f"a plan of format {value['format']!r}, not {_FORMAT}")
        grid, window = Grid(*value["grid"]), Box(*value["window"])
        fields = tuple(Field(*row) for row in value["fields"])
        return ScanPlan(grid, fields, window, bool(value["fixed"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a plan of a scan: {error!r}") from error


def plan_scan(
    regions: Sequence[Region], grid: Grid, window: Box, columns: bool = False
) -> ScanPlan:
    """A plan over all regions: everything they claim is shown by a field whose centre the stage
    may reach, with no field that shows only what its neighbours show. `columns`: to and fro along
    Y, which is quicker where fields are wider than high and the stage stops at each. ValueError
    when there is none."""
    content = {
        cell: area
        for cell in sorted({cell for region in regions for cell in grid.cells(region.box)})
        if window.holds(*grid.place(cell)) and (area := _claimed(regions, grid.own(cell))) > 0
    }
    if not content:
        raise ValueError("no field of these regions lies inside the stage's window")
    if len(content) > MOST_FIELDS:
        raise ValueError(f"{len(content)} fields are more than {MOST_FIELDS}")
    _spare(content, regions, grid)
    whole_um2 = grid.pitch_x_um * grid.pitch_y_um
    fields = tuple(
        Field(number, *cell, *grid.place(cell), min(1.0, content[cell] / whole_um2))
        for number, cell in enumerate(_ordered(content, grid, columns))
    )
    return ScanPlan(grid, fields, window)


def _ordered(content: Mapping[Cell, float], grid: Grid, columns: bool) -> list[Cell]:
    if not columns:
        return in_order(content, grid.place)
    turned = {(column, row): area for (row, column), area in content.items()}
    return [(row, column) for column, row in in_order(turned, lambda c: grid.place((c[1], c[0])))]


def _claimed(regions: Sequence[Region], box: Box) -> float:
    return math.fsum(region.content_um2(box) for region in regions)


def _spare(content: dict[Cell, float], regions: Sequence[Region], grid: Grid) -> None:
    """Take out the fields of which all that is claimed is shown by others, too; those then stay."""
    relied_on: set[Cell] = set()
    for cell in sorted(content, key=lambda cell: (content[cell], cell)):
        if cell in relied_on:
            continue
        shown_by = _shown_by_others(grid.parts(cell), content, regions)
        if shown_by is not None:
            del content[cell]
            relied_on |= shown_by


def _shown_by_others(
    parts: Sequence[tuple[Box, list[Cell]]],
    content: Mapping[Cell, float],
    regions: Sequence[Region],
) -> set[Cell] | None:
    """The fields with most content that show all that is claimed here; None when none do."""
    chosen: set[Cell] = set()
    for box, others in sorted(parts, key=lambda part: len(part[1])):  # the middle first
        if _claimed(regions, box) > 0:
            planned = [cell for cell in others if cell in content]
            if not planned:
                return None
            chosen.add(max(planned, key=lambda cell: (content[cell], cell)))
    return chosen


def plan_at(places: Sequence[tuple[float, float]], grid: Grid, window: Box) -> ScanPlan:
    """A plan of exactly these places (x, y in um), in this order. ValueError when there is none,
    or one lies outside the window."""
    fields = tuple(Field(number, number, 0, x, y, 1.0) for number, (x, y) in enumerate(places))
    return ScanPlan(grid, fields, window, fixed=True)


def _line(run: Sequence[Field], before: Sequence[Field] | None) -> Line:
    """A single field is passed on from the side where the stage comes from."""
    if len(run) > 1:
        step = run[1].x_um - run[0].x_um
    else:
        step = run[0].x_um - before[-1].x_um if before else 1.0
    return Line(run[0].row, -1 if step < 0 else 1, tuple(run))


def _cheapest(fields: Sequence[Field], first: int, new: Field) -> int:
    """Where among fields[first:] it costs the least travel; late where that is equal."""
    here = (new.x_um, new.y_um)

    def cost(i: int) -> float:
        before = (fields[i - 1].x_um, fields[i - 1].y_um) if i else here
        if i == len(fields):
            return distance_um(before, here)
        after = (fields[i].x_um, fields[i].y_um)
        saved_um = distance_um(before, after) if i else 0.0
        return distance_um(before, here) + distance_um(here, after) - saved_um

    return min(range(first, len(fields) + 1), key=lambda i: (cost(i), -i))
