"""OpenCV's own warnings off the terminal, in every release that setup.cfg allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import cv2

SILENT = 0  # cv::utils::logging::LOG_LEVEL_SILENT


def _log_levels() -> Any:
    """Where getLogLevel and setLogLevel are: cv2.utils.logging since 4.13, cv2 itself before."""
    for place in (getattr(cv2.utils, "logging", None), cv2):
        if hasattr(place, "getLogLevel") and hasattr(place, "setLogLevel"):
            return place
    return None


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """What is wrong with a picture is said once, by the caller."""
    levels = _log_levels()
    if levels is None:
        yield
        return
    before = levels.getLogLevel()
    levels.setLogLevel(SILENT)
    try:
        yield
    finally:
        levels.setLogLevel(before)
