"""Whether this computer gave us our turns while a test kept pace with a peer in real time.

A firmware, an emulator or a camera beside us goes by the clock on the wall: when the computer lets
nobody of us run for long enough, its watchdog ends a move, and rightly. Such a test, marked
`real_time`, says nothing then. It is run again when it failed and the computer provably stood still
meanwhile, or has far more to do than cores; it is told at the end which were. A failure without
that is a failure at once, and one that stays is a failure too.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time

import pytest
from _pytest.runner import runtestprotocol

from firmware_bridge.conformance.stalls import STALL_S, Clock, Stalls

TRIES = 5
AGAIN = "again"  # the outcome of a report that does not count
_NAP_S = 0.01
_CROWD = 2.0  # as many times the cores want to run: each of us waits more than it runs


class Turns:
    """Notes how late a thread of ours wakes; a context manager."""

    def __init__(self, clock: Clock = time) -> None:
        self._stalls = Stalls(clock)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="turns", daemon=True)

    def __enter__(self) -> Turns:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        self._stalls.restart()
        while not self._over.wait(_NAP_S):
            self._stalls.lap(_NAP_S)

    def missed(self) -> str:
        """How this computer failed us, in words; "" when it did not."""
        longest_s, load, cores = self._stalls.longest_s, os.getloadavg()[0], cores_for_us()
        if longest_s >= STALL_S:
            return f"this computer stood still for {1e3 * longest_s:.0f} ms"
        if load > _CROWD * cores:
            return f"{load:.0f} processes want the {cores} cores of this computer"
        return ""


def cores_for_us() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0))


def keep_pace(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Run `item` as pytest does, again where the computer was to blame."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for left in reversed(range(TRIES)):
        with Turns() as turns:
            reports = runtestprotocol(item, log=False, nextitem=nextitem)
        failed = [report for report in reports if report.failed]
        why = turns.missed() if failed and left else ""
        if not why:
            break
        for report in failed:
            report.outcome = AGAIN  # type: ignore[assignment]
            report.sections.append(("ran again", why))
            item.ihook.pytest_runtest_logreport(report=report)
        with contextlib.suppress(Exception):  # what a fixture of a wider scope met is not kept
            item.session._setupstate.teardown_exact(None)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
