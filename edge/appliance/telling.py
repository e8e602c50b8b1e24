"""What people are told, on streams that may be full, closed or gone: it never decides anything.

A shutdown's status and reason stand before anybody is told of them; a terminal that has gone, or a
disk that is full, changes neither.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections.abc import Callable
from typing import TextIO

from edge.errors import ConfigError


def tell(text: str, end: str = "\n", wait_s: float = 1.0) -> None:
    """A line on standard error, if it takes one within `wait_s`: nobody waits for a reader that
    does not read."""
    with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed
        if _takes(sys.stderr, wait_s):
            print(text, end=end, file=sys.stderr, flush=True)


def _takes(stream: TextIO, wait_s: float) -> bool:
    """Whether a line can be written without waiting longer; of what is no file, nobody knows."""
    try:
        return bool(select.select([], [stream.fileno()], [], wait_s)[1])
    except (OSError, ValueError, AttributeError):
        return True


def written_last(status: int, *write: Callable[[], object]) -> int:
    """Write results once the status is known; the status all the same.

    What cannot be written is a warning where the status already says that something else went
    wrong; a run that went well and leaves no result is a ConfigError.
    """
    for write_one in write:
        try:
            write_one()
        except (ConfigError, OSError) as error:
            if status == 0:
                raise
            tell(f"sparsefocus: warning: {' '.join(str(error).split())}")
    return status


def flushed(status: int, failed: int) -> int:
    """Empty both streams before the interpreter does, which would make a status of its own of it.

    `failed` instead of 0 when standard output, where results go, did not take everything.
    """
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    try:
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        tell(f"sparsefocus: standard output: {getattr(error, 'strerror', None) or error}")
        return status or failed
    return status
