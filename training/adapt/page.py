"""The page of an adaptation: what the networks say over what is true, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from edge.appliance.files import make_folder, write_result
from edge.appliance.report import plot
from edge.appliance.report.plot import Axis
from edge.appliance.report.report import PAGE, REPORT
from edge.appliance.report.style import style_sheet

WIDTH, HEIGHT = 470, 420
COLUMNS = ("stack", "planes", "left before", "left after", "direction before", "direction after",
           "answered after")  # fmt: skip


def write_page(record: dict[str, Any], folder: Path) -> Path:
    """Write the page into `folder`, made if needed; returns its path."""
    make_folder(REPORT, folder)
    css = style_sheet()
    title = "Adaptation to an instrument"
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="generator" content="sparsefocus report"><title>{title}</title>'
        f"<style>{css}.pair{{display:flex;flex-wrap:wrap;gap:1rem}}</style></head><body><header>"
        f'<p class="overline">SparseFocus</p><h1>{title}</h1>'
        f'<p class="verdict">{escape(_verdict(record))}</p></header><main>'
        f'<section><h2>Found over true</h2><div class="pair">{_figures(record)}</div></section>'
        f"<section><h2>By stack</h2>{_table(record)}</section>"
        f"<section><h2>What it was made from</h2>{_facts(record)}</section></main></body></html>"
    )
    write_result(text, folder / PAGE, REPORT)
    return folder / PAGE


def _verdict(record: dict[str, Any]) -> str:
    before, after = record["before"], record["after"]
    return (
        f"One shot leaves {after['left_um']:.2f} µm of {after['away_um']:.1f}; with the "
        f"shipped models it was {before['left_um']:.2f} µm."
    )


def _figures(record: dict[str, Any]) -> str:
    planes = record["planes"]
    reach = 1.05 * max(abs(p["true_um"]) for p in planes)
    parts = []
    for key, title in (("before_um", "the shipped models"), ("after_um", "the adapted models")):
        missing = sum(p[key] is None for p in planes)
        words = f"{title}: {len(planes) - missing} of {len(planes)} planes answered"
        parts.append(
            f'<figure class="card">{scatter(planes, key, reach, title)}'
            f"<figcaption>{escape(words)}</figcaption></figure>"
        )
    return "".join(parts)


def scatter(planes: Sequence[dict[str, Any]], key: str, reach: float, title: str) -> str:
    """One dot per plane; on the line the answer is right, in the shaded quarters it moves away."""
    x, y = Axis(-reach, reach, 64, WIDTH - 14), Axis(-reach, reach, HEIGHT - 56, 20)
    wrong = [
        plot.rect(x(-reach), y(reach), x(0) - x(-reach), y(0) - y(reach), WRONG),
        plot.rect(x(0), y(0), x(reach) - x(0), y(-reach) - y(0), WRONG),
    ]
    parts = [*wrong, *plot.y_axis(y, x.start_px, x.end_px, "defocus found, µm")]
    parts += plot.x_axis(x, y.end_px, y.start_px, "true defocus, µm")
    parts.append(plot.line(x(-reach), y(-reach), x(reach), y(reach), plot.GOOD))
    for plane in planes:
        if plane[key] is not None:
            tip = f"{plane['stack']}: true {plane['true_um']:+.2f}, found {plane[key]:+.2f} µm"
            parts.append(plot.dot(x(plane["true_um"]), y(plane[key]), 3, plot.BLUE, tip))
    return plot.svg(WIDTH, HEIGHT, f"Found over true defocus, {title}", parts)


WRONG = "#d55e0014"


def _table(record: dict[str, Any]) -> str:
    head = "".join(f"<th>{name}</th>" for name in COLUMNS)
    rows = []
    for name, (before, after) in record["stacks"].items():
        cells = (
            escape(name),
            str(after["frames"]),
            f"{before['left_um']:.2f} µm",
            f"{after['left_um']:.2f} µm",
            _share(before["direction"]),
            _share(after["direction"]),
            str(after["answered"]),
        )
        rows.append(f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _alarms(share: float | None) -> list[str]:
    return (
        [] if share is None else [f"outside the training range: {share:.1%} of the judged planes"]
    )


def _octaves(record: dict[str, Any]) -> list[str]:
    """What told the focus of the stacks whose manifest did not."""
    count: dict[str, int] = {}
    for stack in (*record["taught"], *record["kept"], *record["held"]):
        if stack["focus_from"] == "sharpness":
            place = "least" if stack["reversed_contrast"] else "greatest"
            octave = stack["octave"]
            size = "" if not octave else f", of detail {2**octave} times as coarse as the pixel"
            words = f"{place} gradient energy of luminance{size}"
            count[words] = count.get(words, 0) + 1
    return [f"focus of {number} stacks: {words}" for words, number in count.items()]


def _length(record: dict[str, Any]) -> str:
    if record["steps"]:
        return f"{record['steps']} steps"
    return f"{record['minutes']:g} minutes of a core"


def _facts(record: dict[str, Any]) -> str:
    rows, columns = record["grid"]
    sign = "the other sign than the shipped models'" if record["mirrored"] else "the usual sign"
    lines = [
        f"{len(record['taught'])} stacks taught, {len(record['kept'])} gave the interval, "
        f"{len(record['held'])} were held out; judged on {record['judged_on']}",
        f"{rows} x {columns} patches, {record['um_per_px']:g} µm per pixel, z has {sign}, "
        f"calibrated to ±{record['range_um']:.1f} µm",
        *_octaves(record),
        *_alarms(record["after"]["alarms"]),
        f"{_length(record)}, {record.get('seconds', 0):.0f} s in all",
        *record["left_out"],
    ]
    return f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"
