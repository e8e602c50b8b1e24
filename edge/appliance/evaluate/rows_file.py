"""The frames of an evaluation as CSV: one row per frame, lists as JSON in a cell."""

from __future__ import annotations

import contextlib
import csv
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edge.appliance.files import is_stream, put_in_place
from edge.appliance.frame_result import FrameResult
from edge.errors import ConfigError

#: one value per frame; lengths in um
SCALARS = (
    "condition", "group", "slide", "split", "stack_id", "file", "page", "z_um", "focus_z_um",
    "true_um", "found_um", "interval_um", "rejected_um", "reason", "decision", "sparsity", "k",
    "network_um", "between_um", "importance_min", "importance_median", "shift", "shift_feature",
    "shift_alarm", "sharpness",
)  # fmt: skip
#: JSON in a cell: per chosen patch, best first; the frame's light; further manifest columns
LISTS = ("patch_importance", "patch_defocus_um", "patch_spread_um", "optics", "novelty",
         "photometry", "extra")  # fmt: skip
COLUMNS = (*SCALARS, *LISTS)
_TEXT = ("condition", "group", "slide", "split", "stack_id", "file", "reason", "decision",
         "sparsity", "shift_feature")  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


@contextmanager
def rows_file(path: Path | None) -> Iterator[Callable[[FrameResult], None]]:
    """A function that appends a frame to the CSV at `path`, or does nothing without one.

    Until all is measured the file is `<name>.part`: an interrupted run keeps its rows there,
    and a file under its own name is complete. A link is followed; a pipe or a device is written
    as it is, never replaced. ConfigError when it cannot be written.
    """
    if path is None:
        yield lambda result: None
        return
    target = path if is_stream(path) else path.resolve()
    part = target if is_stream(path) else target.with_name(target.name + ".part")
    with _told(path):  # names of any bytes: a folder's is a condition's
        file = part.open("w", newline="", encoding="utf-8", errors="surrogateescape")
    try:
        writer = csv.writer(file)

        def append(result: FrameResult) -> None:
            cells = [_cell(name, getattr(result, name)) for name in COLUMNS]
            with _told(path):
                writer.writerow(cells)
                file.flush()

        with _told(path):
            writer.writerow(COLUMNS)
            file.flush()
        yield append
    finally:
        with contextlib.suppress(OSError):  # every row was flushed; what was not has been told
            file.close()
    if part is not target:
        with _told(path):
            put_in_place(part, target)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """What the disk says, as one line that names the option."""
    try:
        yield
    except OSError as error:
        raise ConfigError(f"--rows {path}: cannot be written: {error.strerror}") from error


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in LISTS:
        return json.dumps(_six_digits(value), allow_nan=False, separators=(",", ":"))
    if name in _TEXT:
        return harmless(str(value))
    return repr(value) if isinstance(value, float) else str(value)


def _six_digits(value: Any) -> Any:
    """Far below what the networks know."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return [_six_digits(each) for each in value] if isinstance(value, (list, tuple)) else value


def harmless(text: str) -> str:
    """A text cell that no spreadsheet takes for a formula: one that begins like one, or already
    with a quote, gets a quote before it. `unharmed` gives it back."""
    return f"'{text}" if text[:1] in _FORMULA else text


def unharmed(cell: str) -> str:
    """What `harmless` was given."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _FORMULA and cell[1:2] else cell


def read_rows(path: Path) -> list[FrameResult]:
    """The frames of a CSV that `rows_file` wrote; ConfigError names line and column."""
    try:
        with path.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise ConfigError(f"{path}:1: the column {missing[0]} is missing")
            csv.field_size_limit(1 << 20)
            return [_parsed(cells, f"{path}:{reader.line_num}") for cells in reader]
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: is not a file of rows: {error}") from error


def _parsed(cells: Mapping[str, str], at: str) -> FrameResult:
    values: dict[str, Any] = {}
    for name in COLUMNS:
        text = cells[name] or ""  # None: the row was cut short
        try:
            values[name] = _value(name, text)
        except (KeyError, ValueError, RecursionError) as error:
            raise ConfigError(f"{at}: {name} = {text[:40]!r} is not what it should be") from error
    return FrameResult(**values)


def _value(name: str, text: str) -> Any:
    if name in _TEXT:
        return unharmed(text)
    if not text:
        return None
    if name in LISTS:
        return json.loads(text)
    if name in ("k", "page"):
        return int(text)
    if name == "shift_alarm":
        return {"True": True, "False": False}[text]
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value
