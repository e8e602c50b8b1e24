"""Positions to and from useq-schema, the language of pymmcore-plus and napari-micromanager.

Only `stage_positions` of an MDASequence is read and written: a list of positions, each a mapping
with `x`, `y`, `z` in um and a `name`, or [x, y, z]. What would need useq-schema itself to be
unrolled (well plates, a position with a sequence of its own, an overall grid) is refused, never
guessed. Written as useq 0.9 writes it without its defaults.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edge.errors import ConfigError
from edge.wsi.grid import MOST_FIELDS
from edge.wsi.path import Field

_KNOWN = {"x", "y", "z", "name", "sequence"}
_UNROLLED = ("grid_plan",)  # of a sequence: it makes positions that are not in the list


@dataclass(frozen=True, slots=True)
class Position:
    """A place, um; `z_um` None = not said."""

    x_um: float
    y_um: float
    z_um: float | None = None
    name: str | None = None


def write_positions(positions: Iterable[Position]) -> str:
    """The JSON of an MDASequence with these positions."""
    rows = []
    for position in positions:
        row: dict[str, Any] = {"x": float(position.x_um), "y": float(position.y_um)}
        if position.z_um is not None:
            row["z"] = float(position.z_um)
        if position.name is not None:
            row["name"] = position.name
        rows.append(row)
    return json.dumps({"stage_positions": rows}, allow_nan=False, separators=(",", ":"))


def positions_of(fields: Iterable[Field]) -> list[Position]:
    """The fields of a plan, named by their numbers."""
    return [Position(field.x_um, field.y_um, None, f"field {field.id}") for field in fields]


def read_positions(text: str | bytes) -> list[Position]:
    """The positions of an MDASequence in JSON. ConfigError, one line, for what has none, or more
    than a list of places."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"useq: not JSON: {str(error).splitlines()[0]}") from error
    if not isinstance(value, Mapping):
        raise ConfigError("useq: not an MDASequence: an object with stage_positions is expected")
    for key in _UNROLLED:
        if value.get(key):
            raise ConfigError(f"useq: {key} is not read: write its positions out")
    rows = value.get("stage_positions")
    if isinstance(rows, Mapping):
        raise ConfigError("useq: stage_positions is a well plate: write its positions out")
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        raise ConfigError("useq: stage_positions must be a list with at least one position")
    if len(rows) > MOST_FIELDS:
        raise ConfigError(f"useq: {len(rows)} positions are more than {MOST_FIELDS}")
    return [_position(row, f"useq: stage_positions[{number}]") for number, row in enumerate(rows)]


def _position(row: Any, where: str) -> Position:
    if isinstance(row, Sequence) and not isinstance(row, str) and 2 <= len(row) <= 3:
        row = dict(zip("xyz", row, strict=False))
    if not isinstance(row, Mapping):
        raise ConfigError(f"{where} must be an object with x and y, or [x, y, z]")
    unknown = sorted(str(key) for key in row if key not in _KNOWN)
    if unknown:
        raise ConfigError(f"{where}.{unknown[0]:.80} is not known")
    if row.get("sequence"):
        raise ConfigError(f"{where} has a sequence of its own: write its positions out")
    name = row.get("name")
    if name is not None and not isinstance(name, str):
        raise ConfigError(f"{where}.name must be a text")
    z = row.get("z")
    return Position(
        _number(row.get("x"), f"{where}.x"),
        _number(row.get("y"), f"{where}.y"),
        None if z is None else _number(z, f"{where}.z"),
        name,
    )


def _number(value: Any, where: str) -> float:
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    try:
        number = float(value) if plain else math.nan
    except OverflowError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{where} = {value!r:.80} must be a number (um)")
    return number
