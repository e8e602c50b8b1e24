"""Changes the safety core's Python in every way that py_mutants knows and asks its tests.

`make mutation`. pytest collects the tests once; each change is made in a process of its own, in the
code that is loaded already, and the tests that run the changed line are asked, those that notice
most first. A test that takes long is not asked: what only it would see wants a smaller one. What
nobody notices must stand in docs/mutation.md with the reason; exit 1 for one that does not, and for
a reason whose change is noticed by now.
"""

from __future__ import annotations

import argparse
import ast
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.mutation.court import Question, by_worth, judge, measured
from tests.mutation.fates import Fates, Log, verdict
from tests.mutation.live import Lines, exchange
from tests.mutation.py_mutants import mutants

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/mutation.md"
DECIDE = ("evidence", "conduct", "play", "debts", "hunt", "sent", "controller_settings",
          "controller", "controllers", "tracking", "focus_surface", "reading_scale",
          "drive_evidence", "decision")  # fmt: skip
BRIDGE = ("tests/firmware_bridge/test_client.py", "tests/firmware_bridge/test_client_doubts.py",
          "tests/firmware_bridge/test_client_handshake.py",
          "tests/firmware_bridge/test_client_heartbeat.py",
          "tests/firmware_bridge/test_exchange.py", "tests/firmware_bridge/test_history.py",
          "tests/firmware_bridge/test_clock_and_history.py")  # fmt: skip
#: what is changed -> whose tests are asked
ROOMS: dict[tuple[str, ...], tuple[str, ...]] = {
    tuple(f"edge/decide/{name}.py" for name in DECIDE): (
        *sorted({path.relative_to(ROOT).as_posix()
                 for name in DECIDE
                 for path in (ROOT / "tests/edge/decide").glob(f"test_{name}*.py")}),
    ),
    ("edge/guard.py", "edge/state.py"): (
        "tests/edge/test_guard.py", "tests/edge/test_guard_edges.py", "tests/edge/test_state.py",
        "tests/edge/test_guard_frames.py", "tests/edge/test_guard_hold.py",
        "tests/edge/test_guard_by_hand.py", "tests/edge/test_guard_tracking.py",
        "tests/edge/decide/test_controllers.py",
    ),
    ("firmware_bridge/client.py", "firmware_bridge/exchange.py", "firmware_bridge/history.py"):
        BRIDGE,
    ("firmware_bridge/framing.py",): (
        "tests/firmware_bridge/test_framing.py", "tests/firmware_bridge/test_framing_edges.py",
    ),
}  # fmt: skip
LONG_S = 0.05  # of CPU, for one test
ALL_S = 0.4  # for all that are asked about one change
Line = tuple[str, int]


class Run:
    """A plugin that stands in for pytest's own way of running what it collected."""

    def __init__(self, files: Sequence[str], lines: Sequence[int], log: Log) -> None:
        self._files, self._only, self._log = files, lines, log
        self.fates: Fates = []

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Ask about every change."""
        asked = self._asked(session.items)
        for file in self._files:
            text = (ROOT / file).read_text(encoding="utf-8")
            together = statements(text)
            for mutant in mutants(file, text):
                if self._only and mutant.line not in self._only:
                    continue
                here = {(file, line) for line in together.get(mutant.line, ())}
                mine = quickest(file, (q for q, lines in asked if not here or here & lines))
                ask = partial(judge, partial(exchange, ROOT / file, mutant.text), mine)
                self.fates.append((mutant, self._log.fate(mutant, ask)))
            fates = Counter("noticed" if fate else "survived"
                            for m, fate in self.fates if m.file == file)  # fmt: skip
            print(file, dict(fates), flush=True)
        return True

    def _asked(self, items: Sequence[pytest.Item]) -> list[tuple[Question, set[Line]]]:
        """Every test but the long ones, and the lines that it runs, from the log or found now."""
        watched = Lines([ROOT / f for f in self._files])
        sources = "".join((ROOT / f).read_text(encoding="utf-8") for f in self._files)
        asked: list[tuple[Question, set[Line]]] = []
        for item in items:
            question = Question(item.nodeid, partial(_passes, item))
            key = f"facts 2 {item.nodeid}\n{item.path.read_text(encoding='utf-8')}\n{sources}"
            cost_s, lines = self._log.once(key, partial(_facts, question, watched))
            question.cost_s = cost_s
            if cost_s <= LONG_S:
                asked.append((question, {(f, n) for f, n in lines}))
        return asked


def _facts(question: Question, watched: Lines) -> tuple[float, list[Line]]:
    cost_s = measured(question.name, question.ask).cost_s
    if cost_s <= LONG_S:
        with watched:
            question.ask()
    return cost_s, sorted(watched.lines)


def quickest(file: str, questions: Iterable[Question]) -> list[Question]:
    """The file's own tests, then those that promise most, as many as there is time for."""
    own = f"/test_{Path(file).stem}"
    most, left_s = [], ALL_S
    for question in sorted(by_worth(questions), key=lambda q: own not in q.name):
        left_s -= question.cost_s
        if left_s < 0:
            break
        most.append(question)
    return most


def statements(text: str) -> dict[int, range]:
    """Line inside a function -> the lines of its statement, without the statements in that."""
    ranges: dict[int, range] = {}
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef):
            inside = (n for part in function.body for n in ast.walk(part))
            for node in inside:
                if isinstance(node, ast.stmt):
                    first = getattr(node, "body", [node])[0]
                    last = first.lineno - 1 if first is not node else node.end_lineno
                    lines = range(node.lineno, max(node.lineno, last or 0) + 1)
                    ranges.update((n, lines) for n in lines)
    return ranges


def _passes(item: pytest.Item) -> None:
    """Run one collected test once more; AssertionError when it does not pass.

    A function of nothing but its parameters is called as it is: pytest's own way round it takes
    ten times as long.
    """
    if isinstance(item, pytest.Function):
        given = getattr(item, "callspec", None)
        values = given.params if given else {}
        marks = {mark.name for mark in item.iter_markers()}
        if set(item.fixturenames) <= set(values) and marks <= {"parametrize"}:
            item.obj(**values)
            return
    from _pytest.runner import runtestprotocol

    if hasattr(item, "_initrequest"):
        item._initrequest()
    for report in runtestprotocol(item, log=False, nextitem=None):
        if report.failed:
            raise AssertionError(str(report.longrepr)[-2000:])


def main(words: Sequence[str] | None = None) -> int:
    """Print every file's fates in sums, and what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", help="the safety core's, by default all of them")
    parser.add_argument("--line", type=int, action="append", help="only changes of this line")
    parser.add_argument("--log", type=Path, help="keep every fate, and go on where this stopped")
    options = parser.parse_args(words)
    fates: Fates = []
    wanted: list[str] = options.files or [f for files in ROOMS for f in files]
    for files, tests in ROOMS.items():
        mine = [f for f in files if f in wanted]
        if mine:
            run = Run(mine, options.line or [], Log(options.log))
            there = [t for t in tests if (ROOT / t).exists()]
            pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:timeout", "-o", "addopts=",
                         "--import-mode=importlib", *there], [run])  # fmt: skip
            fates += run.fates
    return verdict(DOCUMENT, fates, wanted if not options.line else [])


if __name__ == "__main__":
    sys.exit(main())
