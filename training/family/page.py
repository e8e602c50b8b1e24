"""The page of `make family`: Markdown, one line a row and one a group."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engines.manifest import Manifest
from engines.whole_file import replace_file
from training.family.frames import Measured, Plan
from training.family.table import ALL, Cell

PAGE = "family.md"
#: heading, and how a cell shows it
COLUMNS: tuple[tuple[str, str, str], ...] = (
    ("slides", "slides", "d"), ("frames", "frames", "d"), ("answered", "answered", "%"),
    ("mean, um", "mean_um", ".2f"), ("nominal um", "mean_nominal", ".2f"),
    ("median", "median_nominal", ".2f"), ("depths of focus", "mean_depths", ".2f"),
    ("direction", "direction", "%"), ("interval holds", "coverage", "%"),
    ("with an unknown scale", "interval_scale", "%"), ("confidently wrong", "wrong", "%"),
    ("told / true", "slope", ".2f"), ("after one move", "after_move", ".2f"),
    ("interval after", "after_coverage", "%"), ("alarm", "alarms", "%"),
    ("its area", "alarm_auc", ".2f"),
)  # fmt: skip


def write(
    lines: Sequence[tuple[Measured, list[Cell]]], models: Path, plan: Plan, out: Path
) -> Path:
    """Write the page in one piece; its path."""
    path = out / PAGE
    replace_file(path, text(lines, models, plan))
    return path


def text(lines: Sequence[tuple[Measured, list[Cell]]], models: Path, plan: Plan) -> str:
    """The page."""
    hashes = ", ".join(f"{n} {Manifest.read(models / f'{n}.json').sha256[:12]}" for n in _NAMES)
    parts = [
        "# One pair of networks on a grid of instruments\n",
        f"Models {hashes}; second judge, seed {plan.seed}, {plan.slides} slides a group, "
        f"{plan.planes} planes a slide within 26 axial units, frames of 3 x 3 patches, no slide "
        "rendered exactly. The condenser is drawn for every slide and not told.\n",
        _heading("instrument"),
        *(_line(m.row.words + (" (refused)" if m.refused else ""), _of(some, ALL), m)
          for m, some in lines),
        "\n## What the runtime says to it\n",
        *(f"- {m.row.words}: {m.refused or 'takes it'}" for m, _ in lines),
        "\n## By group\n",
        _heading("instrument, group"),
        *(_line(f"{m.row.words}, {c.group}", c, m) for m, some in lines for c in some
          if c.group != ALL),
    ]  # fmt: skip
    return "\n".join(parts) + "\n"


_NAMES = ("rin", "dpn")


def _of(some: Sequence[Cell], group: str) -> Cell:
    return next(cell for cell in some if cell.group == group)


def _heading(first: str) -> str:
    names = [first, "owed", *(name for name, _, _ in COLUMNS)]
    return f"| {' | '.join(names)} |\n|{'---|' * len(names)}"


def _line(words: str, cell: Cell, measured: Measured) -> str:
    owed = "" if measured.row.owed is None or cell.group != ALL else f"{measured.row.owed:.2f}"
    shown = [_shown(getattr(cell, name), form) for _, name, form in COLUMNS]
    return f"| {' | '.join([words, owed, *shown])} |"


def _shown(value: float | None, form: str) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f} %" if form == "%" else f"{value:{form}}"
