"""`sparsefocus doctor`: one page of what is here and what is missing, and what to do about it.

Nothing moves, no device is opened. With --config also what that instrument needs: every mistake in
the file, its models, its calibration. Exit status 2 when something is missing.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from importlib import metadata
from itertools import chain
from pathlib import Path

from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.selftest.libraries import MISSING, NOTE, OK, Finding, libraries

DONE, WRONG = 0, 2
MARKS = {OK: "ok", NOTE: "note", MISSING: "MISSING"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--config", type=Path, metavar="F", help="also what this instrument needs")
    add_json(parser, "the findings")
    parser.add_argument("--quiet", action="store_true", help="only what is missing")


def run(options: argparse.Namespace) -> int:
    """0 = nothing is missing, 2 = something is."""
    findings = list(examine(options.config))
    missing = [each for each in findings if each.state == MISSING]
    if not is_standard(options.json):
        print(page(missing if options.quiet else findings), end="")
    write_json({"ok": not missing, "findings": [asdict(each) for each in findings]}, options.json)
    return WRONG if missing else DONE


def examine(config: Path | None) -> Iterator[Finding]:
    """All findings, in the order of the page; where a library is missing, nothing behind it."""
    yield Finding("sparsefocus", OK, _version())
    first = list(libraries())
    yield from first
    if any(each.state == MISSING for each in first):
        yield Finding("the rest", NOTE, "was not looked at: it needs what is missing above")
        return
    # not before: they load these libraries
    from edge.appliance.config.verb import faults_of
    from edge.appliance.selftest import inventory
    from edge.settings import ModelSettings

    settings = ModelSettings()
    findings: list[Finding] = []
    if config is not None:
        read, faults = faults_of(config)
        settings = settings if read is None else read.models
        findings = [Finding("config", MISSING, fault, "see the line") for fault in faults]
        findings = findings or [Finding("config", OK, f"{config}: `run` takes it")]
    yield from chain(inventory.speed(), inventory.models(settings), inventory.gpu(), findings,
                     inventory.ports(), inventory.cameras(), inventory.plugged_in(),
                     inventory.user(), inventory.clock(), inventory.health())  # fmt: skip


def page(findings: list[Finding]) -> str:
    """A line each, and one below where something is to be done."""
    lines = []
    for each in findings:
        detail = " ".join(each.detail.split())
        lines.append(f"{MARKS[each.state]:<8}{each.what}: {detail}")
        if each.do:
            lines.append(f"{'':<8}  -> {each.do}")
    return "".join(f"{line}\n" for line in lines)


def _version() -> str:
    try:
        return metadata.version("sparsefocus-edge")
    except metadata.PackageNotFoundError:
        return "not installed: a tree"
