"""Everything that can end a move, done to every verb and driver that moves: ms until it rests.

`make stops` runs it and writes the tables of docs/fault_matrix.md. The commands are the real ones,
as processes of their own; the axes are the reference firmware's motor (its own trace) and the
controllers of `simulator.controllers`, whose motors stop at once when they are told: what is
measured there is our part. A way is tried up to three times, since a computer that is busy adds to
it: the quickest counts, and how often it was tried is kept in the results.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.stop_rigs import Verb, rig_of, verb_of
from benchmarks.stop_table import put_into
from benchmarks.stop_ways import ALONE, CLIENTS, HOME, SILENT, WAYS, Way, children, plan

REST_MS = 300.0
TRIES = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One way on one verb and driver: how long the axis went on (None = to its target)."""

    verb: str
    driver: str
    way: str
    rest_ms: float | None
    exit: int | None
    tries: int


def measure(verb: str, driver: str, way: str) -> Cell:
    """The quickest of up to three."""
    best: float | None = None
    code: int | None = None
    tried = 0
    while tried < TRIES:
        tried += 1
        camera = "benchmarks.silent_camera" if way == SILENT else "edge.appliance.cli"
        rest_ms, code = once(verb_of(verb), driver, {**WAYS, **CLIENTS}[way], camera)
        if rest_ms is not None:
            best = rest_ms if best is None else min(best, rest_ms)
            if best <= REST_MS:
                break
    return Cell(verb, driver, way, None if best is None else round(best), code, tried)


def once(
    verb: Verb, driver: str, way: Way, module: str = "edge.appliance.cli"
) -> tuple[float | None, int | None]:
    """One command, ended once in the middle of a move: (ms to rest, its exit status)."""
    with (
        tempfile.TemporaryDirectory() as folder,
        rig_of(verb, driver, Path(folder)) as rig,
        started(module, verb.words(rig), Path(folder)) as process,
    ):
        verb.begin(process, rig)
        rig.await_motion(process)
        at_ns = time.monotonic_ns()
        way(process, rig)
        rest_ms = rig.rest_after_ms(at_ns)
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(3)
        return rest_ms, process.poll()


@contextmanager
def started(module: str, words: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a group of its own, as a shell starts it, and nothing of it left behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *words],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=_as_by_a_shell,
        env={**os.environ, "XDG_STATE_HOME": str(folder)},
    )  # fmt: skip
    try:
        yield process
    finally:
        left = children(process.pid) if process.poll() is None else []
        for pid in (*left, process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def _as_by_a_shell() -> None:
    """A group of its own; and a hang-up is heard, also where nohup started us."""
    os.setpgrp()
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def main(arguments: list[str] | None = None) -> int:
    """0 = every cell is at rest in time."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/stops.json"))
    parser.add_argument("--document", type=Path, default=Path("docs/fault_matrix.md"))
    only = "cells whose verb, driver or way contains this, or one of several with | between"
    parser.add_argument("--only", help=f"{only}; the others stay as they were measured")
    options = parser.parse_args(arguments)
    cells: list[Cell] = []
    before = {(cell.verb, cell.driver, cell.way): cell for cell in measured(options.json)}
    for words in plan():
        if options.only and words in before and not chosen(options.only, words):
            cells.append(before[words])
            continue
        cells.append(measure(*words))
        print(f"{cells[-1]}", flush=True)
    rows: list[dict[str, Any]] = [asdict(cell) for cell in cells]
    options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    put_into(options.document, rows)
    late = [cell for cell in cells if not in_time(cell)]
    for cell in late:
        print(f"LATE {cell}")
    return 1 if late else 0


def chosen(only: str, words: tuple[str, str, str]) -> bool:
    """Whether a cell was asked for."""
    return any(part in word for part in only.split("|") for word in words)


def measured(path: Path) -> list[Cell]:
    """The cells of an earlier run; none where there was none."""
    if not path.exists():
        return []
    return [Cell(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def in_time(cell: Cell) -> bool:
    """At rest within 300 ms; on its way to the reference a controller on its own goes on."""
    if cell.rest_ms is None:
        return cell.verb == HOME and cell.way in ALONE
    return cell.rest_ms <= REST_MS


if __name__ == "__main__":
    sys.exit(main())
