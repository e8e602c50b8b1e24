"""The page of an evaluation: one HTML file with inline SVG, no script, nothing from outside."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

from edge.appliance.evaluate import charts
from edge.appliance.evaluate.bootstrap import RESAMPLES, Range
from edge.appliance.evaluate.evaluation import Evaluation
from edge.appliance.evaluate.metrics import PAPER_DOF_UM, Line
from edge.appliance.files import make_folder, write_json, write_result
from edge.appliance.frame_result import FrameResult
from edge.appliance.report.report import PAGE, REPORT, check_folder
from edge.appliance.report.style import style_sheet

DATA = "evaluation.json"
#: heading, value's name, whether it is a share, whether its range is shown
_COLUMNS = (
    ("answered, %", "answered_share", True, False),
    ("MAE, µm", "mae_um", False, True),
    ("sd", "sd_um", False, False),
    ("median", "median_um", False, False),
    ("95th", "p95_um", False, True),
    ("1 DoF, %", "dof", True, True),
    ("1/2", "dof_half", True, False),
    ("1/3", "dof_third", True, False),
    (f"{PAPER_DOF_UM:g} µm", "paper_dof", True, False),
    ("of all", "dof_of_all", True, False),
    ("DSS, %", "dss", True, True),
    ("from 1 µm", "direction", True, False),
    ("inside, %", "coverage", True, True),
    ("inside within 3 µm, %", "coverage_near", True, True),
    ("sharpness reached", "sharpness", False, True),
    ("10th", "sharpness_p10", False, False),
    ("±, µm", "interval_um", False, False),
)


def write_page(evaluation: Evaluation, folder: Path) -> Path:
    """Write the page and its numbers into `folder`, made if needed; returns the page's path.

    ConfigError when that would overwrite a page that is not ours, and when the disk says no.
    """
    check_folder(folder)
    make_folder(REPORT, folder)
    write_json(evaluation.as_json(), folder / DATA, REPORT)
    write_result(page(evaluation), folder / PAGE, REPORT)
    return folder / PAGE


def page(evaluation: Evaluation) -> str:
    """The whole page."""
    colour = charts.colours([row.group for row in evaluation.rows if row.scored])
    return Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).substitute(
        css=style_sheet(),
        title=escape(", ".join(evaluation.conditions) or "z-stacks"),
        verdict=escape(_verdict(evaluation)),
        tiles="\n".join(_tiles(evaluation)),
        summary=_summary(evaluation),
        conditions="\n".join(
            _condition(evaluation, name, colour) for name in evaluation.conditions
        ),
        blank=_blank(evaluation),
        worst=_worst(evaluation.worst),
        dof=f"{evaluation.dof_um:.2f}",
        paper=f"{PAPER_DOF_UM:g}",
        resamples=str(RESAMPLES),
        facts="\n".join(
            f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>"
            for key, value in evaluation.facts.items()
        ),
    )


def _verdict(evaluation: Evaluation) -> str:
    """The first condition in a sentence, and the hardest one where there are several."""
    lines = [line for name in evaluation.conditions if (line := evaluation.whole(name)).answered]
    if not lines:
        return "No frame with a known focus was answered."
    first, hardest = lines[0], max(lines, key=_mae)
    sentence = (
        f"{first.condition}: mean error {_mae(first):.2f} µm on {first.answered} of {first.frames} "
        f"frames, {100 * (first.values['dof'] or 0.0):.0f} % within ±{evaluation.dof_um:.2f} µm."
    )
    if len(lines) > 1:
        sentence += (
            f" Hardest of {len(lines)} conditions: {hardest.condition}, {_mae(hardest):.2f} µm."
        )
    return sentence


def _mae(line: Line) -> float:
    return line.values["mae_um"] or 0.0


def _tiles(evaluation: Evaluation) -> Iterable[str]:
    scored = [row for row in evaluation.rows if row.scored]
    slides = {(row.condition, row.slide) for row in scored}
    several = len(evaluation.conditions) > 1
    note = f"of {len(slides)} slides" + f", {len(evaluation.conditions)} conditions" * several
    yield _tile("Frames scored", str(len(scored)), note)
    lines = [evaluation.whole(name) for name in evaluation.conditions]
    over = "lowest and highest condition" if several else "of the answered frames"
    for label, name, share in (("Mean error", "mae_um", False),
                               ("Direction right (DSS)", "dss", True)):  # fmt: skip
        values = [v for line in lines if (v := line.values[name]) is not None]
        low, high = (_value(f(values), share) if values else "–" for f in (min, max))
        unit = "%" if share else "µm"
        text = low if low == high else f"{low} – {high}"
        yield _tile(label, f"{text} <small>{unit}</small>", over)
    moves, frames = (
        sum(getattr(x, n) for x in evaluation.blanks) for n in ("false_moves", "frames")
    )
    bad = "bad" if moves else ""
    yield _tile("False moves", str(moves), f"on {frames} frames with nothing to focus on", bad)


def _tile(label: str, value: str, note: str, tone: str = "") -> str:
    """`value` is HTML, the rest text."""
    return (
        f'<div class="tile {tone}"><p>{escape(label)}</p><p class="value">{value}</p>'
        f"<p>{escape(note)}</p></div>"
    )


def _summary(evaluation: Evaluation) -> str:
    if len(evaluation.conditions) < 2:
        return ""
    rows = [(name, evaluation.whole(name)) for name in evaluation.conditions]
    body = _table("condition", rows, "All groups of a condition together.")
    return f"<section><h2>Conditions</h2>{body}</section>"


def _condition(evaluation: Evaluation, condition: str, colour: dict[str, str]) -> str:
    whole, groups = evaluation.whole(condition), evaluation.groups(condition)
    lines = [line for line in evaluation.lines if line.condition == condition]
    rows = [row for row in evaluation.rows if row.condition == condition and row.scored]
    reasons = ", ".join(f"{n} {escape(why)}" for why, n in sorted(whole.reasons.items()))
    about = f"{whole.frames} frames of {whole.slides} slides"
    about += f"; not answered: {reasons}" if reasons else "; all answered"
    if (worse := whole.values["worse"]) is not None:
        about += f"; moves that would end farther from focus: {_value(worse, True)} %"
    shown = [(line.group, line) for line in groups]
    if len(groups) > 1:
        shown.append(("all groups", whole))
    reach = charts.reach_um(rows)
    panels = "\n".join(
        '<div class="card">'
        + charts.regression_svg(
            g.group,
            [r for r in rows if r.group == g.group],
            colour[g.group],
            evaluation.dof_um,
            reach,
        )
        + "</div>"
        for g in groups
    )
    return (
        f"<section><h2>{escape(condition)}</h2>{_table('group', shown, about)}"
        "<h3>Found against true</h3>"
        '<p class="lead">Grey line: no error; tinted quarters: wrong direction; green band: 1 DoF. '
        f"Large marks are off by {charts.STRIP_UM:g} µm or more, red ticks were not answered.</p>"
        f'<div class="panels">{panels}</div>'
        f'<div class="pair"><figure class="card">{charts.histogram_svg(rows, evaluation.dof_um)}'
        "<figcaption>Errors of all groups; the two outermost bars hold everything beyond."
        f'</figcaption></figure><figure class="card">{charts.coverage_svg(groups, colour)}'
        "<figcaption>Errors inside their own 95 % interval, and the 95 % range of that share."
        "</figcaption></figure></div>"
        f'<figure class="card">{charts.distance_svg(lines, colour)}'
        "<figcaption>Mean error by distance from focus, with its 95 % range over slides."
        "</figcaption></figure></section>"
    )


def _table(first: str, rows: Sequence[tuple[str, Line]], caption: str) -> str:
    """A table of lines; `caption` is HTML."""
    heads = [first, "frames", "slides", *(column[0] for column in _COLUMNS)]
    head = "".join(
        f'<th scope="col"{" class=n" if i else ""}>{escape(h)}</th>' for i, h in enumerate(heads)
    )
    body = "\n".join(_row(name, line) for name, line in rows)
    return (
        f'<div class="card scroll"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _row(name: str, line: Line) -> str:
    cells = [f"<td>{escape(name)}</td>", _cell(str(line.frames)), _cell(str(line.slides))]
    for _, key, share, with_range in _COLUMNS:
        value = line.values[key]
        text = "–" if value is None else _value(value, share)
        cells.append(_cell(text + (_span(line.ranges[key], share) if with_range else "")))
    return f"<tr>{''.join(cells)}</tr>"


def _cell(html: str) -> str:
    return f'<td class="n">{html}</td>'


def _value(value: float, share: bool) -> str:
    return f"{100 * value:.1f}" if share else f"{value:.2f}"


def _span(span: Range | None, share: bool) -> str:
    if span is None:
        return ""
    return f"<small>{_value(span[0], share)}–{_value(span[1], share)}</small>"


def _blank(evaluation: Evaluation) -> str:
    if not evaluation.blanks:
        return ""
    names = ("condition", "group", "frames", "slides", "answered", "false moves", "share, %",
             "largest, µm")  # fmt: skip
    head = "".join(f"<th{' class=n' if i > 1 else ''}>{n}</th>" for i, n in enumerate(names))
    rows = "".join(
        f"<tr><td>{escape(b.condition)}</td><td>{escape(b.group)}</td>"
        + "".join(_cell(str(v)) for v in (b.frames, b.slides, b.answered, b.false_moves))
        + _cell(_value(b.share, True) + _span(b.share_95, True))
        + _cell("–" if b.largest_um is None else f"{b.largest_um:.1f}")
        + "</tr>"
        for b in evaluation.blanks
    )
    return (
        "<section><h2>Nothing to focus on</h2>"
        '<p class="lead">The right answer is none. A false move: the estimate was sure enough for '
        'the controller to move the objective.</p><div class="card scroll"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div></section>"
    )


def _worst(rows: Sequence[FrameResult]) -> str:
    if not rows:
        return ""
    names = ("frame", "condition", "group", "true, µm", "found, µm", "±, µm", "k")
    head = "".join(f"<th{' class=n' if i > 2 else ''}>{n}</th>" for i, n in enumerate(names))
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(v)}</td>" for v in (r.name, r.condition, r.group))
        + "".join(_cell(f"{v or 0.0:+.2f}".replace("-", "−")) for v in (r.true_um, r.found_um))
        + _cell(f"{r.interval_um or 0.0:.2f}") + _cell(str(r.k)) + "</tr>"
        for r in rows
    )  # fmt: skip
    return (
        '<section><h2>Largest errors</h2><div class="card scroll"><table><thead><tr>'
        f"{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )
