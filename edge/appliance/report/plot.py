"""Hand-written SVG: axes with round ticks, and the few shapes the report's charts are made of.

Everything is inline SVG for an HTML page. Colours are CSS variables with a fallback that reads
on white and on black, text takes the page's own colour and font.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape

MUTED = "var(--muted, #7a8794)"
GRID = "var(--grid, #8886)"
BAND = "var(--band, #009e7333)"
GOOD = "var(--good, #009e73)"
BAD = "var(--bad, #d55e00)"
BLUE = "var(--blue, #2a7fc1)"


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps low..high to pixels; what lies outside sticks to the end."""

    low: float
    high: float
    start_px: float
    end_px: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = (math.log10(max(x, self.low)) for x in (low, high, at))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start_px + min(max(share, 0.0), 1.0) * (self.end_px - self.start_px)

    def ticks(self) -> list[float]:
        """Round values inside the axis: about five, or 1-2-5 per decade."""
        return _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high)


def _ticks(low: float, high: float) -> list[float]:
    span = high - low
    if not span > 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / 5))
    step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 6)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    steps = (1, 2, 5) if math.log10(high / low) <= 2.5 else (1,)
    ticks = [m * 10.0**d for d in decades for m in steps]
    return [x for x in ticks if low * 0.999 <= x <= high * 1.001]


def number(value: float) -> str:
    """A number as people read it: no needless zeros, a real minus sign."""
    return f"{value:.6g}".replace("-", "−")


def text(
    x: float,
    y: float,
    words: str,
    anchor: str = "start",
    fill: str = "currentColor",
    more: str = "",
) -> str:
    """A line of text; `anchor` is start, middle or end."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{fill}" {more}>'
        f"{escape(words)}</text>"
    )


def line(x1: float, y1: float, x2: float, y2: float, stroke: str, more: str = "") -> str:
    """A straight line; `more` are further attributes."""
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{stroke}" {more}/>'
    )


def rect(x: float, y: float, width: float, height: float, fill: str, tip: str = "") -> str:
    """A filled rectangle with an optional tool tip."""
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" '
        f'fill="{fill}">{_tip(tip)}</rect>'
    )


def dot(x: float, y: float, radius: float, fill: str, tip: str = "", stroke: str = "none") -> str:
    """A circle with an optional tool tip."""
    return (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{fill}" stroke="{stroke}" '
        f'stroke-width="2">{_tip(tip)}</circle>'
    )


def polygon(points: Iterable[tuple[float, float]], fill: str, tip: str = "") -> str:
    """A filled polygon with an optional tool tip."""
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{corners}" fill="{fill}">{_tip(tip)}</polygon>'


def polyline(points: Iterable[tuple[float, float]], stroke: str) -> str:
    """An open line through the points."""
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return (
        f'<polyline points="{corners}" fill="none" stroke="{stroke}" stroke-width="2" '
        'stroke-linejoin="round"/>'
    )


def x_axis(axis: Axis, top: float, bottom: float, title: str) -> list[str]:
    """Grid lines, tick labels and the title below."""
    parts = []
    for value in axis.ticks():
        x = axis(value)
        parts.append(line(x, top, x, bottom, GRID, 'stroke-width="1"'))
        parts.append(text(x, bottom + 16, number(value), "middle", MUTED))
    middle = (axis.start_px + axis.end_px) / 2
    return [*parts, text(middle, bottom + 34, title, "middle")]


def y_axis(axis: Axis, left: float, right: float, title: str) -> list[str]:
    """Grid lines, tick labels and the title, turned, on the left."""
    parts = []
    for value in axis.ticks():
        y = axis(value)
        parts.append(line(left, y, right, y, GRID, 'stroke-width="1"'))
        parts.append(text(left - 8, y + 4, number(value), "end", MUTED))
    middle = (axis.start_px + axis.end_px) / 2
    turn = f'transform="rotate(-90 14 {middle:.1f})"'
    return [*parts, text(14, middle, title, "middle", more=turn)]


def svg(width: float, height: float, label: str, parts: Iterable[str]) -> str:
    """The picture; `label` is what a screen reader says."""
    return (
        f'<svg class="chart" role="img" aria-label="{escape(label)}" font-size="12" '
        f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}">'
        f"{''.join(parts)}</svg>"
    )


def _tip(words: str) -> str:
    return f"<title>{escape(words)}</title>" if words else ""
