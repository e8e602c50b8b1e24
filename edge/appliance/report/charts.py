"""The report's charts as SVG: errors, the objective's way, latency and where it goes.

Every axis names its unit; every mark carries a tool tip and differs by shape as well as colour.
Values that are not finite are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.appliance.report import plot
from edge.appliance.report.focus_record import FieldRecord
from edge.appliance.report.plot import Axis

#: the loop's stages in the order in which a frame passes them
STAGES = ("preprocess", "rin", "select", "dpn", "gpu", "plain_look", "aggregate", "plan", "move")
F64 = npt.NDArray[np.float64]
MAX_POINTS = 600  # of a trace: more than a screen shows


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened on the way. `what` is "frame" (exposed) or "move" (sent)."""

    seconds: float
    what: str
    label: str


def error_svg(fields: Sequence[FieldRecord], half_depth_um: float) -> str:
    """|error| of each field at the start, after the first shot and at the end, on a log axis."""
    rows = [(f, _errors(f)) for f in fields]
    positive = [e for _, errors in rows for e in errors or () if e > 0] + [half_depth_um]
    pitch = 26 if len(rows) <= 40 else 16
    top, bottom, width = 48.0, 48.0 + pitch * max(len(rows), 1), 760
    low = 10 ** math.floor(math.log10(max(min(positive) * 0.9, 0.01)))
    x = Axis(low, max(max(positive) * 1.3, low * 10), 150, width - 90, log=True)
    parts = [plot.rect(x.start_px, top, x(half_depth_um) - x.start_px, bottom - top, plot.BAND)]
    parts += plot.x_axis(x, top, bottom, "distance from best focus, µm (log)")
    parts += _dashed_v(x(half_depth_um), top, bottom, plot.GOOD)
    parts += _error_legend(x, half_depth_um)
    for i, (field, errors) in enumerate(rows):
        parts += _error_row(field, errors, x, top + pitch * (i + 0.5), half_depth_um)
    return plot.svg(width, bottom + 44, "Focus error of each field, start to end", parts)


def specimen(field: FieldRecord) -> str:
    """What was looked at: "cell, sparse"; a blank field has only one word."""
    words = (field.kind, field.sparsity)
    return field.kind if field.kind == field.sparsity else ", ".join(words)


def _errors(field: FieldRecord) -> tuple[float, float, float] | None:
    heights = (field.z_start_um, field.z_after_first_um, field.z_final_um)
    start, first, final = (field.error_um(z) for z in heights)
    if start is None or first is None or final is None:
        return None
    return (start, first, final) if all(map(math.isfinite, (start, first, final))) else None


def _error_legend(x: Axis, half_depth_um: float) -> list[str]:
    at = x.start_px
    return [
        plot.dot(at + 6, 16, 4.5, "none", stroke=plot.MUTED),
        plot.text(at + 16, 20, "start"),
        plot.dot(at + 66, 16, 6.5, "none", stroke=plot.BLUE),
        plot.text(at + 78, 20, "after the first shot"),
        plot.dot(at + 206, 16, 5, plot.GOOD),
        plot.text(at + 216, 20, "end, sharp"),
        _diamond(at + 294, 16, plot.BAD),
        plot.text(at + 304, 20, "end, not sharp"),
        plot.text(at + 4, 42, f"sharp: ≤ {half_depth_um:.2f} µm", fill=plot.GOOD),
    ]


def _error_row(
    field: FieldRecord,
    errors: tuple[float, float, float] | None,
    x: Axis,
    y: float,
    half_depth_um: float,
) -> list[str]:
    name = plot.text(x.start_px - 10, y + 4, f"{field.number} · {specimen(field)}", "end")
    if errors is None:
        words = f"no best focus to compare with: {field.last.decision.value}"
        return [name, plot.text(x.end_px - 8, y + 4, words, "end", plot.MUTED)]
    start, first, final = errors
    tips = [f"field {field.number}, {when}: {e:.3f} µm" for when, e in
            (("start", start), ("after the first shot", first), ("end", final))]  # fmt: skip
    sharp = final <= half_depth_um
    end = plot.dot(x(final), y, 5, plot.GOOD, tips[2]) if sharp else None
    return [
        name,
        plot.line(x(start), y, x(final), y, plot.MUTED, 'stroke-width="2" opacity="0.5"'),
        plot.dot(x(start), y, 4.5, "var(--card, #fff)", tips[0], plot.MUTED),
        plot.dot(x(first), y, 6.5, "var(--card, #fff)", tips[1], plot.BLUE),
        end or _diamond(x(final), y, plot.BAD, tips[2]),
        plot.text(x.end_px + 82, y + 4, f"{final:.2f} µm", "end", plot.GOOD if sharp else plot.BAD),
    ]


def _diamond(x: float, y: float, fill: str, tip: str = "") -> str:
    return plot.polygon([(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)], fill, tip)


def _dashed_v(x: float, top: float, bottom: float, stroke: str) -> list[str]:
    return [plot.line(x, top, x, bottom, stroke, 'stroke-width="1.5" stroke-dasharray="5 3"')]


def z_trace_svg(
    trace: Sequence[tuple[float, float]],
    z_focus_um: float | None,
    half_depth_um: float,
    marks: Sequence[Mark] = (),
) -> str:
    """Objective height in um over seconds, with the band in which the picture is sharp."""
    path = [(s, z) for s, z in trace if math.isfinite(s) and math.isfinite(z)]
    width, height = 560, 240
    label = "Objective height over time"
    if not path:
        return _empty(width, "the objective's height was not recorded", label)
    heights = [z for _, z in path]
    if z_focus_um is not None:
        heights += [z_focus_um - half_depth_um, z_focus_um + half_depth_um]
    room = max(0.08 * (max(heights) - min(heights)), 0.2)
    y = Axis(min(heights) - room, max(heights) + room, height - 44, 28)
    first_s, last_s = path[0][0], max(path[-1][0], path[0][0] + 1e-3)
    x = Axis(min(first_s, 0.0), last_s, 66, width - 16)
    parts = _focus_band(x, y, z_focus_um, half_depth_um)
    parts += plot.y_axis(y, x.start_px, x.end_px, "objective height, µm")
    parts += plot.x_axis(x, y.end_px, y.start_px, "time in the field, s")
    parts.append(plot.polyline([(x(s), y(z)) for s, z in _thin(path)], "currentColor"))
    for mark in marks:
        parts += _mark(mark, x, y, path)
    return plot.svg(width, height, label, [*parts, *_trace_legend(x, marks, z_focus_um)])


def _focus_band(x: Axis, y: Axis, z_focus_um: float | None, half_depth_um: float) -> list[str]:
    if z_focus_um is None:
        return []
    upper, lower = y(z_focus_um + half_depth_um), y(z_focus_um - half_depth_um)
    focus_px = y(z_focus_um)
    return [
        plot.rect(x.start_px, upper, x.end_px - x.start_px, lower - upper, plot.BAND),
        plot.line(x.start_px, focus_px, x.end_px, focus_px, plot.GOOD, 'stroke-dasharray="5 3"'),
    ]


def _thin(path: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """Few enough points, extremes kept: lowest and highest of each stretch, in order."""
    if len(path) <= MAX_POINTS:
        return path
    kept = {0, len(path) - 1}
    for part in np.array_split(np.arange(len(path)), MAX_POINTS // 2):
        heights = [path[i][1] for i in part]
        kept |= {int(part[np.argmin(heights)]), int(part[np.argmax(heights)])}
    return [path[i] for i in sorted(kept)]


def _mark(mark: Mark, x: Axis, y: Axis, path: Sequence[tuple[float, float]]) -> list[str]:
    z_um = float(np.interp(mark.seconds, [s for s, _ in path], [z for _, z in path]))
    at, tip = x(mark.seconds), f"{mark.label} ({mark.seconds:.3f} s)"
    if mark.what == "frame":
        return [plot.dot(at, y(z_um), 5, plot.BLUE, tip)]
    foot = y.start_px
    return [
        plot.line(at, y.end_px, at, foot, plot.BAD, 'stroke-width="1" opacity="0.6"'),
        plot.polygon([(at - 6, foot), (at + 6, foot), (at, foot - 10)], plot.BAD, tip),
    ]


def _trace_legend(x: Axis, marks: Sequence[Mark], z_focus_um: float | None) -> list[str]:
    at, parts = x.start_px, []
    if z_focus_um is not None:
        parts += [plot.rect(at, 8, 16, 10, plot.BAND), plot.text(at + 22, 17, "sharp")]
        at += 70
    if any(mark.what == "frame" for mark in marks):
        parts += [plot.dot(at + 6, 13, 5, plot.BLUE), plot.text(at + 17, 17, "frame exposed")]
        at += 118
    if any(mark.what != "frame" for mark in marks):
        triangle = [(at, 18.0), (at + 12, 18.0), (at + 6, 8.0)]
        parts += [plot.polygon(triangle, plot.BAD), plot.text(at + 18, 17, "move sent")]
    return parts


def latency_histogram_svg(latencies_ms: Sequence[float], period_ms: float) -> str:
    """How long frames took from arrival to the decision, against the camera's frame period."""
    values = np.array([ms for ms in latencies_ms if math.isfinite(ms) and ms >= 0], float)
    width, height = 560, 270
    if not values.size:
        return _empty(width, "no frame was measured", "Latency histogram")
    x = _latency_axis(values, period_ms, 56, width - 24)
    edges = _bins(x, int(np.clip(2 * np.sqrt(values.size), 12, 40)))
    inside = np.clip(values, edges[0], edges[-1])
    counts, _ = np.histogram(inside, edges)
    y = Axis(0, float(counts.max()) * 1.05, height - 44, 62)
    scale = " (log)" if x.log else ""
    parts = plot.y_axis(y, x.start_px, x.end_px, "frames")
    parts += plot.x_axis(x, y.end_px, y.start_px, f"arrival to decision, ms{scale}")
    for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True):
        tip = f"{low:.1f} to {high:.1f} ms: {count}"
        left, right, level = x(low) + 0.5, x(high) - 0.5, y(float(count))
        parts.append(plot.rect(left, level, right - left, y.start_px - level, plot.BLUE, tip))
    p50, p99 = (float(v) for v in np.percentile(values, (50, 99)))
    parts += _level(x, y, p50, f"p50 {p50:.1f} ms", 16, "currentColor")
    parts += _level(x, y, p99, f"p99 {p99:.1f} ms", 34, "currentColor")
    parts += _level(x, y, period_ms, f"frame period {period_ms:.0f} ms", 52, plot.BAD)
    return plot.svg(width, height, f"Latency: p50 {p50:.1f} ms, p99 {p99:.1f} ms", parts)


def _latency_axis(values: F64, period_ms: float, start_px: float, end_px: float) -> Axis:
    """Linear from 0, unless the values are spread so far that bins would hide the bulk."""
    high = max(float(values.max()), period_ms) * 1.08
    median = float(np.median(values))
    if median > 0 and high > 10 * median:
        return Axis(max(float(values.min()) * 0.8, 1e-3), high, start_px, end_px, log=True)
    return Axis(0.0, high, start_px, end_px)


def _bins(x: Axis, count: int) -> F64:
    if x.log:
        return np.geomspace(x.low, x.high, count + 1)
    return np.linspace(x.low, x.high, count + 1)


def _level(x: Axis, y: Axis, ms: float, words: str, row_px: float, stroke: str) -> list[str]:
    """A named vertical line; the name stands on the side where there is room."""
    at = x(ms)
    left = at > (x.start_px + x.end_px) / 2
    return [
        plot.line(at, row_px - 9, at, y.start_px, stroke, 'stroke-width="1.5"'),
        plot.text(at + (-6 if left else 6), row_px, words, "end" if left else "start", stroke),
    ]


def stage_bars_svg(latencies: Sequence[Mapping[str, float]]) -> str:
    """Median time in each stage, in the order in which a frame passes them, end to end."""
    medians = {
        stage: float(np.median(times))
        for stage in STAGES
        if (times := [x[stage] for x in latencies if math.isfinite(x.get(stage, math.nan))])
    }
    width, pitch, top = 560, 27, 10
    label = "Median latency by stage"
    if not medians:
        return _empty(width, "no frame was measured", label)
    bottom = top + pitch * len(medians)
    x = Axis(0.0, max(sum(medians.values()), 1e-6), 92, width - 84)
    parts = plot.x_axis(x, top, bottom, "since the frame arrived, ms (medians)")
    since = 0.0
    for i, (stage, ms) in enumerate(medians.items()):
        y = top + pitch * i
        bar = max(x(since + ms) - x(since), 1.5)
        parts.append(plot.text(x.start_px - 8, y + 18, stage, "end"))
        parts.append(
            plot.rect(x(since), y + 5, bar, pitch - 10, plot.BLUE, f"{stage}: {ms:.3f} ms")
        )
        parts.append(plot.text(x(since) + bar + 6, y + 18, f"{ms:.3g} ms", fill=plot.MUTED))
        since += ms
    return plot.svg(width, bottom + 44, label, parts)


def _empty(width: float, words: str, label: str) -> str:
    return plot.svg(width, 70, label, [plot.text(width / 2, 40, words, "middle", plot.MUTED)])
