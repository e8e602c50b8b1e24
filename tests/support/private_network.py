"""A network of this test's own: no camera search leaves the machine and no port collides."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x4000_0000
SIOCSIFFLAGS = 0x8914
IFF_UP = 1


@contextmanager
def private_network() -> Iterator[bool]:
    """Threads and processes started inside see only a loopback interface of their own.

    False where that is not allowed (it needs root): then the machine's own loopback is used, and
    two such tests must not run at once. Cameras are opened by address either way.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net", "rb") as before:
        if libc.unshare(CLONE_NEWNET):
            yield False
            return
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                up = struct.pack("16sH22x", b"lo", IFF_UP)
                fcntl.ioctl(any_socket.fileno(), SIOCSIFFLAGS, up)
            yield True
        finally:
            if libc.setns(before.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
