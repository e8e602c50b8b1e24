"""Z-stacks on disk: a manifest that says where the stage stood, and the pictures it names.

`manifest.csv` has a row per exposure: `file` (relative to the manifest), `page` (of a multi-page
TIFF, else empty), `stack_id`, `z_um` (stage at the exposure, positive = objective up),
`focus_z_um` (where the stack is in focus, empty = unknown), `um_per_px` (empty = unknown).
`bits` is the depth of the camera and may be left out (see edge.images.bit_depth). Further columns
are kept in `Exposure.extra` and mean nothing here; `sharpness`, how sharp the field is at which
height, is read by edge.appliance.evaluate.sharpness_curve.
"""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from edge.errors import ConfigError
from edge.images.bit_depth import DEPTHS
from edge.images.stack_picture import U8, Plane, rgb_of_plane
from engines.whole_file import leads_outside, read_bounded

COLUMNS = ("file", "page", "stack_id", "z_um", "focus_z_um", "um_per_px")
OPTIONAL = ("bits",)
MAX_BYTES = 1 << 28
MAX_PAGE = 65_535
#: the travel of any microscope stage, and more
MAX_Z_UM = 1e6
UM_PER_PX = (0.001, 1000.0)

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Exposure:
    """One picture of a stack and where the stage stood when it was taken.

    `page` counts from 0. `focus_z_um`, `um_per_px` and `bits` (of the camera) are the same for a
    whole stack, None where they are unknown. `planes` names every picture of the stack: they share
    one grey scale.
    """

    path: Path
    page: int | None
    stack_id: str
    z_um: float
    focus_z_um: float | None
    um_per_px: float | None
    extra: Mapping[str, str] = field(default_factory=dict, hash=False)
    planes: tuple[Plane, ...] = field(default=(), repr=False, compare=False)
    bits: int | None = None

    @property
    def defocus_um(self) -> float | None:
        """The correction that would have focused: positive = raise the objective."""
        return None if self.focus_z_um is None else self.focus_z_um - self.z_um


def read_manifest(path: Path) -> tuple[Exposure, ...]:
    """All exposures in the order of the file.

    Raises ConfigError, `file:line: column = value must ...`, for a missing column, a cell that is
    no number or out of range, a file that is missing or outside the manifest's folder, a stack
    with two pictures at one height or two places of focus, and a manifest without rows.
    """
    exposures: list[Exposure] = []
    first_lines: dict[tuple[str, float], int] = {}
    first: dict[str, tuple[Exposure, int]] = {}
    for line, cells in _rows(path):
        exposure = _exposure(path.parent, cells, f"{path}:{line}")
        before = first_lines.setdefault((exposure.stack_id, exposure.z_um), line)
        if before != line:
            raise ConfigError(
                f"{path}:{line}: z_um = {exposure.z_um:g} of stack {exposure.stack_id!r} "
                f"must differ from line {before}"
            )
        _agree(exposure, *first.setdefault(exposure.stack_id, (exposure, line)), f"{path}:{line}")
        exposures.append(exposure)
    if not exposures:
        raise ConfigError(f"{path}: the manifest has no rows")
    planes = {name: tuple((e.path, e.page) for e in s) for name, s in stacks(exposures).items()}
    return tuple(replace(e, planes=planes[e.stack_id]) for e in exposures)


def stacks(exposures: Iterable[Exposure]) -> dict[str, tuple[Exposure, ...]]:
    """The exposures of each stack from the lowest to the highest z; stacks in order of the file."""
    by_name: dict[str, list[Exposure]] = {}
    for exposure in exposures:
        by_name.setdefault(exposure.stack_id, []).append(exposure)
    return {name: tuple(sorted(e, key=lambda x: x.z_um)) for name, e in by_name.items()}


def read_pixels(exposure: Exposure) -> U8:
    """The picture as (h, w, 3) uint8 RGB, C-contiguous; grey is repeated, alpha dropped.

    More than 8 bits become the 8 highest of the depth that the whole stack has, see
    edge.images.stack_picture. ConfigError when the file cannot be read or has no such page.
    """
    return rgb_of_plane(exposure.path, exposure.page, exposure.planes, exposure.bits)


def _text(path: Path) -> str:
    try:
        if path.is_dir():
            raise ConfigError(f"{path}: is a folder, not a manifest (name its manifest.csv)")
        return read_bounded(path, MAX_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8 text") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: the manifest cannot be read: {why}") from error


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and named cells of each row that is not blank."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    names: list[str] = []
    try:
        for cells in reader:
            row, where = [cell.strip() for cell in cells], f"{path}:{reader.line_num}"
            if not any(row):
                continue
            if not names:
                names = _header(row, where)
            elif len(row) != len(names):
                raise ConfigError(f"{where}: {len(row)} cells, the header has {len(names)}")
            else:
                yield reader.line_num, dict(zip(names, row, strict=True))
    except csv.Error as error:
        raise ConfigError(f"{path}:{reader.line_num}: the row cannot be read: {error}") from error


def _header(row: list[str], where: str) -> list[str]:
    for name in COLUMNS:
        if name not in row:
            header = ", ".join(row)[:200]
            raise ConfigError(f"{where}: the column {name} is missing; found {header}")
    twice = [name for i, name in enumerate(row) if name in row[:i]]
    if twice:
        raise ConfigError(f"{where}: the column {twice[0]!r} stands twice")
    return row


def _exposure(folder: Path, cells: dict[str, str], where: str) -> Exposure:
    if not cells["stack_id"]:
        raise ConfigError(f"{where}: stack_id must not be empty")
    z_um = _number(cells, "z_um", where, -MAX_Z_UM, MAX_Z_UM)
    if z_um is None:
        raise ConfigError(f"{where}: z_um must not be empty")
    return Exposure(
        path=_file(folder, cells["file"], where),
        page=_page(cells["page"], where),
        stack_id=cells["stack_id"],
        z_um=z_um,
        focus_z_um=_number(cells, "focus_z_um", where, -MAX_Z_UM, MAX_Z_UM),
        um_per_px=_number(cells, "um_per_px", where, *UM_PER_PX),
        extra={n: value for n, value in cells.items() if n not in (*COLUMNS, *OPTIONAL)},
        bits=_bits(cells.get("bits", ""), where),
    )


def _agree(exposure: Exposure, other: Exposure, line: int, where: str) -> None:
    for name in ("focus_z_um", "um_per_px", "bits"):
        mine, known = getattr(exposure, name), getattr(other, name)
        if mine != known:
            mine, known = ("empty" if v is None else f"{v:g}" for v in (mine, known))
            raise ConfigError(
                f"{where}: {name} = {mine} must equal {known} of line {line}: "
                f"both are of stack {exposure.stack_id!r}"
            )


def _number(cells: dict[str, str], name: str, where: str, low: float, high: float) -> float | None:
    text = cells[name]
    if not text:
        return None
    # float() would take nan, inf, 1_000 and foreign digits
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not low <= value <= high:
        raise ConfigError(f"{where}: {name} = {text[:40]} must be a number {low:g} to {high:g}")
    return value


def _page(text: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= MAX_PAGE):
        raise ConfigError(f"{where}: page = {text[:40]} must be a whole number 0 to {MAX_PAGE}")
    return int(text)


def _bits(text: str, where: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 3 and int(text) in DEPTHS):
        raise ConfigError(f"{where}: bits = {text[:40]} must be a whole number 8 to 16")
    return int(text)


def _file(folder: Path, text: str, where: str) -> Path:
    if not text:
        raise ConfigError(f"{where}: file must not be empty")
    inside = os.path.normpath(text)
    if os.path.isabs(text) or inside.split(os.sep)[0] == os.pardir:
        raise ConfigError(f"{where}: file = {text[:200]} must lie in the manifest's folder")
    path = folder / text
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that cannot exist
        raise ConfigError(f"{where}: file = {text[:200]} must exist in {folder}")
    if leads_outside(path, folder):
        raise ConfigError(f"{where}: file = {text[:200]} is a link out of the manifest's folder")
    return path
