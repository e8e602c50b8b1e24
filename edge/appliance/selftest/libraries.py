"""What `sparsefocus doctor` looks at first: Python and the libraries. It needs none of them itself,
so that it can tell which one is missing or does not load.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engines.opencv_here import trouble

OK, NOTE, MISSING = "ok", "note", "missing"
PYTHONS = ((3, 10), (3, 12))
LIBRARIES = ("numpy", "scipy", "onnxruntime", "PyYAML", "pyserial")


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `state` is OK, NOTE (needed by some instruments only) or MISSING; `do` says what
    helps, "" where nothing has to be done."""

    what: str
    state: str
    detail: str
    do: str = ""


def libraries() -> Iterator[Finding]:
    """Python, the libraries that every verb needs, and OpenCV's build."""
    supported = PYTHONS[0] <= sys.version_info[:2] <= PYTHONS[1]
    do = "" if supported else "Python 3.10 to 3.12 is needed"
    yield Finding("Python", OK if supported else MISSING, platform.python_version(), do)
    for name in LIBRARIES:
        try:
            yield Finding(name, OK, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, MISSING, "is not installed", f"pip install {name}")
    wrong = trouble()
    if wrong:
        yield Finding("OpenCV", MISSING, wrong, "see the line")
        return
    cv2 = importlib.import_module("cv2")
    yield Finding("OpenCV", OK, f"{cv2.__version__}, {Path(str(cv2.__file__)).parent}")
