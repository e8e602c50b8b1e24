"""One field on the report's page: its tile in the overview and its card with everything seen.

Everything that comes from a record goes through `html.escape`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from edge.appliance.report import charts
from edge.appliance.report.charts import Mark
from edge.appliance.report.focus_record import FieldRecord, SessionRecord
from edge.appliance.report.pictures import STRIP
from edge.decide.decision import Decision
from edge.loop import Outcome
from edge.measure.aggregate import NoFocus

TONES = {
    Decision.MOVE: "",
    Decision.VERIFY: "",
    Decision.IN_FOCUS: "good",
    Decision.HOLD: "warn",
    Decision.REFUSE: "bad",
    Decision.SHUTDOWN: "bad",
}


@dataclass(frozen=True, slots=True)
class Pictures:
    """Files of one field, as paths relative to the page; `detail` shows before and after,
    `sharpest` the end beside the sharpest plane."""

    views: tuple[str, ...] = ()
    detail: str | None = None
    sharpest: str | None = None


def contact_tile(session: SessionRecord, field: FieldRecord, pictures: Pictures) -> str:
    """The field in the overview: before and after, and how it ended."""
    picture = ""
    if pictures.detail:
        alt = escape(f"field {field.number} before and after")
        picture = f'<img src="{escape(pictures.detail)}" alt="{alt}" width="508" height="252">'
    errors = ""
    if field.z_focus_um is not None:
        start, final = field.error_um(field.z_start_um), field.error_um(field.z_final_um)
        errors = f"<small>{um(start)} → {um(final)} µm from focus</small>"
    return (
        f'<a href="#field-{field.number}">{picture}<span><b>{_name(field)}</b>'
        f"{_status(session, field)}{errors}</span></a>"
    )


def field_card(session: SessionRecord, field: FieldRecord, pictures: Pictures) -> str:
    """The field with its pictures, the objective's way and every frame."""
    views = "\n".join(
        f'<figure><img src="{escape(path)}" alt="{escape(f"field {field.number}, {view.title}")}" '
        f'width="{view.picture.shape[1]}" height="{view.picture.shape[0] + STRIP}" loading="lazy">'
        f"<figcaption>{_caption(view.title, view.outcome)}</figcaption></figure>"
        for path, view in zip(pictures.views, field.views, strict=True)
    )
    trace = charts.z_trace_svg(field.trace, field.z_focus_um, session.half_depth_um, marks(field))
    return (
        f'<article class="card field" id="field-{field.number}"><h3>{_name(field)} '
        f"{_status(session, field)}</h3><p>{_story(field)}</p>"
        f'<div class="pair">{views}{_sharpest(field, pictures)}</div><div class="under">{trace}'
        f'<div class="scroll">{_frames(field)}</div></div></article>'
    )


def _sharpest(field: FieldRecord, pictures: Pictures) -> str:
    """The last picture beside that of the sharpest plane, pixel by pixel."""
    if pictures.sharpest is None or field.end_detail is None:
        return ""
    height, width = field.end_detail.shape[:2]
    return (
        f'<figure><img src="{escape(pictures.sharpest)}" width="{2 * width + 4}" height="{height}" '
        f'alt="{escape(f"field {field.number}, the end beside the sharpest plane")}" '
        'loading="lazy"><figcaption><b>the end, and the sharpest plane</b>: sharpness reached '
        f"{share(field.sharpness_final)}</figcaption></figure>"
    )


def marks(field: FieldRecord) -> list[Mark]:
    """Frames and moves on the trace's clock; none when the field's start was not kept."""
    start_ns = field.start_ns
    if start_ns is None:
        return []
    shown = []
    for outcome in field.outcomes:
        if outcome.exposure_start_ns is not None and outcome.exposure_end_ns is not None:
            middle_ns = (outcome.exposure_start_ns + outcome.exposure_end_ns) // 2
            words = f"frame {outcome.frame_id}: {outcome.decision.value}"
            shown.append(Mark((middle_ns - start_ns) / 1e9, "frame", words))
        if outcome.move and outcome.sent_ns is not None:
            words = f"move to {outcome.move.target_um:.2f} µm"
            shown.append(Mark((outcome.sent_ns - start_ns) / 1e9, "move", words))
    return shown


def is_sharp(session: SessionRecord, field: FieldRecord) -> bool:
    """Whether the field ended within half the depth of field; False where focus is unknown."""
    error = field.error_um(field.z_final_um)
    return error is not None and error <= session.half_depth_um


def count_of(count: int, noun: str) -> str:
    """ "1 shot", "2 shots" """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def um(value: float | None, signed: bool = False) -> str:
    """Micrometres to 0.01; a dash for what is not known."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:+.2f}".replace("-", "−") if signed else f"{value:.2f}".replace("-", "−")


def share(value: float | None) -> str:
    """A share of one to 0.01; a dash for what is not known."""
    return "–" if value is None else f"{value:.2f}"


def chip(words: str, tone: str) -> str:
    """A word on a coloured background."""
    return f'<span class="chip {tone}">{escape(words)}</span>'


def decision_chip(outcome: Outcome) -> str:
    """The decision's name in its colour."""
    return chip(outcome.decision.value, TONES[outcome.decision])


def _status(session: SessionRecord, field: FieldRecord) -> str:
    """How the field ended, for a person: against the truth where there is one."""
    decision = field.last.decision
    if decision in (Decision.SHUTDOWN, Decision.REFUSE):
        return chip(decision.value, "bad")
    if field.z_focus_um is None:
        moved = any(o.move for o in field.outcomes)
        return chip("moved without focus", "bad") if moved else chip("left alone", "")
    return chip("sharp", "good") if is_sharp(session, field) else chip("not sharp", "bad")


def _name(field: FieldRecord) -> str:
    return f"{field.number} · {escape(charts.specimen(field))}"


def _caption(title: str, outcome: Outcome) -> str:
    measured = outcome.measurement
    if measured is None:
        return f"<b>{escape(title)}</b>: no frame was measured"
    k = count_of(measured.ranked.k, "patch").replace("patchs", "patches")
    return (
        f"<b>{escape(title)}</b>: {escape(measured.ranked.sparsity.value)}, {k} measured, "
        f"defocus {_defocus(outcome)}"
    )


def _story(field: FieldRecord) -> str:
    """Start to end in one line of plain words."""
    if field.z_focus_um is None:
        return f"No best focus to compare with. It ended with {_ending(field)}."
    away = field.z_focus_um - field.z_start_um
    side = "below" if away > 0 else "above"
    first, final = field.error_um(field.z_after_first_um), field.error_um(field.z_final_um)
    return (
        f"Started {um(abs(away))} µm {side} focus; {um(first)} µm off after the first shot, "
        f"{um(final)} µm at the end, in {count_of(field.shots, 'shot')}; "
        f"sharpness reached {share(field.sharpness_final)} of the sharpest plane's."
    )


def _ending(field: FieldRecord) -> str:
    return f"{field.last.decision.value}: {escape(field.last.reason)}"


def _defocus(outcome: Outcome) -> str:
    """Estimate and interval, or what was not believed."""
    estimate = outcome.estimate
    if estimate is None:
        return "–"
    if isinstance(estimate, NoFocus):
        if not math.isfinite(estimate.rejected_um):
            return f"– <small>({escape(estimate.reason.value)})</small>"
        return f"<small>{um(estimate.rejected_um, True)} µm, not believed</small>"
    return f"{um(estimate.defocus_um, True)} ± {um(estimate.interval_um)} µm"


def _frames(field: FieldRecord) -> str:
    rows = "\n".join(
        f'<tr><td class="n">{"–" if o.frame_id is None else o.frame_id}</td>'
        f"<td>{decision_chip(o)}</td><td>{escape(o.reason)}</td>"
        f'<td class="n">{_defocus(o)}</td>'
        f'<td class="n">{um(o.move.target_um) if o.move else "–"}</td>'
        f'<td class="n">{f"{o.age_ms:.0f}" if o.age_ms is not None else "–"}</td></tr>'
        for o in field.outcomes
    )
    return (
        '<table><thead><tr><th scope="col" class="n">frame</th><th scope="col">decision</th>'
        '<th scope="col">reason</th><th scope="col" class="n">defocus</th>'
        '<th scope="col" class="n">stage target, µm</th><th scope="col" class="n">age, ms</th></tr>'
        f"</thead><tbody>\n{rows}\n</tbody></table>"
    )
