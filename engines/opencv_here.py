"""`python -m engines.opencv_here`: can OpenCV be loaded here, and if not, is it missing or broken?

JetPack 6 brings an OpenCV that was built for numpy 1: with numpy 2 it is there and does not load,
and installing it once more is the wrong advice.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

MISSING = "OpenCV is missing: JetPack's python3-opencv, or pip install '.[opencv]'"


def trouble() -> str:
    """One line on what is wrong; "" when nothing is."""
    if importlib.util.find_spec("cv2") is None:
        return MISSING
    try:
        importlib.import_module("cv2")
    except (ImportError, AttributeError, OSError, RuntimeError, SystemError, ValueError) as error:
        last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        return f"OpenCV is here and cannot be loaded: {last}{_numpy()}"
    return ""


def _numpy() -> str:
    try:
        version = str(importlib.import_module("numpy").__version__)
    except ImportError as error:
        return f"; numpy cannot be loaded either: {error}"
    if int(version.partition(".")[0]) >= 2:
        return f"; numpy is {version}, an OpenCV built for numpy 1 needs: pip install 'numpy<2'"
    return f"; numpy is {version}"


def main() -> int:
    """0 when OpenCV loads, else 1 with the line."""
    what = trouble()
    if what:
        print(what, file=sys.stderr)
    return int(bool(what))


if __name__ == "__main__":
    sys.exit(main())
