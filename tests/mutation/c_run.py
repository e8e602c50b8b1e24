"""Changes the firmware's core in every way that c_mutants knows and asks the tests about each.

`make mutation-c`. Each mutant is built for this computer and runs the conformance suite and the
core's own tests on a clock that passes when asked (tests/support/virtual_board.py), a
fraction of a second together. One that nobody notices must stand in docs/mutation_firmware.md with
the reason; exit 1 for one that does not, and for a reason whose mutant is noticed by now.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from firmware_bridge.conformance.suite import BENCH_CHECKS, CHECKS
from firmware_bridge.firmware.build import HERE
from tests.mutation.c_mutants import Mutant, mutants
from tests.support import virtual_board
from tests.support.core_bed import Bed

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/mutation_firmware.md"
FILES = ("watchdog.c", "session.c", "moves.c", "protocol.c", "replies.c", "motion.c", "framing.c",
         "watchdog.h", "protocol.h", "motion.h")  # fmt: skip
JUDGES = tuple(f"tests.firmware_bridge.firmware.test_core_{subject}"
               for subject in ("moves", "session", "stops", "replies", "motion"))  # fmt: skip
#: files of which the last of them, which drives motion.c alone, knows nothing
WITHOUT_MOTION = ("watchdog", "session", "moves", "protocol", "replies", "framing")
BY_SUITE, BY_TESTS, HANGS, SURVIVED, NO_BUILD, SAME = (
    "conformance suite", "tests", "does not end", "survived", "does not compile", "same code",
)  # fmt: skip
NOTICED = {BY_SUITE: 1, BY_TESTS: 2}
CLOCK_US = 2**32 - 3_000_000  # the suite runs over the end of 32 bits
SUITE_S, TESTS_S = 3, 10  # of CPU; the suite takes 0.1
PATIENCE_S = 600


def judge(library: Path, tests: Sequence[str]) -> str:
    """What notices this core, asked in a process of its own."""
    child = os.fork()
    if not child:
        os._exit(_ask(library, tests))
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return HANGS
    return next((k for k, code in NOTICED.items() if code == os.WEXITSTATUS(status)), SURVIVED)


def _ask(library: Path, tests: Sequence[str]) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (SUITE_S, TESTS_S))
    signal.alarm(PATIENCE_S)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os.environ["VIRTUAL_CORE"] = str(library)
    if not conforms(library):
        return NOTICED[BY_SUITE]
    resource.setrlimit(resource.RLIMIT_CPU, (TESTS_S, TESTS_S))
    return NOTICED[BY_TESTS] if not passes(tests) else 0


def conforms(library: Path) -> bool:
    """The conformance suite's word on this core, up to the first check that fails."""
    try:
        host = virtual_board.VirtualBoard(library, clock_us=CLOCK_US).host()
        for check in (*CHECKS, *BENCH_CHECKS):
            host.fresh()
            check(host)
    except Exception:  # noqa: BLE001 - whatever it raises, it was noticed
        return False
    return True


def passes(tests: Sequence[str]) -> bool:
    """The word of the core's own tests: functions without arguments, so that pytest's start is
    saved a thousand times."""
    try:
        for module in tests:
            for name, test in vars(importlib.import_module(module)).items():
                if name.startswith("test_"):
                    test()
    except Exception:  # noqa: BLE001
        return False
    return True


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
    if not options.suite_only:
        for module in JUDGES:
            importlib.import_module(module)  # once, before the forks
    fates: list[tuple[Mutant, str]] = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        bed = Bed(Path(scratch))
        for file in options.files:
            knows = JUDGES[:-1] if Path(file).stem in WITHOUT_MOTION else JUDGES
            asked = () if options.suite_only else knows
            for mutant in mutants(file, (HERE / file).read_text()):
                if options.line and mutant.line not in options.line:
                    continue
                library = bed.build(mutant.file, mutant.text)
                fate = judge(library, asked) if library else NO_BUILD
                if library:
                    library.unlink()
                if fate == SURVIVED and _same_code(bed, mutant):
                    fate = SAME
                fates.append((mutant, fate))
            print(file, dict(Counter(f for m, f in fates if m.file == file)), flush=True)
    if options.json:
        rows = [(m.file, m.line, m.before, m.after, fate) for m, fate in fates]
        options.json.write_text(json.dumps(rows, indent=0), encoding="utf-8")
    return _verdict(fates, options.files if not options.line else [])


def _same_code(bed: Bed, mutant: Mutant) -> bool:
    return mutant.file.endswith(".c") and bed.same_code(mutant.file, mutant.text)


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
