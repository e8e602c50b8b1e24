"""C libraries by name, their functions typed once. No bindings to install: the same code runs on
every Python, and the interpreter's lock is free while the library waits."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

from edge.errors import ConfigError

Pointer = ctypes.c_void_p


class GError(ctypes.Structure):
    """GLib's error."""

    _fields_ = (
        ("domain", ctypes.c_uint32),
        ("code", ctypes.c_int),
        ("message", ctypes.c_char_p),
    )


def load(name: str, install: str) -> ctypes.CDLL:
    """Open a shared library; ConfigError that says how to get it."""
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise ConfigError(f"camera.driver: {name} is missing: {install} ({error})") from error


def function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function of `library` with its types."""
    symbol = library[name]
    symbol.restype, symbol.argtypes = result, list(arguments)
    return symbol


def checked(
    library: ctypes.CDLL,
    raised: Callable[[str], Exception],
    name: str,
    result: Any,
    *arguments: Any,
) -> Callable[..., Any]:
    """A function whose last argument is a GError**: an error becomes `raised(its message)`."""
    inner = function(library, name, result, *arguments, ctypes.POINTER(ctypes.POINTER(GError)))
    free = function(library, "g_error_free", None, ctypes.POINTER(GError))

    def call(*values: Any) -> Any:
        error = ctypes.POINTER(GError)()
        answer = inner(*values, ctypes.byref(error))
        if error:
            message = (error.contents.message or b"").decode("utf-8", "replace")
            free(error)
            raise raised(message)
        return answer

    return call
