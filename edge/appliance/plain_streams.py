"""What reaches a terminal is text: a file's name, a controller's answer, a library's error may hold
characters that move its cursor, change its title or answer for its user.

Both streams of the command pass through here, so that no message has to think of it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TextIO, cast

CLEAR = "\x1b[K"  # ours: a status line that is written over
_KEPT = "\t\n"
#: control characters of ASCII and Latin-1, what turns the direction of reading, and bytes that are
#: no text at all (surrogates), as they are written in a program
_SHOWN = {
    code: chr(code).encode("unicode_escape").decode()
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A),
                 *range(0xD800, 0xE000))
    if chr(code) not in _KEPT
}  # fmt: skip


def plain(text: str) -> str:
    """The text with what is no text spelt out; a carriage return may begin it, to write over a
    status line."""
    ours = ""
    for start in ("\r", CLEAR):
        if text.startswith(start):
            ours, text = ours + start, text[len(start) :]
        else:
            break
    return ours + text.translate(_SHOWN)


class PlainStream:
    """A stream whose `write` is `plain`; in all else the stream itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """See TextIO."""
        self._stream.write(plain(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """See TextIO."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def plain_streams() -> Iterator[None]:
    """Standard output and standard error, for as long as this lasts."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (cast(TextIO, PlainStream(stream)) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
