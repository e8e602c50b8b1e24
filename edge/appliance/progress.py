"""Progress for people: a bar that redraws itself on a terminal, plain lines in a pipe."""

from __future__ import annotations

import sys
import time
from typing import TextIO


class Progress:
    """`done(text)` after each of `total` steps; silent when `quiet`."""

    WIDTH = 28

    def __init__(self, total: int, quiet: bool = False, stream: TextIO | None = None) -> None:
        self._total, self._quiet = max(total, 1), quiet
        self._stream = sys.stderr if stream is None else stream
        self._start = time.monotonic()
        self._count = 0

    def done(self, text: str) -> None:
        """One more step is finished; `text` says which."""
        self._count += 1
        if self._quiet:
            return
        elapsed = time.monotonic() - self._start
        left = elapsed / self._count * (self._total - self._count)
        if not self._stream.isatty():
            where = f"[{self._count}/{self._total}, {left:.0f} s left]"
            print(f"{where} {text}", file=self._stream, flush=True)
            return
        filled = self.WIDTH * self._count // self._total
        bar = "#" * filled + "." * (self.WIDTH - filled)
        line = f"\r[{bar}] {self._count}/{self._total}  {left:3.0f} s left  {text}"
        end = "\n" if self._count == self._total else ""
        print(f"{line:<110}"[:111], file=self._stream, end=end, flush=True)
