"""The bench's record as one SVG: where a frame's time goes, who else takes how long, and what
hill climbing needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.appliance.report import plot
from edge.appliance.report.plot import Axis

WIDTH, LEFT, RIGHT = 860.0, 150.0, 790.0
PITCH = 24
STAGES = ("preprocess", "rin", "select", "dpn", "plain_look", "aggregate", "plan", "move")
COLOURS = ("#56b4e9", "#0072b2", "#999999", "#d55e00", "#56705c", "#cc79a7", "#f0e442", "#009e73")
NAMES = {
    "ours": "this loop, whole",
    "onnx": "ONNX Runtime, plain",
    "pytorch": "PyTorch, plain",
}


def draw(record: Mapping[str, Any], period_ms: float) -> str:
    """A standalone SVG of what `simulator.bench.verb` writes."""
    parts = [plot.rect(0, 0, WIDTH, 2000, "var(--card, #fff)")]
    y = 30.0
    for section in (_stages, _contenders, _climb):
        more, y = section(record, y, period_ms)
        parts += more
    picture = plot.svg(WIDTH, y, "Latency of the focus loop", parts)
    style = 'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" color="#222" '
    return picture.replace("<svg ", f"<svg {style}", 1) + "\n"


def _stages(record: Mapping[str, Any], y: float, period_ms: float) -> tuple[list[str], float]:
    """Medians of the stages, stacked; a line at the frame period."""
    rows = record["latency"]["ours"]
    most = max([period_ms, *(row["total"]["p99"] for row in rows.values() if "total" in row)])
    axis = Axis(0.0, most * 1.08, LEFT, RIGHT)
    parts = [_title(y, "Frame to accepted command, median by stage (p99: dot), ms")]
    for i, (stage, colour) in enumerate(zip(STAGES, COLOURS, strict=True)):
        parts.append(plot.rect(LEFT + 90 * i, y + 12, 10, 10, colour))
        parts.append(plot.text(LEFT + 90 * i + 14, y + 21, stage))
    top = y + 34
    bottom = top + PITCH * len(rows)
    parts += plot.x_axis(axis, top, bottom, "ms")
    for i, (k, row) in enumerate(rows.items()):
        at, middle = 0.0, top + PITCH * (i + 0.5)
        parts.append(plot.text(LEFT - 10, middle + 4, f"k = {k}", "end"))
        for stage, colour in zip(STAGES, COLOURS, strict=True):
            if stage not in row:
                continue
            ms = row[stage]["p50"]
            width = axis(at + ms) - axis(at)
            tip = f"k = {k}, {stage}: p50 {ms:.2f}, p99 {row[stage]['p99']:.2f} ms"
            parts.append(plot.rect(axis(at), middle - 8, width, 16, colour, tip))
            at += ms
        if "total" in row:
            tip = f"k = {k}: p99 {row['total']['p99']:.2f} ms"
            parts.append(plot.dot(axis(row["total"]["p99"]), middle, 4, "#222", tip))
    x = axis(period_ms)
    parts.append(plot.line(x, top, x, bottom, plot.BAD, 'stroke-width="2" stroke-dasharray="5 4"'))
    parts.append(plot.text(x + 4, top - 3, f"{period_ms:g} ms", fill=plot.BAD))
    return parts, bottom + 70


def _contenders(record: Mapping[str, Any], y: float, period_ms: float) -> tuple[list[str], float]:
    """p50 to p99 of each way, by k, on a log axis."""
    latency = record["latency"]
    rows = [
        (k, name, times)
        for k, ours in latency["ours"].items()
        for name, times in (
            ("ours", ours.get("total")),
            *((name, by_k[k]) for name, by_k in latency["others"].items()),
        )
        if times is not None
    ]
    top, bottom = y + 12, y + 12 + PITCH * len(rows)
    ends = [times[key] for _, _, times in rows for key in ("p50", "p99")]
    axis = Axis(min(ends) * 0.8, max(ends) * 1.2, LEFT + 60, RIGHT, log=True)
    parts = [_title(y, "Beside other ways, p50 to p99 (theirs without checks, guard and stage)")]
    parts += plot.x_axis(axis, top, bottom, "ms (log)")
    for i, (k, name, times) in enumerate(rows):
        middle = top + PITCH * (i + 0.5)
        colour = plot.GOOD if name == "ours" else plot.MUTED
        words = f"k = {k}, {NAMES.get(name, name)}"
        parts.append(plot.text(LEFT + 50, middle + 4, words, "end"))
        start, end = axis(times["p50"]), axis(times["p99"])
        tip = f"{words}: p50 {times['p50']:.2f}, p99 {times['p99']:.2f} ms"
        parts.append(plot.rect(start, middle - 4, max(end - start, 1), 8, colour, tip))
        parts.append(plot.dot(start, middle, 6, colour, tip))
    return parts, bottom + 70


def _climb(record: Mapping[str, Any], y: float, period_ms: float) -> tuple[list[str], float]:
    """Images, seconds and errors, as text: two numbers need no axis."""
    ways = record.get("hill_climbing")
    if not ways:
        return [], y
    parts = [_title(y, "The same fields on the simulated stage, from up to 25 µm off")]
    for i, name in enumerate(("ours", "hill climbing")):
        row = ways[name]
        words = (
            f"{row['images']:g} images (most {row['images_most']}), {row['seconds']:.2f} s, "
            f"mean error {row['mean_error_um']:.2f} µm, worst {row['worst_error_um']:.2f} µm"
        )
        parts.append(plot.text(LEFT - 10, y + 26 + PITCH * i, name, "end"))
        parts.append(plot.text(LEFT, y + 26 + PITCH * i, words))
    return parts, y + 26 + PITCH * 2 + 10


def _title(y: float, words: str) -> str:
    return plot.text(20, y, words, more='font-weight="bold"')
