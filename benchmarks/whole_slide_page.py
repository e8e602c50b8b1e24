"""The page of benchmarks.whole_slide: a table, and for each way the heights that it took and how
far they were from the truth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.appliance.report import plot

if TYPE_CHECKING:
    from benchmarks.whole_slide import Scanned

SIDE_PX, FIELD_PX = 230.0, (10.0, 9.0)
HALF_DOF_UM = 0.605
MOST_UM = 1.2  # of the error's colours
HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Whole slides, three ways</title><style>
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:62em;padding:0 1em}
table{border-collapse:collapse}td,th{padding:.2em .7em;text-align:right}
th:first-child,td:first-child{text-align:left}tr:nth-child(even){background:#8882}
.maps{display:flex;flex-wrap:wrap;gap:1em}figure{margin:0}figcaption{font-size:13px}
svg{max-width:100%}.wide{overflow-x:auto}</style></head><body>"""
COLUMNS = ("way", "p50 um", "p95 um", "within half DoF", "worst slide", "seconds",
           "standing to focus, s", "cm2 in focus a minute")  # fmt: skip


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row as text."""
    return [
        row["way"], f"{row['p50_um']:.2f}", f"{row['p95_um']:.2f}", f"{100 * row['share']:.1f} %",
        f"{100 * row['worst_slide']:.1f} %", f"{row['seconds']:.0f}", f"{row['focus_s']:.0f}",
        f"{row['cm2_per_min']:.2f}",
    ]  # fmt: skip


def line(row: Mapping[str, Any]) -> str:
    """The same for a terminal, as a row of a Markdown table."""
    return f"| {row['kind']} | {' | '.join(cells(row))} |"


def page(
    rows: Sequence[Mapping[str, Any]], shown: Mapping[tuple[str, str], Scanned], slides: int
) -> str:
    """The whole document."""
    parts = [HEAD, "<h1>A whole slide, focused three ways</h1>"]
    parts.append(
        f"<p>{slides} virtual slides of each kind, the same for every way: the topography is of "
        "published parameters, the eye a model of the networks. Hill climbing's constant offset is "
        "taken out. Colours: blue to red is the height that was taken; green is within half the "
        f"depth of field, orange up to {MOST_UM:g} um off or more.</p>"
    )
    for kind in dict.fromkeys(row["kind"] for row in rows):
        parts += [f"<h2>{escape(kind.capitalize())}</h2>", _table(rows, kind)]
        names = [name for at, name in shown if at == kind]
        parts += ['<div class="maps">', *(_figure(shown[kind, n], n) for n in names), "</div>"]
    return "".join([*parts, "</body></html>\n"])


def _table(rows: Sequence[Mapping[str, Any]], kind: str) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in COLUMNS)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells(row)) + "</tr>"
        for row in rows
        if row["kind"] == kind
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _figure(scanned: Scanned, name: str) -> str:
    """Heights on the left, errors on the right, of the first slide."""
    low, high = np.quantile(scanned.z_um, [0.02, 0.98])
    half_mm = float(np.abs(scanned.places_mm).max()) + 0.5
    x = plot.Axis(-half_mm, half_mm, 4.0, SIDE_PX)
    y = plot.Axis(-half_mm, half_mm, 4.0, SIDE_PX)
    shapes = []
    for (x_mm, y_mm), z_um, error_um in zip(
        scanned.places_mm, scanned.z_um, scanned.error_um, strict=True
    ):
        place = x(float(x_mm)) - FIELD_PX[0] / 2, y(float(y_mm)) - FIELD_PX[1] / 2
        off = "not taken" if math.isinf(error_um) else f"{error_um:+.2f} um"
        share = float(np.clip((z_um - low) / max(high - low, 1e-9), 0.0, 1.0))
        shapes.append(plot.rect(*place, *FIELD_PX, _height_colour(share), f"{z_um:.2f} um"))
        right = place[0] + SIDE_PX + 10.0, place[1]
        shapes.append(plot.rect(*right, *FIELD_PX, _error_colour(abs(error_um)), off))
    picture = plot.svg(2 * SIDE_PX + 20, SIDE_PX + 8, f"{name}: heights and errors", shapes)
    words = (
        f"{name}: {100 * scanned.share:.1f} % within half the depth of field, "
        f"{scanned.seconds:.0f} s"
    )
    return f"<figure>{picture}<figcaption>{escape(words)}</figcaption></figure>"


def _height_colour(share: float) -> str:
    return f"hsl({round(230 - 220 * share)} 65% 55%)"


def _error_colour(error_um: float) -> str:
    """Green up to half the depth of field, then to orange."""
    if error_um <= HALF_DOF_UM:
        return f"hsl(160 60% {round(62 - 25 * error_um / HALF_DOF_UM)}%)"
    share = min(1.0, (error_um - HALF_DOF_UM) / (MOST_UM - HALF_DOF_UM))
    return f"hsl({round(45 - 35 * share)} 85% 50%)"
