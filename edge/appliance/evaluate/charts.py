"""The plots of an evaluation as SVG: found against true, errors, error by distance, coverage.

Groups have colours that colour-blind readers can tell apart, and a name beside every use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from edge.appliance.evaluate.metrics import ALL, Line, start_of
from edge.appliance.frame_result import FrameResult
from edge.appliance.report import plot
from edge.appliance.report.plot import Axis

#: Okabe and Ito (2008), less the yellow that is lost on white, and two dark ones of Tol's
PALETTE = ("#0072b2", "#56b4e9", "#cc79a7", "#d55e00", "#e69f00", "#009e73", "#6c5ba7", "#8c6d1f",
           "#7a8794")  # fmt: skip
RANGE_UM = 25.0
MAX_DOTS = 1500  # of a panel: more than can be told apart
HISTOGRAM_UM = 2.0
STRIP_UM = 2.0  # errors of this size and above are drawn as large marks
#: a frame, its true and its found correction
Point = tuple[FrameResult, float, float | None]


def colours(groups: Sequence[str]) -> dict[str, str]:
    """A colour per group, in order."""
    return {group: PALETTE[i % len(PALETTE)] for i, group in enumerate(dict.fromkeys(groups))}


def reach_um(rows: Sequence[FrameResult]) -> float:
    """Half the side of the regression plots that hold all of `rows`."""
    values = [v for r in rows for v in (r.true_um, r.found_um) if v is not None]
    return max([RANGE_UM, *(math.ceil(abs(v)) for v in values)]) * 1.04


def regression_svg(
    group: str, rows: Sequence[FrameResult], colour: str, dof_um: float, reach: float
) -> str:
    """Found against true correction of one group (the paper's Fig. 2), and the error below it on
    a scale where it can be seen; ticks between them for frames without an answer."""
    known = [(r, r.true_um, r.found_um) for r in rows if r.true_um is not None]
    width, height = 360, 462
    x, y = Axis(-reach, reach, 56, width - 12), Axis(-reach, reach, 320, 30)
    strip = Axis(-STRIP_UM, STRIP_UM, 414, 334)
    parts = [plot.text(x.start_px, 18, group, more='font-weight="600"')]
    parts += _wrong_quarters(x, y)
    parts += plot.y_axis(y, x.start_px, x.end_px, "found, µm")
    parts += plot.y_axis(strip, x.start_px, x.end_px, "error, µm")
    parts += plot.x_axis(x, y.end_px, strip.start_px, "true, µm")
    top, bottom = strip(dof_um), strip(-dof_um)
    parts.append(plot.rect(x.start_px, top, x.end_px - x.start_px, bottom - top, plot.BAND))
    parts.append(plot.line(x(-reach), y(-reach), x(reach), y(reach), plot.MUTED))
    for row, true, answer in _thin(known, dof_um):
        parts += _answer_marks(row, true, answer, (x, y, strip), colour)
    answers = sum(answer is not None for _, _, answer in known)
    parts.append(plot.text(x.end_px, 18, f"{answers} of {len(known)} answered", "end", plot.MUTED))
    return plot.svg(width, height, f"Found against true defocus, {group}", parts)


def _wrong_quarters(x: Axis, y: Axis) -> list[str]:
    middle_x, middle_y = x(0.0), y(0.0)
    shade = "#d55e0012"  # as good as none: the dots in it have to stand out
    return [
        plot.rect(x.start_px, y.end_px, middle_x - x.start_px, middle_y - y.end_px, shade),
        plot.rect(middle_x, middle_y, x.end_px - middle_x, y.start_px - middle_y, shade),
    ]


def _thin(points: Sequence[Point], dof_um: float) -> list[Point]:
    """Few enough dots; every frame outside 1 DoF and every unanswered one is kept."""
    plain = [p for p in points if p[2] is not None and abs(p[2] - p[1]) < dof_um]
    others = [p for p in points if p[2] is None or not abs(p[2] - p[1]) < dof_um]
    step = max(1, -(-len(plain) // MAX_DOTS))
    return plain[::step] + others


def _answer_marks(
    row: FrameResult, true: float, answer: float | None, axes: tuple[Axis, Axis, Axis], colour: str
) -> list[str]:
    x, y, strip = axes
    at = x(true)
    if answer is None:
        tip = f"{row.name}: true {true:+.2f} µm, {row.reason}"
        foot = (y.start_px + strip.end_px) / 2
        corners = [(at - 1, foot + 5), (at + 1, foot + 5), (at + 1, foot - 5), (at - 1, foot - 5)]
        return [plot.polygon(corners, plot.BAD, tip)]
    error = answer - true
    if abs(error) < STRIP_UM:
        return [plot.dot(at, y(answer), 2, colour), plot.dot(at, strip(error), 1.7, colour)]
    tip = f"{row.name}: true {true:+.2f}, found {answer:+.2f} µm"
    return [_diamond(at, y(answer), colour, tip), _diamond(at, strip(error), colour, tip)]


def _diamond(x: float, y: float, fill: str, tip: str) -> str:
    return plot.polygon([(x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y)], fill, tip)


def histogram_svg(rows: Sequence[FrameResult], dof_um: float) -> str:
    """Signed errors of all groups; the outermost bars hold everything beyond."""
    errors = np.array([r.error_um for r in rows if r.error_um is not None], float)
    width, height = 560, 300
    if not errors.size:
        return plot.svg(width, 70, "Errors", [plot.text(width / 2, 40, "no answer", "middle")])
    edges = np.linspace(-HISTOGRAM_UM, HISTOGRAM_UM, 41)
    counts, _ = np.histogram(np.clip(errors, edges[0], edges[-1]), edges)
    x = Axis(-HISTOGRAM_UM, HISTOGRAM_UM, 62, width - 16)
    y = Axis(0.0, float(counts.max()) * 1.05, height - 50, 34)
    band = plot.rect(x(-dof_um), y.end_px, x(dof_um) - x(-dof_um), y.start_px - y.end_px, plot.BAND)
    parts = [band, *plot.y_axis(y, x.start_px, x.end_px, "frames")]
    parts += plot.x_axis(x, y.end_px, y.start_px, "found less true, µm")
    for i, count in enumerate(counts):
        low, high = float(edges[i]), float(edges[i + 1])
        beyond = i in (0, len(counts) - 1)
        tip = f"{low:+.1f} to {high:+.1f} µm{' and beyond' if beyond else ''}: {count}"
        left, right, level = x(low) + 0.5, x(high) - 0.5, y(float(count))
        fill = plot.BAD if beyond and count else plot.BLUE
        parts.append(plot.rect(left, level, right - left, y.start_px - level, fill, tip))
    outside = int((np.abs(errors) >= HISTOGRAM_UM).sum())
    parts.append(plot.text(x.start_px, 18, f"shaded: ±{dof_um:.2f} µm, 1 DoF", fill=plot.GOOD))
    parts.append(plot.text(x.end_px, 18, f"{outside} at ±{HISTOGRAM_UM:g} µm or beyond", "end",
                           plot.BAD if outside else plot.MUTED))  # fmt: skip
    return plot.svg(width, height, "Histogram of signed errors", parts)


def distance_svg(lines: Sequence[Line], colour: Mapping[str, str]) -> str:
    """Mean error by distance from focus (the paper's Fig. 3), a bar per group with its range."""
    groups = [g for g in dict.fromkeys(line.group for line in lines) if g != ALL]
    order = sorted({x.distance for x in lines if x.distance != ALL}, key=start_of)
    cell = {(line.group, line.distance): line for line in lines}
    width, height = 940, 340
    tops = [max(line.values["mae_um"] or 0.0, (line.ranges["mae_um"] or (0.0, 0.0))[1])
            for (g, d), line in cell.items() if g != ALL and d != ALL]  # fmt: skip
    y = Axis(0.0, max(tops, default=1.0) * 1.05 or 1.0, height - 50, 44)
    left, right = 62.0, width - 12.0
    parts = [*plot.y_axis(y, left, right, "mean |error|, µm"), *_legend(groups, colour, left)]
    slot = (right - left) / max(len(order), 1)
    bar = min(slot * 0.84 / max(len(groups), 1), 26.0)
    for i, distance in enumerate(order):
        middle = left + slot * (i + 0.5)
        parts.append(plot.text(middle, y.start_px + 16, distance, "middle", plot.MUTED))
        for j, group in enumerate(groups):
            at = middle + (j - (len(groups) - 1) / 2) * bar
            parts += _bar(cell.get((group, distance)), at, bar - 3.0, y, colour[group])
    title = "distance from focus, µm"
    parts.append(plot.text((left + right) / 2, y.start_px + 36, title, "middle"))
    return plot.svg(width, height, "Mean error by distance from focus", parts)


def _bar(line: Line | None, at: float, width: float, y: Axis, fill: str) -> list[str]:
    mean = None if line is None else line.values["mae_um"]
    if line is None or mean is None:
        return []
    span = line.ranges["mae_um"]
    tip = f"{line.group}, {line.distance} µm: {mean:.2f} µm, {line.answered} frames"
    parts = [plot.rect(at - width / 2, y(mean), width, y.start_px - y(mean), fill, tip)]
    if span is not None:
        parts.append(plot.line(at, y(span[0]), at, y(span[1]), "currentColor"))
    return parts


def _legend(groups: Sequence[str], colour: Mapping[str, str], left: float) -> list[str]:
    parts, at = [], left
    for group in groups:
        parts += [plot.rect(at, 10, 12, 12, colour[group]), plot.text(at + 17, 20, group)]
        at += 34 + 6.7 * len(group)
    return parts


def coverage_svg(groups: Sequence[Line], colour: Mapping[str, str]) -> str:
    """Share of errors inside their own 95 % interval, per group, with its range over slides."""
    width, pitch, top = 560, 34, 40.0
    bottom = top + pitch * max(len(groups), 1)
    lows = [(line.ranges["coverage"] or (1.0, 1.0))[0] for line in groups]
    values = [v for line in groups if (v := line.values["coverage"]) is not None]
    low = min(80.0, 100.0 * min([*lows, *values], default=0.8))
    x = Axis(10 * math.floor(low / 10), 100.0, 140, width - 76)
    parts = [plot.rect(x(93), top, x(97) - x(93), bottom - top, plot.BAND)]
    parts += plot.x_axis(x, top, bottom, "errors inside the interval, %")
    parts.append(plot.line(x(95), top, x(95), bottom, plot.GOOD, 'stroke-dasharray="5 3"'))
    parts.append(plot.text(x(95), top - 10, "promised: 95 %", "middle", plot.GOOD))
    for i, line in enumerate(groups):
        at, value, span = top + pitch * (i + 0.5), line.values["coverage"], line.ranges["coverage"]
        parts.append(plot.text(x.start_px - 10, at + 4, line.group, "end"))
        if value is None:
            continue
        if span is not None:
            ends = x(100 * span[0]), x(100 * span[1])
            parts.append(
                plot.line(ends[0], at, ends[1], at, colour[line.group], 'stroke-width="3"')
            )
        tip = f"{line.group}: {100 * value:.1f} % of {line.answered}"
        parts.append(plot.dot(x(100 * value), at, 5.5, colour[line.group], tip))
        parts.append(plot.text(x.end_px + 68, at + 4, f"{100 * value:.1f} %", "end"))
    return plot.svg(width, bottom + 46, "Coverage of the 95 % interval", parts)
