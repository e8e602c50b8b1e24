"""The serial line: bytes out, bytes in, and the truth about whether it is still there."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import termios
import threading
from pathlib import Path
from typing import Protocol

import serial

from firmware_bridge.errors import LinkLost, NotConnected, StageRefused

READ_TIMEOUT_S = 0.05
WRITE_TIMEOUT_S = 0.25
LASTING = (Path("/dev/serial/by-id"), Path("/dev/serial/by-path"))


def lasting_name(port: str) -> str:
    """The name under which the same line is found again, after a restart and among others.

    udev's /dev/serial/by-id, which has the adapter's serial number, else by-path; "" where there
    is none: a port that is only the first or second of its kind may be another one tomorrow.
    """
    try:
        there = Path(port).resolve(strict=True)
    except OSError:
        return ""
    for folder in LASTING:
        for name in sorted(folder.glob("*")):
            if name.resolve() == there:
                return str(name)
    return ""


class Link(Protocol):
    """What the client needs from a line. `read` and `write` may run in different threads."""

    def write(self, data: bytes) -> None:
        """Send all of `data`; LinkLost when that is impossible within 0.25 s."""

    def read(self) -> bytes:
        """What has arrived, b"" after 50 ms of silence; LinkLost after a hang-up."""

    def behind(self) -> bool:
        """True while something has arrived that the reader has not dealt with: it is, until the
        reader calls `read` again. Silence is judged by this and not by a clock alone, since on a
        busy computer an answer that came in time may wait long for the thread that reads it."""

    def close(self) -> None:
        """Close; `read` in another thread returns. Safe to call twice."""


class SerialLink:
    """A serial port held by this process alone.

    The port is opened under an advisory lock on the device itself (pyserial's `exclusive` is
    flock), so a second runtime is turned away whatever name it uses for the same port. A program
    that asks for no lock is kept out by the kernel (TIOCEXCL), unless it runs as root: it would
    take answers that are ours.
    """

    def __init__(self, port: str, baudrate: int = 115_200) -> None:
        """Open; StageRefused("PORT_LOCKED") when another process holds it, else NotConnected."""
        try:
            self._serial = serial.Serial(
                port,
                baudrate,
                timeout=READ_TIMEOUT_S,
                exclusive=True,
            )
        except serial.SerialException as error:
            if "lock" in str(error) or error.errno == errno.EBUSY:
                raise StageRefused("PORT_LOCKED", f"{port} is in use by another process") from error
            raise NotConnected(f"cannot open {port}: {error}") from error
        self._write_lock = threading.Lock()
        self._in_hand = False
        self._name = port
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._serial.fileno(), termios.TIOCEXCL)
        # FTDI adapters hold bytes back for 16 ms otherwise; a pty has no such setting.
        with contextlib.suppress(ValueError, NotImplementedError, OSError):
            self._serial.set_low_latency_mode(True)
        self._serial.reset_input_buffer()

    def write(self, data: bytes) -> None:
        try:
            with self._write_lock:
                self._write(memoryview(data))
        except (OSError, TypeError, serial.SerialException) as error:  # TypeError: closed meanwhile
            raise LinkLost(f"{self._name}: {error}") from error

    def _write(self, left: memoryview) -> None:
        """Not pyserial's: that one also calls a time-out when all was taken but the thread was held
        up meanwhile, and a busy computer would be taken for a lost line."""
        port = self._serial.fileno()
        while left:
            _, free, _ = select.select([], [port], [], WRITE_TIMEOUT_S)
            taken = 0
            with contextlib.suppress(BlockingIOError):
                taken = os.write(port, left)
            left = left[taken:]
            if not taken and not free:
                raise OSError(f"nothing was taken within {WRITE_TIMEOUT_S} s")

    def read(self) -> bytes:
        self._in_hand = False  # what was returned before has been dealt with
        try:
            if not select.select([self._serial.fileno()], [], [], READ_TIMEOUT_S)[0]:
                return b""
            self._in_hand = True  # before it is taken out: `behind` must not see neither
            data: bytes = self._serial.read(self._serial.in_waiting or 1)
        except (OSError, TypeError, ValueError, serial.SerialException) as error:
            # closed meanwhile: TypeError, ValueError
            raise LinkLost(f"{self._name}: {error}") from error
        return data

    def fileno(self) -> int:
        """The descriptor, for a process that minds the same line."""
        return int(self._serial.fileno())

    def behind(self) -> bool:
        try:
            waiting = bool(self._serial.in_waiting)  # first: see `read`
        except (OSError, TypeError, serial.SerialException):
            return False  # gone: the reader finds out
        return waiting or self._in_hand

    def close(self) -> None:
        with contextlib.suppress(OSError, TypeError, serial.SerialException):
            # a line that somebody else has open keeps the mark after our last close
            fcntl.ioctl(self._serial.fileno(), termios.TIOCNXCL)
        with contextlib.suppress(OSError, serial.SerialException):
            self._serial.close()
