"""Puts a simulated controller at the end of a pty or a TCP port, with a line that can be bad.

`to_host` and `to_controller` are rules: what goes in comes out damaged, shortened, or not at all.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import tty
from collections.abc import Callable
from typing import Protocol

Rule = Callable[[bytes], bytes]
_TICK_S = 0.002  # how late a controller that speaks unasked may be


class Controller(Protocol):
    """Bytes in, bytes out. Called from the serving thread alone."""

    def receive(self, data: bytes) -> bytes:
        """Take what the host sent; what is answered at once."""
        ...

    def due(self) -> bytes:
        """What it says unasked by now (the end of a move, a restart)."""
        ...


def _unchanged(data: bytes) -> bytes:
    return data


class Served:
    """A context manager. The host opens `port` (a pty), or `tcp_port` on the loopback address."""

    def __init__(self, controller: Controller, tcp: bool = False) -> None:
        self.controller = controller
        self.to_host: Rule = _unchanged
        self.to_controller: Rule = _unchanged
        self.heard = bytearray()  # all that the host sent, before the rule
        self.port, self.tcp_port = "", 0
        self._wake_read, self._wake_write = os.pipe()
        self._ends = threading.Event()
        self._listener: socket.socket | None = None
        self._far = -1
        if tcp:
            self._listener = socket.create_server(("127.0.0.1", 0))
            self.tcp_port = int(self._listener.getsockname()[1])
            self._near = -1
        else:
            self._near, self._far = os.openpty()
            tty.setraw(self._far)
            self.port = os.ttyname(self._far)
        self._thread = threading.Thread(target=self._serve, name="controller", daemon=True)
        self._thread.start()

    def hang_up(self) -> None:
        """Pull the plug; nothing answers any more and the host's end reports it."""
        self._ends.set()
        os.write(self._wake_write, b"x")
        self._thread.join(5)
        for fd in (self._near, self._far):
            if fd >= 0:
                with contextlib.suppress(OSError):
                    os.close(fd)
        self._near = self._far = -1
        if self._listener is not None:
            self._listener.close()

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        for fd in (self._wake_read, self._wake_write):
            os.close(fd)

    def _serve(self) -> None:
        while not self._ends.is_set():
            if self._near < 0 and not self._accept():
                continue
            readable, _, _ = select.select([self._near, self._wake_read], [], [], _TICK_S)
            try:
                if self._near in readable:
                    self._pass_on(os.read(self._near, 4096))
                self._say(self.controller.due())
            except OSError:  # the host is gone: wait for the next
                if self._listener is None:
                    self._ends.wait(_TICK_S)
                else:
                    self._drop()

    def _accept(self) -> bool:
        assert self._listener is not None
        readable, _, _ = select.select([self._listener.fileno(), self._wake_read], [], [])
        if self._listener.fileno() not in readable:
            return False
        connection, _ = self._listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._near = connection.detach()
        return True

    def _pass_on(self, data: bytes) -> None:
        if not data:
            raise OSError("closed by the host")
        self.heard += data
        self._say(self.controller.receive(self.to_controller(data)))

    def _say(self, data: bytes) -> None:
        if data:
            os.write(self._near, self.to_host(data))

    def _drop(self) -> None:
        os.close(self._near)
        self._near = -1
