"""Builds changed copies of the firmware's core quickly: one file is exchanged, the rest built once.

Where tcc is installed it does the compiling, a hundred times faster than an optimizing compiler;
what is asked of the result is the same.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from firmware_bridge.firmware.build import CORE, FAULTS, HERE, native_compiler
from tests.support.virtual_board import BENCH, SHIM

#: gcc and clang know them alike; no library is needed for a trap
WATCHED = ("-O1", "-ftrivial-auto-var-init=pattern", "-fsanitize=undefined",
           "-fsanitize-undefined-trap-on-error")  # fmt: skip
UNITS = (*CORE, str(SHIM), BENCH)


class Bed:
    """A copy of the sources under `scratch`, and the object of each."""

    def __init__(self, scratch: Path) -> None:
        """RuntimeError when the sources do not compile as they are."""
        self.folder = scratch / "firmware"
        skip = shutil.ignore_patterns("build", "*.py", "__pycache__")
        shutil.copytree(HERE, self.folder, ignore=skip)
        self.compiler = shutil.which("tcc") or native_compiler()
        self._count = 0
        for unit in UNITS:
            if not self._compile(unit, self._object(unit)):
                raise RuntimeError(f"{unit} does not compile")

    def _object(self, unit: str) -> Path:
        return self.folder / f"{Path(unit).stem}.o"

    def _compile(self, unit: str, to: Path, watched: bool = False) -> bool:
        words = ["-std=c99", "-w", "-fPIC", "-I.", FAULTS, "-c", "-o", str(to), unit]
        compiler = [native_compiler(), *WATCHED] if watched else [self.compiler]
        run = subprocess.run([*compiler, *words], cwd=self.folder, capture_output=True)
        return not run.returncode

    def build(self, file: str, text: str, watched: bool = False) -> Path | None:
        """A library for VirtualBoard in which `file` reads `text`; None: it does not compile.

        `watched`: by a compiler that lets the process end at an index beyond an array, a shift or
        a sum too large, and fills what is read before it was written with rubbish.
        """
        path = self.folder / file
        right = path.read_text(encoding="utf-8")
        changed = UNITS if file.endswith(".h") else (file,)
        fresh = {unit: self.folder / f"fresh-{Path(unit).stem}.o" for unit in changed}
        path.write_text(text, encoding="utf-8")
        try:
            if not all(self._compile(unit, to, watched) for unit, to in fresh.items()):
                return None
        finally:
            path.write_text(right, encoding="utf-8")
        self._count += 1  # a library that is loaded keeps its name: each gets its own
        library = self.folder.parent / f"core-{self._count}.so"
        objects = [str(fresh.get(unit, self._object(unit))) for unit in UNITS]
        linked = subprocess.run(
            [self.compiler, "-shared", "-o", str(library), *objects], capture_output=True
        )
        return library if linked.returncode == 0 else None

    def same_code(self, file: str, text: str) -> bool:
        """True when an optimizer makes the same instructions of it: then no test can tell."""
        path = self.folder / file
        right = path.read_text(encoding="utf-8")
        made = []
        for version in (right, text):
            path.write_text(version, encoding="utf-8")
            to = self.folder / "same.s"
            command = [native_compiler(), "-std=c99", "-w", "-O2", "-g0", "-S", "-I.", FAULTS]
            subprocess.run([*command, "-o", str(to), file], cwd=self.folder, capture_output=True)
            made.append(to.read_text())
        path.write_text(right, encoding="utf-8")
        return made[0] == made[1]
