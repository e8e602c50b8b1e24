"""`sparsefocus replay RECORD`: a flight record through the loop again, bit for bit.

What the loop of this release decides on what the world said then; the first difference is named.
Nothing moves, no device is opened. `--from frames` measures again, too, wherever the record has the
frame's pixels, `--from inputs` wherever it has what the networks were shown.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edge.appliance.files import add_json, is_standard, write_json
from edge.appliance.record.files import records_in
from edge.appliance.record.replay import DECISIONS, FROM, Replayed, replay
from edge.errors import ConfigError

SAME, DIFFERENT = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("record", type=Path, metavar="RECORD", help="a file, or a folder of them")
    what = "where it begins: at what was measured, at what the networks were shown, at the frames"
    add("--from", dest="begin", choices=tuple(FROM), default=DECISIONS,
        help=f"{what} (default: {DECISIONS})")  # fmt: skip
    add_json(parser, "what was found, file by file")
    add("--quiet", action="store_true", help="only differences")


def run(options: argparse.Namespace) -> int:
    """0 = the same to the last bit, 1 = something differs, 2 = there is nothing to compare."""
    folder = options.record.is_dir()
    paths = records_in(options.record) if folder else [options.record]
    results = {path: replay(path, options.begin) for path in paths}
    if not sum(each.frames for each in results.values()):
        why = ", ".join(each.ended for each in results.values() if each.ended)
        raise ConfigError(f"{options.record}: holds no frame that can be replayed {why}".rstrip())
    differs = any(each.difference for each in results.values())
    if not is_standard(options.json):
        for path, each in results.items():
            if each.difference or not options.quiet:
                print(line_of(path, each))
    files = [_json(path, each) for path, each in results.items()]
    write_json({"same": not differs, "files": files}, options.json)
    return DIFFERENT if differs else SAME


def line_of(path: Path, each: Replayed) -> str:
    """A file's, for a person."""
    if each.difference is not None:
        return f"{path}: {each.difference}"
    words = f"{path}: {each.frames} frames, every decision the same"
    if each.measured:
        words += f", {each.measured} measured again"
    if each.passed_over:
        words += f"; {each.passed_over} passed over: what came before them is not in the record"
    return f"{words}; {each.ended}" if each.ended else words


def _json(path: Path, each: Replayed) -> dict[str, Any]:
    difference = each.difference
    return {
        "file": str(path), "frames": each.frames, "measured": each.measured,
        "passed_over": each.passed_over, "ended": each.ended or None,
        "difference": None if difference is None else {
            "frame": difference.frame, "frame_id": difference.frame_id,
            "field": difference.field, "recorded": difference.recorded, "now": difference.now,
        },
    }  # fmt: skip
