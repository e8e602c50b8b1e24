"""A self-test's findings as lines for a terminal and as one HTML page; the same content."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

from edge.appliance.selftest.checks import Findings

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>SparseFocus self-test</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;margin:.5rem 0 1.5rem}}td,th{{text-align:left;padding:.2rem .8rem;
border-bottom:1px solid #ccc}}td.n{{text-align:right;font-variant-numeric:tabular-nums}}
.bad{{color:#a00;font-weight:600}}</style>
<h1>SparseFocus self-test: {verdict}</h1>
{body}
</html>
"""


def verdict(findings: Findings) -> str:
    """The result in a few words."""
    failed = sum(not check.ok for check in findings.checks)
    if failed:
        return f"{failed} of {len(findings.checks)} checks FAILED"
    return f"all {len(findings.checks)} checks passed" if findings.ok else "nothing was checked"


def as_text(findings: Findings) -> str:
    """Lines of at most a terminal's width where the details allow it."""
    lines = [f"self-test on the {findings.backend.upper()}: {verdict(findings)}", ""]
    for check in findings.checks:
        lines.append(f"{'ok  ' if check.ok else 'FAIL'}  {check.name}: {check.detail}")
    lines += ["", f"{'ms':<42}{'p50':>9}{'p99':>9}{'max':>9}"]
    for stage, ms in findings.latency_ms.items():
        lines.append(f"{stage:<42}{ms['p50']:9.2f}{ms['p99']:9.2f}{ms['max']:9.2f}")
    lines.append("")
    lines += [f"{key}: {value}" for key, value in _facts(findings)]
    lines += [f"note: {warning}" for warning in findings.warnings]
    return "\n".join(lines)


def as_page(findings: Findings) -> str:
    """One page that opens offline."""
    checks = [
        (
            "ok" if check.ok else '<span class="bad">FAIL</span>',
            escape(check.name),
            escape(check.detail),
        )
        for check in findings.checks
    ]
    times = "".join(
        f"<tr><td>{escape(stage)}</td>"
        + "".join(f'<td class="n">{ms[q]:.2f}</td>' for q in ("p50", "p99", "max"))
        + "</tr>\n"
        for stage, ms in findings.latency_ms.items()
    )
    facts = [(escape(key), escape(value)) for key, value in _facts(findings)]
    notes = "".join(f'<p class="bad">{escape(warning)}</p>\n' for warning in findings.warnings)
    body = (
        f"<p>On the {findings.backend.upper()}.</p>\n{notes}{_table(checks)}"
        f"<h2>Latency, ms</h2>\n<table><tr><th>stage<th>p50<th>p99<th>max</tr>\n{times}</table>\n"
        f"<h2>Machine</h2>\n{_table(facts)}"
    )
    return _PAGE.format(verdict=escape(verdict(findings)), body=body)


def _table(rows: list[Any]) -> str:
    lines = ("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table>\n{''.join(lines)}</table>\n"


def _facts(findings: Findings) -> Iterator[tuple[str, str]]:
    for key, value in findings.facts.items():
        yield key, _text_of(value)
    for when, health in findings.health.items():
        for key, value in health.items():
            yield f"{key.replace('_', ' ')}, {when}", _text_of(value)


def _text_of(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{key} {_text_of(each)}" for key, each in value.items())
