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

#: levels of the journal (sd-daemon(3)); DEBUG is what nobody needs who does not look for it
ERROR, WARNING, INFO, DEBUG = 3, 4, 6, 7


def tell(text: str, end: str = "\n", wait_s: float = 1.0, level: int | None = None) -> None:
    """A line on standard error, if it takes one within `wait_s`: nobody waits for a reader that
    does not read. Where that is systemd's journal, with its level: `level`, or what it says."""
    if in_journal():
        usual = WARNING if text.startswith("sparsefocus: warning") else INFO
        text = f"<{usual if level is None else level}>{text}"
    with contextlib.suppress(OSError, ValueError):  # ValueError: it was closed
        if _takes(sys.stderr, wait_s):
            print(text, end=end, file=sys.stderr, flush=True)


def in_journal() -> bool:
    """Whether standard error is systemd's journal, and nothing that it was sent on to."""
    try:
        device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
        there = os.fstat(sys.stderr.fileno())
        return (there.st_dev, there.st_ino) == (int(device), int(inode))
    except (OSError, ValueError, AttributeError):
        return False


def log_format() -> str:
    """Of the libraries' own lines, all of which are warnings or worse."""
    return ("<4>" * in_journal()) + "%(levelname)s %(name)s: %(message)s"


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
