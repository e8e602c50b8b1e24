"""What systemd is told of the loop: that it began, that it lives, what it does, that it ends.

The sign of life comes from the loop's own thread, after a step: a camera's driver that never comes
back, or a network that hangs, is then seen, which a thread of its own would not show. Nothing is
waited for and nothing is raised: who is not run by systemd tells nobody. Protocol: sd_notify(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

SHARE = 4  # signs of life within the time after which systemd gives up


class Service:
    """Of one process. `environment`: where systemd says how it wants to be told."""

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        if address.startswith("@"):  # in the abstract namespace
            address = "\0" + address[1:]
        self._address, self._clock = address, clock
        self._every_s = _watchdog_s(environment) / SHARE
        self._told_s = -float("inf")
        self._socket: socket.socket | None = None
        if address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The networks are warm, the devices open: the next frame is measured."""
        self._tell("READY=1")

    def alive(self) -> None:
        """After a step, from the loop's thread."""
        if self._every_s and self._clock() - self._told_s >= self._every_s:
            self._told_s = self._clock()
            self._tell("WATCHDOG=1")

    def status(self, line: str) -> None:
        """One line for `systemctl status`."""
        self._tell(f"STATUS={' '.join(line.split())}")

    def stopping(self) -> None:
        """The loop ended."""
        self._tell("STOPPING=1")

    def _tell(self, what: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError, ValueError):
                self._socket.sendto(what.encode(), self._address)

    def close(self) -> None:
        """Nothing is told any more."""
        if self._socket is not None:
            self._socket.close()


def _watchdog_s(environment: Mapping[str, str]) -> float:
    """After how long without a sign of life systemd gives up; 0 = it does not, or means another
    process."""
    if environment.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return 0.0
    try:
        return max(0.0, int(environment.get("WATCHDOG_USEC", "0")) / 1e6)
    except ValueError:
        return 0.0
