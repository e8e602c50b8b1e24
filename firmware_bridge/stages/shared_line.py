"""One port, several axes: a question of one axis and its answer are not parted by another's.

Controllers put X, Y and Z on one line, and a line is held by one process alone. So it is opened
once, and each axis gets a link of its own on it; who asks has the turn until the answer is there.
The line closes with the last of them.
"""

from __future__ import annotations

import threading

from firmware_bridge.link import Link, SerialLink


class SharedLine:
    """Give `open_link` to each driver that is to live on it, in place of SerialLink."""

    def __init__(self, port: str, baudrate: int) -> None:
        """As SerialLink, with its errors."""
        self._link = SerialLink(port, baudrate)
        self._port, self._baudrate = port, baudrate
        self._users = 0
        self._count = threading.Lock()
        self.turn = threading.RLock()

    def open_link(self, port: str, baudrate: int) -> Link:
        """An axis' own link. ValueError for another port or speed than that of the line."""
        if (port, baudrate) != (self._port, self._baudrate):
            raise ValueError(f"{port} at {baudrate} is not {self._port} at {self._baudrate}")
        with self._count:
            self._users += 1
        return _AxisLink(self, self._link)

    def leave(self) -> None:
        """An axis closes its link; the last one closes the line."""
        with self._count:
            self._users -= 1
            if self._users:
                return
        self._link.close()

    def close(self) -> None:
        """Close the line itself, whoever still uses it: for what went wrong at the start."""
        self._link.close()


class _AxisLink:
    """A Link; `turn` is known to firmware_bridge.stages.conversation."""

    def __init__(self, line: SharedLine, link: SerialLink) -> None:
        self.turn = line.turn
        self._line, self._link = line, link
        self._closed = False

    def write(self, data: bytes) -> None:
        self._link.write(data)

    def read(self) -> bytes:
        return self._link.read()

    def behind(self) -> bool:
        return self._link.behind()

    def fileno(self) -> int:
        return self._link.fileno()

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._line.leave()
