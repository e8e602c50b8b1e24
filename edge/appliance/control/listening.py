"""The socket's file: one process owns it, nobody else's file is taken for an old one of ours.

A lock beside it (`NAME.lock`) says who owns the name; the kernel lets go of it however that process
ends. Whoever has the lock may remove a socket that an ended process left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import struct
from pathlib import Path

from edge.errors import ConfigError

LONGEST_PATH = 107  # bytes: sockaddr_un
_WAITING = 8
_PEER = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class Listening:
    """A listening socket at `path`; a context manager. ConfigError when it cannot be."""

    def __init__(self, path: Path, mode: int = 0o660) -> None:
        self.path = path
        if len(os.fsencode(path)) > LONGEST_PATH:
            raise ConfigError(f"control.socket = {path} must be {LONGEST_PATH} bytes at most")
        self._lock = _locked(path)
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, self._lock)
            try:
                _remove_old(path)
                self.socket = opened.enter_context(socket.socket(socket.AF_UNIX))
                self.socket.bind(os.fspath(path))
                path.chmod(mode)  # nobody can connect before it listens
                self._made = path.lstat().st_ino
                self.socket.listen(_WAITING)
                self.socket.setblocking(False)
            except OSError as error:
                raise ConfigError(f"control.socket = {path}: {error.strerror or error}") from error
            opened.pop_all()

    def close(self) -> None:
        """Remove the socket, if it is still the one that was made; safe to call twice."""
        if self._lock < 0:
            return
        self.socket.close()
        with contextlib.suppress(OSError):
            if self.path.lstat().st_ino == self._made:
                self.path.unlink()
        os.close(self._lock)
        self._lock = -1


def peer_of(connection: socket.socket) -> tuple[int, int]:
    """Process and user at the other end when it connected, as the kernel says it."""
    pid, uid, _ = _PEER.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    )
    return pid, uid


def _locked(path: Path) -> int:
    """The lock of this name, held until it is closed; ConfigError when another process has it."""
    name = path.with_name(f"{path.name}.lock")
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"control.socket = {path}: {name}: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise ConfigError(f"control.socket = {path}: another process has it") from error
    return lock


def _remove_old(path: Path) -> None:
    try:
        there = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(there.st_mode):
        raise ConfigError(f"control.socket = {path}: something that is no socket is there")
    path.unlink()
