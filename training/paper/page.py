"""The page of `make paper`: one HTML file with everything in it, and the numbers beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from edge.appliance.evaluate.metrics import ALL, Line
from edge.appliance.files import json_safe, json_text, replace_file
from edge.appliance.frame_result import FrameResult
from edge.appliance.report.style import style_sheet
from simulator.bench.climb import Climb
from training.paper import climbing, figures, psf, tables
from training.paper.choose import OURS, OURS_SAME_TIME
from training.paper.published import GROUPS

PAGE, DATA = "index.html", "paper.json"


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the page shows."""

    rows: Sequence[FrameResult]
    lines: Sequence[Line]
    choices: Sequence[Line]
    climbs: Mapping[str, Sequence[Climb]]
    trained: Mapping[str, Mapping[str, Any]]
    dof_um: float
    facts: Mapping[str, str]

    @property
    def methods(self) -> list[str]:
        """Ours first, then the rivals."""
        return list(dict.fromkeys(line.condition for line in self.lines))

    def mae_um(self, method: str, group: str) -> float | None:
        """Mean error of a method on a group."""
        key = (method, group, ALL)
        matching = (x for x in self.lines if (x.condition, x.group, x.distance) == key)
        return next(matching).values["mae_um"]

    def times_better(self, method: str, group: str) -> float | None:
        """The best rival's mean error over that of `method`."""
        rivals = [m for m in self.methods if m not in (OURS, OURS_SAME_TIME)]
        errors = [e for m in rivals if (e := self.mae_um(m, group)) is not None]
        ours = self.mae_um(method, group)
        return min(errors) / ours if errors and ours else None


def write(findings: Findings, folder: Path) -> Path:
    """Write page and numbers, each in one piece; returns the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in ((DATA, json_text(as_json(findings))), (PAGE, html(findings))):
        replace_file(folder / name, text)
    return folder / PAGE


def as_json(findings: Findings) -> dict[str, Any]:
    """Every number of the page."""
    plain: dict[str, Any] = json_safe({
        "facts": dict(findings.facts),
        "dof_um": findings.dof_um,
        "tables": [line.as_json() for line in findings.lines],
        "choices": [line.as_json() for line in findings.choices],
        "times_better_than_the_best_rival": {
            method: {group: findings.times_better(method, group) for group in GROUPS}
            for method in (OURS, OURS_SAME_TIME)
        },
        "hill_climbing": climbing.as_json(findings.climbs),
        "trained": {name: dict(facts) for name, facts in findings.trained.items()},
    })  # fmt: skip
    return plain


def html(result: Findings) -> str:
    """The whole page."""
    here = Path(__file__)
    return Template(here.with_name("page.html").read_text(encoding="utf-8")).substitute(
        css=style_sheet(),
        verdict=escape(verdict(result)),
        better=_better(result),
        mean_errors=tables.mean_errors(result.lines),
        dof_accuracy=tables.dof_accuracy(result.lines),
        direction=tables.direction(result.lines),
        regression=figures.regression(result.rows, result.methods, result.dof_um),
        by_distance=figures.by_distance(result.lines, result.methods),
        point_spread=figures.point_spread(),
        asymmetry=_asymmetry(),
        choices=tables.measured(
            result.choices, tables.mean_only,
            "The shipped DPN. Mean |error|, um; small: 95 % range over "
            "slides, and frames with a patch where not all had one.",
        ),
        climbs=_climbs(result.climbs),
        trained=_trained(result.trained),
        dof=f"{result.dof_um:.2f}",
        facts="\n".join(
            f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in result.facts.items()
        ),
    )  # fmt: skip


def verdict(findings: Findings) -> str:
    """The issue in a sentence: how much smaller the error is where little is to be seen."""
    sparse = [g for g in GROUPS if not g.endswith("dense")]
    ratios = [r for g in sparse if (r := findings.times_better(OURS_SAME_TIME, g)) is not None]
    if not ratios:
        return "No frame could be compared."
    return (
        f"Where content is sparse, the mean error is {min(ratios):.0f} to {max(ratios):.0f} times "
        "smaller than the best grid median's; training time and frames are the same."
    )


def _better(findings: Findings) -> str:
    rows = {
        method: [
            "–" if (ratio := findings.times_better(method, g)) is None else f"{ratio:.1f} x"
            for g in GROUPS
        ]
        for method in (OURS_SAME_TIME, OURS)
    }
    return tables.plain("Best rival's mean error over ours.", "ours", GROUPS, rows)


def _climbs(climbs: Mapping[str, Sequence[Climb]]) -> str:
    rows = {}
    for name, row in climbing.as_json(climbs).items():
        assert isinstance(row, dict)
        errors = sorted(f["error_um"] for f in row["fields"])
        rows[name] = [
            f"{row['images']:g}", f"{row['seconds']:.2f}", f"{row['median_error_um']:.2f}",
            f"{row['mean_error_um']:.2f}", f"{errors[-1]:.2f}", f"{row['constant_um']:+.2f}",
            str(row["lost"]), str(len(errors)),
        ]  # fmt: skip
    heads = (
        "images",
        "seconds",
        "median error, um",
        "mean",
        "worst",
        "constant offset",
        f"lost (over {climbing.LOST_UM:g} um)",
        "fields",
    )
    if not rows:
        return '<p class="card">Left out (--climb-fields 0).</p>'
    return tables.plain("Medians per focus; seconds without rendering.", "way", heads, rows)


def _trained(trained: Mapping[str, Mapping[str, Any]]) -> str:
    rows = {
        name: [
            f"{f['parameters'] / 1e6:.2f} M", f"{f['core_minutes']:g}",
            f"{f['samples'] / 1e3:.0f} k", f"{f.get('zero_um', 0.0):+.2f}",
        ]
        for name, f in trained.items()
    }  # fmt: skip
    heads = ("parameters", "core minutes", "samples", "taken from its answers, um")
    return tables.plain("One thread each, the same pool of slides.", "network", heads, rows)


def _asymmetry() -> str:
    rows = {
        f"{a.delta_um:g} um": [
            f"{100 * a.difference:.0f} %", f"{a.peak_above:.3f}", f"{a.peak_below:.3f}",
        ]
        for a in map(psf.asymmetry, (1.0, 2.0, 5.0, 10.0))
    }  # fmt: skip
    heads = ("differ by", "peak above", "peak below")
    caption = (
        "A point's picture at equal distances above and below; peaks as shares of that in focus."
    )
    return tables.plain(caption, "distance", heads, rows)
