"""A client's end of the control socket: lines out, lines back."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.appliance.control.requests import line_of


class Line:
    """A connection to a running loop; a context manager. OSError and ValueError (a TimeoutError is
    an OSError) say that nobody, or somebody else, answers."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._read = bytearray()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.settimeout(timeout_s)
            self._socket.connect(os.fspath(path))
        except OSError:
            self._socket.close()
            raise

    def send(self, **request: Any) -> None:
        """One request."""
        self._socket.settimeout(self.timeout_s)
        self._socket.sendall(line_of(request))

    def lines(self) -> Iterator[dict[str, Any]]:
        """What comes, each within the time-out; ends when the other end hangs up."""
        while (line := self.next_line(self.timeout_s)) is not None:
            yield line

    def next_line(self, timeout_s: float) -> dict[str, Any] | None:
        """The next one; None when the other end has hung up, TimeoutError."""
        until_s = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            self._socket.settimeout(max(0.0001, until_s - time.monotonic()))
            data = self._socket.recv(65536)
            if not data:
                return None
            self._read += data
        text, _, rest = bytes(self._read).partition(b"\n")
        self._read = bytearray(rest)
        values = json.loads(text)
        if not isinstance(values, dict) or not {"ok", "event"} & set(values):
            raise ValueError("something else answers there")
        return values

    def close(self) -> None:
        """Hang up; safe to call twice."""
        self._socket.close()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
