"""What the closed loop left behind, field by field, and the table made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge.appliance.evaluate.bootstrap import SlideBootstrap
from edge.decide.decision import Decision
from training.closed_loop_looks import HEAD, Look, summary
from training.closed_loop_looks import line as look_line

MAX_MOVES = 2
ALL = "all"


@dataclass(frozen=True, slots=True)
class Ended:
    """How one field ended; errors are distances from best focus in um, None on a blank field."""

    case: str
    group: str
    slide: int
    start_um: float | None
    first_um: float | None  # after one shot
    final_um: float | None
    decision: str
    reason: str
    moves: int
    shots: int
    sharpness: float | None = None  # reached at the end, of the sharpest plane's
    looks: tuple[Look, ...] = ()  # its frames

    @property
    def settled(self) -> bool:
        """The loop says that it is in focus; anything else was held where it stood."""
        return self.decision == Decision.IN_FOCUS.value


def summarise(rows: Sequence[Ended], dof_um: float) -> list[dict[str, Any]]:
    """Per case a line for all groups and for each: the error of all fields, of those in focus as
    the loop says, and of those it held; blank fields only count moves."""
    table = []
    for case in dict.fromkeys(row.case for row in rows):
        mine = [row for row in rows if row.case == case]
        for group in (ALL, *dict.fromkeys(row.group for row in mine)):
            some = [
                r for r in mine if r.group == group or (group == ALL and r.final_um is not None)
            ]
            if some:
                table.append({"case": case, "group": group, **_line(some, dof_um)})
    return table


def _line(rows: Sequence[Ended], dof_um: float) -> dict[str, Any]:
    held = [row for row in rows if not row.settled]
    line: dict[str, Any] = {
        "fields": len(rows),
        "settled": len(rows) - len(held),
        "held": len(held),
        "held_because": dict(Counter(row.reason for row in held)),
        "moved": sum(row.moves > 0 for row in rows),
        "more_than_two_moves": sum(row.moves > MAX_MOVES for row in rows),
    }
    if any(row.final_um is None for row in rows):
        return line
    line["farther_than_at_the_start"] = sum(_size(r.final_um) > _size(r.start_um) for r in rows)
    line["first_um"] = _errors([row.first_um for row in rows], rows, dof_um)
    line["final_um"] = _errors([row.final_um for row in rows], rows, dof_um)
    line["sharpness"] = _reached(rows)
    line["looks"] = summary([row.looks for row in rows])
    for name, part in (("settled", [r for r in rows if r.settled]), ("held", held)):
        line[f"final_{name}_um"] = _errors([row.final_um for row in part], part, dof_um)
    return line


def _reached(rows: Sequence[Ended]) -> dict[str, float] | None:
    """Median and 10th percentile over the fields."""
    values = [row.sharpness for row in rows if row.sharpness is not None]
    if not values:
        return None
    return {"median": float(np.median(values)), "p10": float(np.quantile(values, 0.1))}


def _size(value: float | None) -> float:
    return 0.0 if value is None else value


def _errors(
    values: Sequence[float | None], rows: Sequence[Ended], dof_um: float
) -> dict[str, Any] | None:
    """Mean, 95th percentile and share within 1 DoF, with 95 % ranges over slides."""
    if not rows:
        return None
    sizes = np.array([_size(v) for v in values], np.float64)
    every = np.ones(len(sizes), bool)
    drawn = SlideBootstrap([f"{row.case} {row.slide}" for row in rows])
    return {
        "mean": float(sizes.mean()),
        "mean_95": drawn.mean(sizes, every),
        "median": float(np.median(sizes)),
        "p95": float(np.quantile(sizes, 0.95)),
        "p95_95": drawn.quantile(sizes, every, 0.95),
        "within_dof": float((sizes < dof_um).mean()),
        "within_dof_95": drawn.share(sizes < dof_um, every),
        "largest": float(sizes.max()),
    }


def text(table: Sequence[dict[str, Any]]) -> str:
    """The table for a terminal, lengths in um."""
    head = (
        f"{'case':<14}{'group':<18}{'fields':>7}{'held':>6}{'1 shot':>8}{'final':>7}{'95 %':>12}"
        f"{'p95':>7}{'95 %':>12}{'1 DoF %':>9}{'settled':>9}{'held at':>9}{'sharpness':>11}"
        f"{'p10':>6}"
    )
    lines = [head, "-" * len(head)]
    for row in table:
        start = f"{row['case']:<14}{row['group']:<18}{row['fields']:>7}{row['held']:>6}"
        if "final_um" not in row:
            lines.append(f"{start}  nothing to focus on: {row['moved']} fields moved")
            continue
        final, parts = row["final_um"], (row["final_settled_um"], row["final_held_um"])
        lines.append(
            f"{start}{row['first_um']['mean']:>8.2f}{final['mean']:>7.2f}"
            f"{_span(final['mean_95']):>12}{final['p95']:>7.2f}{_span(final['p95_95']):>12}"
            f"{100 * final['within_dof']:>9.1f}"
            + "".join(f"{'-' if p is None else format(p['mean'], '.2f'):>9}" for p in parts)
            + _sharpness(row["sharpness"])
        )
    return "\n".join([*lines, "", *looks_text(table)])


def looks_text(table: Sequence[dict[str, Any]]) -> list[str]:
    """What was read of the frames, group by group."""
    rows = [look_line(row["group"], row["looks"]) for row in table if "looks" in row]
    return [HEAD, "-" * len(HEAD), *rows]


def _sharpness(reached: dict[str, float] | None) -> str:
    if reached is None:
        return f"{'-':>11}{'-':>6}"
    return f"{reached['median']:>11.3f}{reached['p10']:>6.2f}"


def _span(span: tuple[float, float] | None) -> str:
    return "-" if span is None else f"{span[0]:.2f}-{span[1]:.2f}"
