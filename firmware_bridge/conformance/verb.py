"""`sparsefocus stage conformance PORT`: put any firmware through the protocol's questions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from firmware_bridge.conformance.suite import (
    ALL_CHECKS,
    FAILED,
    PASSED,
    Outcome,
    as_json,
    run,
)
from firmware_bridge.conformance.test_host import ConformanceHost
from firmware_bridge.firmware.pins import BoardPins
from firmware_bridge.link import SerialLink
from firmware_bridge.stop_signals import StopSignals

CONFORMS, DEVIATES, UNJUDGED = 0, 3, 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("port", metavar="PORT", help="serial port of the firmware; THE AXIS WILL MOVE")
    add("--travel-um", type=float, default=300.0, metavar="UM",
        help="how far up and down from where it stands (default: 300)")  # fmt: skip
    add("--baudrate", type=int, default=115_200)
    add("--bench", metavar="PORT", help="second port that works strobe and switches")
    names = [check.__name__ for check in ALL_CHECKS]
    add("--only", action="append", default=[], choices=names, metavar="CHECK",
        help="one check; may be repeated")  # fmt: skip
    add("--json", type=Path, metavar="FILE", help="write the outcomes, - for stdout")
    add("--quiet", action="store_true", help="only the last line")


def conformance(
    options: argparse.Namespace, write_json: Callable[[dict[str, Any], Path], None]
) -> int:
    """0 = it conforms, 3 = a check failed, 4 = this computer stood still and nothing can be said.

    LinkLost when nobody answers (exit 4).
    """
    if not 1.0 <= options.travel_um <= 100_000.0:
        print(f"sparsefocus: --travel-um {options.travel_um} must be 1..100000", file=sys.stderr)
        return 2
    to_stdout = str(options.json) == "-"
    out = sys.stderr if to_stdout else sys.stdout
    with ExitStack() as stack:
        link = SerialLink(options.port, options.baudrate)
        stack.callback(link.close)
        pins = BoardPins(options.bench) if options.bench else None
        if pins is not None:
            stack.callback(pins.close)
        host = ConformanceHost(link, round(options.travel_um * 1e3), pins)

        def tell(outcome: Outcome) -> None:
            if not options.quiet:
                print(_row(outcome), file=out, flush=True)

        stack.callback(host.leave)  # also by an error: its watchdog may be what is at fault
        with StopSignals(lambda _: host.stop_at_once()):
            outcomes = run(host, options.only, tell)
    record = as_json(host, outcomes)
    words = "{passed} passed, {failed} failed, {not_run} not run".format(**record)
    if record["not_judged"]:  # this computer stood still: let it do nothing else, and ask again
        words += ", {not_judged} not judged".format(**record)
    print(words, file=out)
    if options.json is not None:
        write_json(record, options.json)
    if record["failed"]:
        return DEVIATES
    return UNJUDGED if record["not_judged"] else CONFORMS


def _row(outcome: Outcome) -> str:
    why = outcome.question if outcome.result == PASSED else outcome.detail
    mark = outcome.result if outcome.result == FAILED else outcome.result.lower()
    return f"{mark:<8} {outcome.name:<30} {why}"
