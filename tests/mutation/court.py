"""Asks many quick questions about one change, each change in a process of its own.

A question is a function that raises when it notices something. Those that have noticed most for
their time are asked first, so that a change which is noticed costs a hundredth of asking them all.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

HANGS = "does not end"
LEAST_S = 0.2  # of CPU for one question; beyond it, four times what it takes on the right code
PATIENCE_S = 120  # by the clock on the wall, for one question that waits for what never comes


@dataclass(eq=False)
class Question:
    """`ask` raises whatever it likes; `cost_s` of CPU is what it takes on the right code."""

    name: str
    ask: Callable[[], None]
    cost_s: float = 0.01
    noticed: int = 0

    @property
    def worth(self) -> float:
        """How many changes it noticed for each second."""
        return (self.noticed + 0.2) / (self.cost_s + 0.002)


class Deaf(Exception):
    """The right code was refused by a question: nothing it says of a changed one counts."""


def measured(name: str, ask: Callable[[], None]) -> Question:
    """A question, asked once of the right code. Deaf when that is refused."""
    before = time.process_time()
    try:
        ask()
    except Exception as error:
        raise Deaf(f"{name}: {error!r}") from error
    return Question(name, ask, time.process_time() - before)


def by_worth(questions: Iterable[Question]) -> list[Question]:
    """Those first that notice most for their time."""
    return sorted(questions, key=lambda q: -q.worth)


def judge(change: Callable[[], None], order: Sequence[Question]) -> str:
    """The name of the question that notices the change, HANGS, or "" when none does.

    What did not end is asked once more and given ten times as long: threads that wait for each
    other spend more on a machine that has no time for them.
    """
    fate = _fate(change, order, 1)
    return _fate(change, order, 10) if fate == HANGS else fate


def _fate(change: Callable[[], None], order: Sequence[Question], patience: int) -> str:
    report, tell = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            os.close(report)
            _ask(change, order, tell, patience)
        os._exit(0)
    os.close(tell)
    with os.fdopen(report) as pipe:
        fates = pipe.read().split()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return HANGS
    if not fates:
        return ""
    order[int(fates[0])].noticed += 1
    return order[int(fates[0])].name


def _ask(change: Callable[[], None], order: Sequence[Question], tell: int, patience: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    for number in (signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    try:
        change()
    except Exception:  # noqa: BLE001 - so is a change with which nothing starts
        os.write(tell, b"0")
        os._exit(0)
    for index, question in enumerate(order):
        signal.setitimer(signal.ITIMER_PROF, patience * (LEAST_S + 4 * question.cost_s))
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_S)
        try:
            question.ask()
        except BaseException:  # noqa: BLE001 - whatever it raises, it was noticed
            os.write(tell, str(index).encode())
            os._exit(0)
