"""pypylon itself: loading it, its buffers as arrays, its errors as one line."""

from __future__ import annotations

import importlib
import re
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.camera import PixelFormat
from edge.errors import ConfigError
from engines.own_cache import keep_in_cache

GENICAM_VERSIONS = ("3_0", "3_1", "3_2", "3_3", "3_4", "3_5", "3_6", "3_7")


def load_pylon() -> Any:
    """The module pypylon.pylon; ConfigError that names the extra."""
    for version in GENICAM_VERSIONS:  # each looks for its own; else ~/genicam_xml_cache is made
        keep_in_cache(f"GENICAM_CACHE_V{version}", "genicam/")
    try:
        # SWIG's classes lack __module__: where warnings are errors, loading them crashes Python
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return importlib.import_module("pypylon.pylon")
    except ImportError as error:
        raise ConfigError(
            f"camera.driver = pylon needs pypylon: pip install 'sparsefocus-edge[pylon]' ({error})"
        ) from error


class _Held:
    """Keeps pylon's buffer alive as long as an array looks at it."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self.__array_interface__ = np.frombuffer(
            result.GetMemoryView(), np.uint8
        ).__array_interface__


def pixels_of(result: Any, pixel_format: PixelFormat) -> npt.NDArray[np.uint8]:
    """(height, width[, 3]) uint8 over pylon's buffer, which pylon keeps until the array goes."""
    height, width, channels = result.Height, result.Width, pixel_format.channels
    row = width * channels
    flat: npt.NDArray[np.uint8] = np.asarray(_Held(result))
    rows = flat[: height * (row + result.PaddingX)].reshape(height, row + result.PaddingX)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return np.ascontiguousarray(rows[:, :row]).reshape(shape)


def line_of(error: object) -> str:
    """pylon's words without where in pylon they come from."""
    return re.split(r"\s:\s\w+ thrown", str(error).strip())[0].splitlines()[0]
