"""An ASI controller's end of a line: a pty that we make, or a serial port of this machine.

On a port (a UART, or the board's own USB gadget, /dev/ttyGS0) a program on another computer finds
an ASI controller at the other end of the cable, with nothing to install there.
"""

from __future__ import annotations

import fcntl
import os
import select
import termios
import threading
import tty
from pathlib import Path

from edge.errors import ConfigError
from firmware_bridge.asi_server import AsiServer

RATES = (9600, 19200, 38400, 57600, 115200)
_LOOK_S = 0.2  # how late the end of the service is noticed
_KEPT = 4096  # bytes of answers that a client has not read; the rest is lost, as on a serial line


class AsiLine:
    """The line and the thread that answers on it. A context manager; one client at a time."""

    def __init__(
        self,
        server: AsiServer,
        link: Path | None = None,
        port: Path | None = None,
        baudrate: int = 115200,
    ) -> None:
        """`link`: a symbolic link to the pty, so that the client's config can name it; `port`: a
        serial port instead of a pty.

        ConfigError when the port cannot be had, and when something else than an old link is in the
        link's place.
        """
        self._server = server
        self._link = link
        self._far: int | None = None
        if port is None:
            self._near, self._far = os.openpty()
            tty.setraw(self._far)  # open for as long as we serve: clients may come and go
            self.port = os.ttyname(self._far)
        else:
            self._near, self.port = _opened(port, baudrate), str(port)
        os.set_blocking(self._near, False)
        self._ends = threading.Event()
        if link is not None:
            self._place(link)
        self._thread = threading.Thread(target=self._serve, name="asi", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering; safe to call twice. What is behind it stays as it is."""
        if self._ends.is_set():
            return
        self._ends.set()
        self._thread.join(5)
        self._close_line()
        if self._link is not None and self._link.is_symlink():
            self._link.unlink()

    def __enter__(self) -> AsiLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_line(self) -> None:
        for fd in (self._near, self._far):
            if fd is not None:
                os.close(fd)

    def _place(self, link: Path) -> None:
        try:
            if link.is_symlink():
                link.unlink()
            link.symlink_to(self.port)
        except OSError as error:
            self._close_line()
            raise ConfigError(f"{link}: cannot be made a link to the port: {error}") from error

    def _serve(self) -> None:
        """Commands are read whether or not the client reads the answers: one may be HALT."""
        unread = bytearray()
        while not self._ends.is_set():
            readable, free, _ = select.select(
                [self._near], [self._near] if unread else [], [], _LOOK_S
            )
            try:
                if readable:
                    data = os.read(self._near, 4096)
                    if not data:  # nobody at the other end of the cable
                        self._ends.wait(_LOOK_S)
                    answers = self._server.receive(data)
                    if len(unread) + len(answers) <= _KEPT:
                        unread += answers
                        free = [self._near]
                if free:
                    del unread[: os.write(self._near, unread)]
            except BlockingIOError:
                continue
            except OSError:  # unplugged: it may come back
                self._ends.wait(_LOOK_S)


def _opened(port: Path, baudrate: int) -> int:
    """A serial port, raw, ours alone; ConfigError."""
    if baudrate not in RATES:
        raise ConfigError(f"--baudrate {baudrate} must be one of {', '.join(map(str, RATES))}")
    try:
        fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{port}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.ioctl(fd, termios.TIOCEXCL)
        tty.setraw(fd)
        modes = termios.tcgetattr(fd)
        rate = getattr(termios, f"B{baudrate}", None)
        if rate is None:
            raise ConfigError(f"--baudrate {baudrate} is not known to this system")
        modes[2] |= termios.CLOCAL | termios.CREAD
        modes[4] = modes[5] = rate
        termios.tcsetattr(fd, termios.TCSANOW, modes)
    except (OSError, termios.error) as error:
        os.close(fd)
        busy = isinstance(error, BlockingIOError)
        why = "another program has it" if busy else f"is no serial port: {error}"
        raise ConfigError(f"{port}: {why}") from error
    except ConfigError:
        os.close(fd)
        raise
    return fd
