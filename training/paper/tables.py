"""The paper's Tables 1 to 3 as HTML: ours on simulated slides, theirs quoted from the paper.

The two never share a table: they were measured on different slides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape

from edge.appliance.evaluate.bootstrap import Range
from edge.appliance.evaluate.metrics import ALL, Line
from training.paper.published import DOF, DSS, GROUPS, MAE_UM

Cell = Callable[[Line], str]
OURS_HERE = "Here, on simulated slides. Small: 95 % range over slides."
THEIRS_THERE = "The paper's Table {}, on the paper's own data: quoted, not measured here."


def mean_errors(lines: Sequence[Line]) -> str:
    """Table 1: mean absolute error and its standard deviation, um."""
    theirs = {name: [f"{mean:.2f} ± {sd:.2f}" for mean, sd in row] for name, row in MAE_UM.items()}
    return measured(lines, _mean_and_sd, OURS_HERE) + quoted(theirs, THEIRS_THERE.format(1))


def dof_accuracy(lines: Sequence[Line]) -> str:
    """Table 2: share within 1/3, 1/2 and 1 depth of field (0.63 um), %."""
    theirs = {
        name: [" / ".join(f"{share:.1f}" for share in cell) for cell in row]
        for name, row in DOF.items()
    }
    return measured(lines, _three_shares, OURS_HERE) + quoted(theirs, THEIRS_THERE.format(2))


def direction(lines: Sequence[Line]) -> str:
    """Table 3: direction success, %."""
    theirs = {name: [f"{share:.2f}" for share in row] for name, row in DSS.items()}
    return measured(lines, _direction, OURS_HERE) + quoted(theirs, THEIRS_THERE.format(3))


def measured(lines: Sequence[Line], cell: Cell, caption: str) -> str:
    """One row per condition of `lines`, one column per group."""
    by_group = {(x.condition, x.group): x for x in lines if x.distance == ALL}
    names = dict.fromkeys(line.condition for line in lines)
    rows = {
        name: [cell(by_group[name, g]) if (name, g) in by_group else "–" for g in GROUPS]
        for name in names
    }
    return _table(caption, "method", GROUPS, rows, escaped=False)


def quoted(rows: Mapping[str, Sequence[str]], caption: str) -> str:
    """The paper's rows."""
    return _table(caption, "method", GROUPS, rows)


def plain(caption: str, first: str, heads: Sequence[str], rows: Mapping[str, Sequence[str]]) -> str:
    """Any table of words and numbers."""
    return _table(caption, first, heads, rows)


def _table(
    caption: str,
    first: str,
    heads: Sequence[str],
    rows: Mapping[str, Iterable[str]],
    escaped: bool = True,
) -> str:
    head = "".join(f'<th scope="col" class="n">{escape(name)}</th>' for name in heads)
    body = "\n".join(
        f'<tr><th scope="row">{escape(name)}</th>'
        + "".join(f'<td class="n">{escape(c) if escaped else c}</td>' for c in cells)
        + "</tr>"
        for name, cells in rows.items()
    )
    return (
        f'<div class="card scroll"><table><caption>{escape(caption)}</caption><thead><tr>'
        f'<th scope="col">{escape(first)}</th>{head}</tr></thead><tbody>\n'
        f"{body}\n</tbody></table></div>"
    )


def _mean_and_sd(line: Line) -> str:
    mean, sd = line.values["mae_um"], line.values["sd_um"]
    if mean is None or sd is None:
        return "–"
    unanswered = line.frames - line.answered
    note = f", {unanswered} held" if unanswered else ""
    return f"{mean:.2f} ± {sd:.2f}{_small(line.ranges['mae_um'], 1.0, 2, note)}"


def _three_shares(line: Line) -> str:
    shares = [line.values[f"paper_dof{part}"] for part in ("_third", "_half", "")]
    if any(share is None for share in shares):
        return "–"
    words = " / ".join(f"{100 * (share or 0.0):.1f}" for share in shares)
    return words + _small(line.ranges["paper_dof"], 100.0, 1)


def _direction(line: Line) -> str:
    share = line.values["dss"]
    return "–" if share is None else f"{100 * share:.2f}" + _small(line.ranges["dss"], 100.0, 1)


def mean_only(line: Line) -> str:
    """Mean error, and how many frames had a patch where not all had."""
    mean = line.values["mae_um"]
    note = f", {line.answered} of {line.frames}" if line.answered < line.frames else ""
    return "–" if mean is None else f"{mean:.2f}" + _small(line.ranges["mae_um"], 1.0, 2, note)


def _small(span: Range | None, times: float, digits: int, note: str = "") -> str:
    words = (
        "" if span is None else f"{times * span[0]:.{digits}f}–{times * span[1]:.{digits}f}"
    ) + note
    return f"<small>{escape(words.lstrip(', '))}</small>" if words else ""
