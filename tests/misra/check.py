"""Asks cppcheck's MISRA C:2012 add-on about the firmware's core and compares with docs/misra.md.

`make misra`. Every deviation is a row of the document: rule, file, how many, why. Exit 1 for one
more than a row allows, for a row that no violation needs any more, and where cppcheck is another
one than the rows were written with.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from firmware_bridge.firmware.build import CORE, HERE

DOCUMENT = Path(__file__).parents[2] / "docs/misra.md"
VERSION = "2.10"  # the rows of the document are this one's; others know more rules, or fewer
Violations = Counter[tuple[str, str]]  # (rule, file) -> places


def version() -> str:
    """cppcheck's, "" where there is none."""
    program = shutil.which("cppcheck")
    if program is None:
        return ""
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def violations(changed: dict[str, str] | None = None) -> Violations:
    """What the add-on finds in the core; `changed`: files that read otherwise."""
    with tempfile.TemporaryDirectory(prefix="misra-") as scratch:
        folder = Path(scratch)
        for path in HERE.glob("*.[ch]"):
            text = (changed or {}).get(path.name) or path.read_text(encoding="utf-8")
            (folder / path.name).write_text(text, encoding="utf-8")
        command = [
            "cppcheck", "--std=c99", "--platform=unix32", "--enable=style", "--addon=misra",
            "--suppress=missingIncludeSystem", "-q", "--template={file}:{line}:{id}", *CORE,
        ]  # fmt: skip
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    places = set(re.findall(r"^([\w.]+):(\d+):misra-c2012-([\d.]+)$", done.stderr, re.M))
    return Counter((rule, file) for file, _, rule in places)


def deviations() -> Violations:
    """The document's rows."""
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else ""
    rows = re.findall(r"^\| (\d+\.\d+) \| (\S+) \| (\d+) \|", text, re.M)
    return Counter({(rule, file): int(count) for rule, file, count in rows})


def differences(actual: Violations, named: Violations) -> list[str]:
    """Lines for people; empty when both agree."""
    return [
        f"rule {rule} in {file}: {actual[rule, file]} found, {named[rule, file]} named"
        for rule, file in sorted(set(actual) | set(named))
        if actual[rule, file] != named[rule, file]
    ]


def main() -> int:
    """Print what differs."""
    there = version()
    if not there:
        print("cppcheck is missing: apt install cppcheck")
        return 1
    if there != VERSION:
        print(f"docs/misra.md was written with cppcheck {VERSION}, this is {there}")
    faults = differences(violations(), deviations())
    print("\n".join(faults) or "every violation is a deviation that docs/misra.md names")
    return int(bool(faults) or there != VERSION)


if __name__ == "__main__":
    sys.exit(main())
