"""Changes the firmware's core in every way that c_mutants knows and asks the tests about each.

`make mutation-c`. Each mutant is built for this computer and runs the conformance suite and the
core's own tests on a clock that passes when asked (tests/support/virtual_board.py), a
fraction of a second together. One that nobody notices must stand in docs/mutation_firmware.md with
the reason; exit 1 for one that does not, and for a reason whose mutant is noticed by now.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from firmware_bridge.conformance.suite import PASSED, run
from firmware_bridge.errors import StageError
from firmware_bridge.firmware.build import CORE, FAULTS, HERE, native_compiler
from tests.mutation.c_mutants import Mutant, mutants
from tests.support import virtual_board

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests/firmware_bridge"
DOCUMENT = ROOT / "docs/mutation_firmware.md"
FILES = ("watchdog.c", "session.c", "moves.c", "protocol.c", "replies.c", "motion.c", "framing.c",
         "watchdog.h", "protocol.h", "motion.h")  # fmt: skip
JUDGES = ("test_core_motion.py", "test_core_moves.py", "test_core_session.py",
          "test_core_replies.py", "test_core_framing.py")  # fmt: skip
OTHERS = (str(virtual_board.SHIM), "ports/bench/bench.c")
BY_SUITE, BY_TESTS, HANGS, SURVIVED, NO_BUILD, SAME = (
    "conformance suite", "tests", "does not end", "survived", "does not compile", "same code",
)  # fmt: skip
NOTICED = {BY_SUITE: 1, BY_TESTS: 2}
CLOCK_US = 2**32 - 3_000_000  # the suite runs over the end of 32 bits
PATIENCE_S = 20


class Bed:
    """A copy of the firmware where one file at a time is exchanged, the rest built once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "firmware"
        skip = shutil.ignore_patterns("build", "*.py", "__pycache__", "*.o")
        shutil.copytree(HERE, self.folder, ignore=skip)
        self.compiler = native_compiler()
        self.units = (*CORE, *OTHERS)
        for unit in self.units:
            if not self._compile(unit, self._object(unit)):
                raise SystemExit(f"{unit} does not compile as it is")

    def _object(self, unit: str) -> Path:
        return self.folder / f"{Path(unit).stem}.o"

    def _compile(self, unit: str, to: Path, *how: str) -> bool:
        words = ["-std=c99", "-w", "-fPIC", "-I.", FAULTS, *(how or ("-O0", "-c"))]
        command = [self.compiler, *words, "-o", str(to), unit]
        return not subprocess.run(command, cwd=self.folder, capture_output=True).returncode

    def build(self, mutant: Mutant) -> Path | None:
        """The library with this change; None when it does not compile."""
        path = self.folder / mutant.file
        right = path.read_text()
        changed = self.units if mutant.file.endswith(".h") else (mutant.file,)
        fresh = {unit: self.folder / f"fresh-{Path(unit).stem}.o" for unit in changed}
        path.write_text(mutant.text)
        try:
            if not all(self._compile(unit, to) for unit, to in fresh.items()):
                return None
        finally:
            path.write_text(right)
        library = self.folder / "mutant.so"
        library.unlink(missing_ok=True)
        objects = [fresh.get(unit, self._object(unit)) for unit in self.units]
        command = [self.compiler, "-shared", "-o", str(library), *map(str, objects)]
        subprocess.run(command, check=True, cwd=self.folder, capture_output=True)
        return library

    def same_code(self, mutant: Mutant) -> bool:
        """True when the optimizer makes the same instructions of it: no test can tell."""
        if mutant.file.endswith(".h"):
            return False
        path = self.folder / mutant.file
        right = path.read_text()
        texts = []
        for text in (right, mutant.text):
            path.write_text(text)
            to = self.folder / "same.s"
            self._compile(mutant.file, to, "-O2", "-S", "-g0")
            texts.append(to.read_text())
        path.write_text(right)
        return texts[0] == texts[1]


def judge(library: Path, with_tests: bool) -> str:
    """What notices this core, asked in a process of its own."""
    child = os.fork()
    if not child:
        os._exit(_ask(library, with_tests))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return HANGS
    return next((k for k, code in NOTICED.items() if code == os.WEXITSTATUS(status)), SURVIVED)


def _ask(library: Path, with_tests: bool) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE_S, PATIENCE_S))
    signal.alarm(4 * PATIENCE_S)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.environ["VIRTUAL_CORE"] = str(library)
    if not conforms(library):
        return NOTICED[BY_SUITE]
    if not with_tests:
        return 0
    names = [str(TESTS / name) for name in JUDGES if (TESTS / name).exists()]
    failed = pytest.main(["-x", "-q", "-p", "no:cacheprovider", "--no-header", *names])
    return NOTICED[BY_TESTS] if failed else 0


def conforms(library: Path) -> bool:
    """The conformance suite's word on this core."""
    try:
        probe = virtual_board.VirtualBoard(library, clock_us=CLOCK_US).probe()
        return all(outcome.result == PASSED for outcome in run(probe))
    except (StageError, Exception):  # noqa: BLE001 - it may not even get as far as a check
        return False


def explained() -> set[tuple[str, str, str]]:
    """(file, line before, line after) of the document's table."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    rows = re.findall(r"^\| (\S+) \| `(.+?)` \| `(.+?)` \|", text, re.M)
    return {(f, a.replace("\\|", "|"), b.replace("\\|", "|")) for f, a, b in rows}


def main(words: Sequence[str] | None = None) -> int:
    """Print every mutant's fate in sums, and what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=list(FILES))
    parser.add_argument("--line", type=int, action="append", help="only changes of this line")
    parser.add_argument("--suite-only", action="store_true", help="the conformance suite alone")
    parser.add_argument("--json", type=Path, help="write every mutant and its fate")
    options = parser.parse_args(words)
    fates: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        bed = Bed(Path(scratch))
        for file in options.files:
            for mutant in mutants(file, (HERE / file).read_text()):
                if options.line and mutant.line not in options.line:
                    continue
                library = bed.build(mutant)
                fate = judge(library, not options.suite_only) if library else NO_BUILD
                if fate == SURVIVED and bed.same_code(mutant):
                    fate = SAME
                fates.append((mutant, fate))
            print(file, dict(Counter(f for m, f in fates if m.file == file)), flush=True)
    if options.json:
        rows = [(m.file, m.line, m.before, m.after, fate) for m, fate in fates]
        options.json.write_text(json.dumps(rows, indent=0), encoding="utf-8")
    return _verdict(fates, options.files if not options.line else [])


def _verdict(fates: list[tuple[Mutant, str]], whole: Sequence[str]) -> int:
    lived = {(m.file, m.before, m.after): m.line for m, fate in fates if fate == SURVIVED}
    known = explained()
    for (file, before, after), line in lived.items():
        if (file, before, after) not in known:
            print(f"not noticed and not explained: {file}:{line}\n  {before}\n  {after}")
    gone = {row for row in known - set(lived) if row[0] in whole}
    for file, before, after in sorted(gone):
        print(f"explained, but noticed by now: {file}\n  {before}\n  {after}")
    return int(bool(set(lived) - known or gone or not fates))


if __name__ == "__main__":
    sys.exit(main())
