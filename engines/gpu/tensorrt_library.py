"""TensorRT itself: where it is imported, and what it tells of its errors."""

from __future__ import annotations

import importlib
from typing import Any

from engines.errors import TensorRtMissing


def import_tensorrt() -> Any:
    """The `tensorrt` module. TensorRtMissing says how to get it."""
    try:
        return importlib.import_module("tensorrt")
    except (ImportError, OSError) as error:  # OSError: a library of it is missing
        reason = " ".join(str(error).split())[:120]
        raise TensorRtMissing(
            f"TensorRT is not here ({reason}): it comes with JetPack; "
            "use a virtual environment made with --system-site-packages"
        ) from error


def make_log(trt: Any) -> Any:
    """A TensorRT logger that keeps errors in `.errors` and prints nothing."""

    class Log(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
                self.errors.append(" ".join(str(message).split()))

    return Log()
