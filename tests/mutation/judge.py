"""Compares the mutants that no test noticed with those that docs/mutation.md explains.

Run by `make mutation` after mutmut. Exit 1 for a survivor without an explanation, and for an
explanation whose mutant does not survive any more.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs/mutation.md"
MUTMUT = Path(sys.executable).with_name("mutmut")
NOTICED = {"killed", "timeout"}


def mutmut(*words: str) -> str:
    """What `mutmut words` prints."""
    run = [str(MUTMUT), *words]
    return subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def changed_lines(name: str) -> tuple[str, str]:
    """(line before, line after) of one mutant, without their indents."""
    diff = mutmut("show", name).splitlines()
    before = [x[1:].strip() for x in diff if x.startswith("-") and not x.startswith("---")]
    after = [x[1:].strip() for x in diff if x.startswith("+") and not x.startswith("+++")]
    return " ".join(before), " ".join(after)


def explained() -> set[tuple[str, str]]:
    """The pairs of lines in the document's table."""
    rows = re.findall(r"^\| `(.+?)` \| `(.+?)` \|", DOCUMENT.read_text(encoding="utf-8"), re.M)
    return set(rows)


def main() -> int:
    """Print every mutant's fate in sums, and what is wrong."""
    results = re.findall(r"^\s+(\S+): (.+)$", mutmut("results", "--all", "true"), re.M)
    print(dict(Counter(fate for _, fate in results)))
    survivors = {changed_lines(name) for name, fate in results if fate not in NOTICED}
    known = explained()
    for before, after in sorted(survivors - known):
        print(f"not noticed and not explained:\n  {before}\n  {after}")
    for before, after in sorted(known - survivors):
        print(f"explained, but noticed by now:\n  {before}\n  {after}")
    return int(survivors != known or not results)


if __name__ == "__main__":
    sys.exit(main())
