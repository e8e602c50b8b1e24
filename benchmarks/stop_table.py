"""The tables of docs/fault_matrix.md that `make stops` writes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.stop_ways import CLIENTS, HOME

BEGIN, END = "<!-- stops: written by `make stops` -->", "<!-- stops end -->"

ON = "goes on"


def put_into(document: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Between the marks of the document."""
    text = document.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    document.write_text(f"{before}{BEGIN}\n{tables(rows)}\n{END}{after}", encoding="utf-8")


def tables(rows: Sequence[dict[str, Any]]) -> str:
    """`stage move` by driver, the other verbs on the reference firmware, serve-asi's clients."""
    moves = [row for row in rows if row["verb"] == "stage move"]
    clients = [row for row in rows if row["way"] in CLIENTS]
    homes = [row for row in rows if row["verb"] == HOME]
    apart = ("stage move", HOME)
    others = [row for row in rows if row["verb"] not in apart and row["way"] not in CLIENTS]
    parts = (
        "`sparsefocus stage move`, by driver; ms from the event until the motor rests:",
        _table(moves, "driver"),
        "The other verbs that move, on the reference firmware:",
        _table(others, "verb"),
        "The client of `stage serve-asi`, by driver; it has never read an answer:",
        _table(clients, "driver"),
        "`sparsefocus stage home`, by the drivers that look for a reference:",
        _table(homes, "driver"),
    )
    return "\n" + "\n\n".join(parts) + "\n"


def _table(rows: Sequence[dict[str, Any]], by: str) -> str:
    columns = list(dict.fromkeys(row[by] for row in rows))
    lines = ["| what ends it | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for way in dict.fromkeys(row["way"] for row in rows):
        cells = [_cell(rows, by, column, way) for column in columns]
        lines.append(f"| {way} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: Sequence[dict[str, Any]], by: str, column: str, way: str) -> str:
    matching = [row for row in rows if row[by] == column and row["way"] == way]
    if not matching:
        return "-"
    return ON if matching[0]["rest_ms"] is None else str(matching[0]["rest_ms"])
