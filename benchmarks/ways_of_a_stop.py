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
from typing import Any, Protocol

from benchmarks.stop_rigs import Rig, Verb, rig_of, verb_of
from benchmarks.stop_table import put_into

REST_MS = 300.0
TRIES = 3
GOES_ON = "to its target"
DRIVERS = ("binary", "binary-process", "asi", "pi", "tmcl", "zaber", "prior", "tango", "grbl")
VERBS = ("stage move", "stage serve-asi", "run", "calibrate", "simulate", "stage conformance")


class Way(Protocol):
    """Does it to the command, or to what belongs to it, while the axis moves."""

    def __call__(self, process: subprocess.Popen[bytes], rig: Rig) -> None: ...


def signalled(name: str) -> Way:
    """A signal to the command alone."""
    return lambda process, rig: process.send_signal(getattr(signal, name))


def child_killed(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """The kernel's choice when memory is used up: the process that keeps the line."""
    for child in children(process.pid):
        os.kill(child, signal.SIGKILL)


def child_frozen(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """Likewise, suspended."""
    for child in children(process.pid):
        os.kill(child, signal.SIGSTOP)


def hung_up(process: subprocess.Popen[bytes], rig: Rig) -> None:
    """The line is cut: nothing passes either way."""
    rig.hang_up()


def children(pid: int) -> list[int]:
    """Of one process; the controllers are ours, not its."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


ENDS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
WAYS: dict[str, Way] = {
    **{name: signalled(name) for name in ENDS},
    "SIGKILL, as by the kernel when memory is used up": signalled("SIGKILL"),
    "SIGUSR2, as a crash or any signal that nobody handles": signalled("SIGUSR2"),
    "SIGSTOP, frozen": signalled("SIGSTOP"),
    "SIGTSTP, Ctrl-Z": signalled("SIGTSTP"),
    "the line is cut": hung_up,
    "its helper process is killed": child_killed,
    "its helper process is frozen": child_frozen,
}
#: drivers with a process of their own; a frozen minder ends nothing, since its host is alive
HELPED = {
    "its helper process is killed": DRIVERS[1:],
    "its helper process is frozen": ("binary-process",),
}


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
        rest_ms, code = once(verb_of(verb), driver, WAYS[way])
        if rest_ms is not None:
            best = rest_ms if best is None else min(best, rest_ms)
            if best <= REST_MS:
                break
    return Cell(verb, driver, way, None if best is None else round(best), code, tried)


def once(verb: Verb, driver: str, way: Way) -> tuple[float | None, int | None]:
    """One command, ended once in the middle of a move: (ms to rest, its exit status)."""
    with (
        tempfile.TemporaryDirectory() as folder,
        rig_of(verb, driver, Path(folder)) as rig,
        started(verb.words(rig)) as process,
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
def started(words: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a group of its own, as a shell starts it, and nothing of it left behind."""
    process = subprocess.Popen(
        [sys.executable, "-m", "edge.appliance.cli", *words],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=_as_by_a_shell,
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


def plan() -> list[tuple[str, str, str]]:
    """Every cell of both tables."""
    moves = [
        ("stage move", driver, way)
        for way in WAYS
        for driver in DRIVERS
        if driver in HELPED.get(way, DRIVERS)
    ]
    verbs = [(verb, "binary", way) for verb in VERBS[1:] for way in WAYS if fits(verb, way)]
    return moves + verbs


def fits(verb: str, way: str) -> bool:
    """Not what cannot be done to a verb: simulate's firmware ends with it."""
    if way in HELPED or (verb == "simulate" and way not in ENDS):
        return False
    return way != "the line is cut" or verb != "stage conformance"


def main(arguments: list[str] | None = None) -> int:
    """0 = every cell is at rest in time, or can have nobody who stops it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/stops.json"))
    parser.add_argument("--document", type=Path, default=Path("docs/fault_matrix.md"))
    parser.add_argument("--only", help="cells whose verb, driver or way contains this")
    options = parser.parse_args(arguments)
    cells: list[Cell] = []
    for words in plan():
        if options.only and not any(options.only in word for word in words):
            continue
        cells.append(measure(*words))
        print(f"{cells[-1]}", flush=True)
    if not options.only:
        rows: list[dict[str, Any]] = [asdict(cell) for cell in cells]
        options.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        put_into(options.document, rows)
    late = [cell for cell in cells if not in_time(cell)]
    for cell in late:
        print(f"LATE {cell}")
    return 1 if late else 0


def in_time(cell: Cell) -> bool:
    """300 ms; a line that is cut reaches a controller without a watchdog no more."""
    if cell.rest_ms is None:
        return cell.way == "the line is cut" and not cell.driver.startswith("binary")
    return cell.rest_ms <= REST_MS


if __name__ == "__main__":
    sys.exit(main())
