"""Changes the firmware's core in every way that c_mutants knows and asks the tests about each.

`make mutation-c`. Each mutant is built for this computer and is asked about by the conformance
suite's checks and the core's own tests, on a clock that passes when asked
(tests/support/virtual_board.py). One that nobody notices must stand in docs/mutation_firmware.md
with the reason; exit 1 for one that does not, and for a reason whose mutant is noticed by now.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from firmware_bridge.conformance.suite import ALL_CHECKS
from firmware_bridge.conformance.test_host import ConformanceHost
from firmware_bridge.firmware.build import HERE
from tests.mutation.c_mutants import Mutant, mutants
from tests.mutation.court import Question, by_worth, judge, measured
from tests.mutation.fates import SAME, Fates, Log, verdict
from tests.support.core_bed import Bed
from tests.support.virtual_board import XY_LIMITS, VirtualBoard

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/mutation_firmware.md"
FILES = ("watchdog.c", "session.c", "moves.c", "protocol.c", "replies.c", "motion.c", "framing.c",
         "numbers.c", "trigger.c", "xy.c", "xy_moves.c", "xy_replies.c",
         "watchdog.h", "protocol.h", "motion.h", "trigger.h", "xy.h")  # fmt: skip
SUBJECTS = ("framing", "moves", "session", "stops", "replies", "xy", "slide", "trigger", "motion",
            "turns")  # fmt: skip
JUDGES = tuple(f"tests.firmware_bridge.firmware.test_core_{subject}" for subject in SUBJECTS)
#: files of which the last two of them, which drive motion.c alone, know nothing
WITHOUT_MOTION = ("watchdog", "session", "moves", "protocol", "replies", "framing", "numbers")
#: and these concern X and Y alone
XY_FILES = ("trigger", "xy", "xy_moves", "xy_replies")
XY_QUESTIONS = ("xy", "slide", "trigger")
NO_BUILD = "does not compile"
CLOCK_US = 2**32 - 3_000_000  # the suite runs over the end of 32 bits


def _conforms(check: Callable[[ConformanceHost], None]) -> None:
    host = VirtualBoard(clock_us=CLOCK_US, xy_limits=XY_LIMITS).host()
    host.fresh()
    check(host)


def questions(library: Path) -> list[Question]:
    """Every check and test, asked once of this, the right core."""
    os.environ["VIRTUAL_CORE"] = str(library)
    asked = [measured(f"suite: {c.__name__}", partial(_conforms, c))
             for c in ALL_CHECKS]  # fmt: skip
    for module in JUDGES:
        for name, test in vars(importlib.import_module(module)).items():
            if name.startswith("test_"):
                asked.append(measured(f"{module.rpartition('_')[2]}: {name}", test))
    return asked


def main(words: Sequence[str] | None = None) -> int:
    """Print every mutant's fate in sums, and what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", default=list(FILES))
    parser.add_argument("--line", type=int, action="append", help="only changes of this line")
    parser.add_argument("--suite-only", action="store_true", help="the conformance suite alone")
    parser.add_argument("--log", type=Path, help="keep every fate, and go on where this stopped")
    options = parser.parse_args(words)
    fates: Fates = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as scratch:
        bed, log = Bed(Path(scratch)), Log(options.log)
        right = bed.build(FILES[0], (HERE / FILES[0]).read_text())
        assert right is not None
        asked = questions(right)
        if options.suite_only:
            asked = [q for q in asked if q.name.startswith("suite")]
        for file in options.files:
            mine = _concerned(Path(file).stem, asked)
            for mutant in mutants(file, (HERE / file).read_text()):
                if not options.line or mutant.line in options.line:
                    fate = log.fate(mutant, lambda m=mutant, q=mine: _fate(bed, m, q))
                    fates.append((mutant, fate))
            print(file, dict(Counter(_sort(f) for m, f in fates if m.file == file)), flush=True)
    return verdict(DOCUMENT, fates, options.files if not options.line else [])


def _concerned(stem: str, asked: Sequence[Question]) -> Sequence[Question]:
    """The questions that can notice a change of this file."""
    if stem in XY_FILES:
        return [q for q in asked if q.name.startswith(XY_QUESTIONS)]
    if stem in WITHOUT_MOTION:
        return [q for q in asked if not q.name.startswith(("motion", "turns"))]
    return asked


def _sort(fate: str) -> str:
    return fate.partition(":")[0] or "survived"


def _fate(bed: Bed, mutant: Mutant, asked: Sequence[Question]) -> str:
    library = bed.build(mutant.file, mutant.text)
    if library is None:
        return NO_BUILD
    fate = _asked(library, asked)
    if fate:
        return fate
    if mutant.file.endswith(".c") and bed.same_code(mutant.file, mutant.text):
        return SAME
    watched = bed.build(mutant.file, mutant.text, watched=True)
    return _asked(watched, asked) if watched else fate


def _asked(library: Path, asked: Sequence[Question]) -> str:
    fate = judge(partial(os.environ.__setitem__, "VIRTUAL_CORE", str(library)), by_worth(asked))
    library.unlink()
    return fate


if __name__ == "__main__":
    sys.exit(main())
