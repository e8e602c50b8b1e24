"""The report's page: one HTML file that opens offline, with no script and nothing from outside.

Everything that comes from a record goes through `html.escape`; the pictures are files beside it.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from edge.appliance.report import charts
from edge.appliance.report.field import (
    Pictures,
    contact_tile,
    count_of,
    decision_chip,
    field_card,
    is_sharp,
    share,
    um,
)
from edge.appliance.report.focus_record import FieldRecord, SessionRecord
from edge.appliance.report.plot import number
from edge.appliance.report.style import style_sheet


def page(session: SessionRecord, pictures: list[Pictures]) -> str:
    """The whole page; `pictures` in the order of the session's fields."""
    tone, sentence = verdict(session)
    together = list(zip(session.fields, pictures, strict=True))
    return Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8")).substitute(
        title=escape(session.title),
        css=style_sheet(),
        tone=tone,
        verdict=escape(sentence),
        alarm=_alarm(session),
        tiles="\n".join(_tiles(session)),
        contact="\n".join(contact_tile(session, f, p) for f, p in together),
        error_chart=charts.error_svg(session.fields, session.half_depth_um),
        table=_table(session),
        histogram=charts.latency_histogram_svg(session.latencies_ms, session.period_ms),
        stages=charts.stage_bars_svg(_latencies(session)),
        fields="\n".join(field_card(session, f, p) for f, p in together),
        half_depth=f"{session.half_depth_um:.2f}",
        deadband=f"{session.deadband_um:.2f}",
        facts="\n".join(
            f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>"
            for key, value in {**session.facts, **_worth(session)}.items()
        ),
    )


def _worth(session: SessionRecord) -> dict[str, str]:
    """What a reading is worth at the session's end, as far as the moves have told."""
    scales = [o.scale for f in session.fields for o in f.outcomes if o.scale is not None]
    if not scales:
        return {}
    last = scales[-1]
    words = "known" if last.known else "not known yet: one factor is wrong with another iris"
    jumps = f", it jumped {last.jumps} times" if last.jumps else ""
    value = f"{last.value:.2f} read per µm, ±{100 * last.interval:.0f} % ({words}{jumps})"
    return {"What a reading is worth": value}


def verdict(session: SessionRecord) -> tuple[str, str]:
    """Tone (good, warn, bad) and the session in one sentence."""
    if session.shutdown_reason:
        return "bad", f"Shut down: {session.shutdown_reason}"
    if not session.fields:
        return "warn", "No field was focused."
    known = [f for f in session.fields if f.z_focus_um is not None]
    sharp = [f for f in known if is_sharp(session, f)]
    others = [f for f in session.fields if f.z_focus_um is None]
    still = [f for f in others if not any(o.move for o in f.outcomes)]
    sentences = []
    if known:
        near = f"within ±{session.half_depth_um:.2f} µm of best focus"
        sentences.append(f"{_of(len(sharp), len(known))} ended sharp, {near}")
    if others:
        verb = "was" if len(others) == 1 else "were"
        sentences.append(
            f"{_of(len(still), len(others))} with nothing to focus on {verb} left alone"
        )
    good = len(sharp) == len(known) and len(still) == len(others)
    sentence = "; ".join(sentences) + "."
    return ("good" if good else "warn"), sentence[0].upper() + sentence[1:]


def _of(some: int, total: int) -> str:
    """ "5 of 6 fields", "all 6 fields", "the one field" """
    if some < total:
        return f"{some} of {count_of(total, 'field')}"
    return "the one field" if total == 1 else f"all {total} fields"


def _latencies(session: SessionRecord) -> list[Any]:
    return [o.latency_ms for f in session.fields for o in f.outcomes if o.latency_ms]


def _alarm(session: SessionRecord) -> str:
    if not session.shutdown_reason:
        return ""
    reason = escape(session.shutdown_reason)
    return (
        f'<p class="alarm" role="alert"><b>SHUTDOWN</b> {reason}. Nothing moves any more until a '
        "person has looked and restarts it; the fields that were left were not tried.</p>"
    )


def _tile(label: str, value: str, note: str, tone: str = "") -> str:
    """`value` is HTML, the rest text."""
    return (
        f'<div class="tile {tone}"><p>{escape(label)}</p><p class="value">{value}</p>'
        f"<p>{escape(note)}</p></div>"
    )


def _tiles(session: SessionRecord) -> Iterable[str]:
    summary = session.summary()
    latency, misses, refused = (
        summary[k] for k in ("latency_ms", "deadline_misses", "moves_refused")
    )
    known = sum(f.z_focus_um is not None for f in session.fields)
    shots = sum(f.shots for f in session.fields) / max(len(session.fields), 1)
    yield _tile(
        "Fields", str(summary["fields"]), f"{known} with a best focus, {shots:.1f} shots each"
    )
    yield _tile("Sharp at the end", _share(summary["within_dof"]),
                f"within ±{session.half_depth_um:.2f} µm of best focus",
                _tone(summary["within_dof"] == 1, summary["within_dof"] is None))  # fmt: skip
    yield _tile(
        "Error after one shot", _with_unit(summary["mae_first_um"], "µm"), "mean over fields"
    )
    yield _tile("Error at the end", _with_unit(summary["mae_final_um"], "µm"), "mean over fields")
    yield _tile("Sharpness reached", share(summary["sharpness_median"]),
                "of the sharpest plane's gradient energy, median; a tenth of the fields below "
                f"{share(summary['sharpness_p10'])}")  # fmt: skip
    yield _tile("Direction right", _share(summary["dss"]), "first estimate points towards focus")
    yield _tile("Frame to decision, p50", _with_unit(latency["p50"], "ms", 1),
                f"frame period {number(session.period_ms)} ms")  # fmt: skip
    slow = f"{count_of(misses, 'frame')} slower than the period"
    yield _tile("Frame to decision, p99", _with_unit(latency["p99"], "ms", 1), slow,
                "bad" if misses else "")  # fmt: skip
    yield _tile("Moves refused", str(refused), "by the safety checks", "bad" if refused else "")


def _tone(good: bool, unknown: bool) -> str:
    return "" if unknown else "good" if good else "bad"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} <small>%</small>"


def _with_unit(value: float | None, unit: str, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f} <small>{unit}</small>"


def _table(session: SessionRecord) -> str:
    heads = ("field", "specimen", "class", "start, µm", "after one shot, µm", "end, µm",
             "sharpness", "decision", "reason", "shots", "k")  # fmt: skip
    numeric = {0, 3, 4, 5, 6, 9, 10}
    head = "".join(
        f'<th scope="col"{_n(i in numeric)}>{escape(h)}</th>' for i, h in enumerate(heads)
    )
    rows = "\n".join(_row(session, field) for field in session.fields)
    return (
        "<table><caption>Distance from the sharpest plane at the start, after one shot and at the "
        "end; sharpness reached at the end, as a share of that plane's gradient energy; "
        "k = patches measured on the first frame.</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
    )


def _n(numeric: bool) -> str:
    return ' class="n"' if numeric else ""


def _row(session: SessionRecord, field: FieldRecord) -> str:
    heights = (field.z_start_um, field.z_after_first_um, field.z_final_um)
    start, first, final = (um(field.error_um(z)) for z in heights)
    tone = _tone(is_sharp(session, field), field.z_focus_um is None)
    return (
        f'<tr><td class="n"><a href="#field-{field.number}">{field.number}</a></td>'
        f"<td>{escape(field.kind)}</td><td>{escape(field.sparsity)}</td>"
        f'<td class="n">{start}</td><td class="n">{first}</td><td class="n {tone}">{final}</td>'
        f'<td class="n">{share(field.sharpness_final)}</td>'
        f"<td>{decision_chip(field.last)}</td><td>{escape(field.last.reason)}</td>"
        f'<td class="n">{field.shots}</td><td class="n">{field.k}</td></tr>'
    )
