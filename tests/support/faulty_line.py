"""A pty between the host and the firmware that drops, copies, damages, delays, reorders or cuts
short frames, stands still, or hangs up."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from collections.abc import Callable

from firmware_bridge.framing import Frame, FrameError, decode_frame

#: (whole frame on the wire, its content or None when damaged) -> what travels on instead
Rule = Callable[[bytes, Frame | None], list[bytes]]


def unchanged(wire: bytes, frame: Frame | None) -> list[bytes]:
    """The rule of a healthy line."""
    return [wire]


class Nth:
    """A rule that treats the n-th frame of one type (1 = the first) and passes all others on."""

    def __init__(self, kind: int, treat: Callable[[bytes], list[bytes]], *which: int) -> None:
        self._kind, self._treat, self._which = kind, treat, which
        self.count = 0

    def __call__(self, wire: bytes, frame: Frame | None) -> list[bytes]:
        if frame is None or frame.kind != self._kind:
            return [wire]
        self.count += 1
        return self._treat(wire) if not self._which or self.count in self._which else [wire]


def drop(wire: bytes) -> list[bytes]:
    return []


def twice(wire: bytes) -> list[bytes]:
    return [wire, wire]


def flip(wire: bytes) -> list[bytes]:
    """One bit changed in the middle."""
    damaged = bytearray(wire)
    damaged[len(wire) // 2] ^= 0x10
    return [bytes(damaged)]


def cut(wire: bytes) -> list[bytes]:
    """Its second half is missing, and so is the zero that ends it: it runs into the next frame."""
    return [wire[: len(wire) // 2]]


class Reorder:
    """Lets the next frame overtake the first of one type."""

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._kept: bytes | None = None
        self.count = 0

    def __call__(self, wire: bytes, frame: Frame | None) -> list[bytes]:
        if self._kept is not None:
            kept, self._kept = self._kept, None
            return [wire, kept]
        if self.count == 0 and frame is not None and frame.kind == self._kind:
            self.count, self._kept = 1, wire
            return []
        return [wire]


class FaultyLine:
    """A context manager; the host opens `port`. Rules may be exchanged at any time."""

    def __init__(self, firmware_port: str) -> None:
        self.to_firmware: Rule = unchanged
        self.to_host: Rule = unchanged
        self._host_fd, self._host_far = os.openpty()
        tty.setraw(self._host_far)
        self.port = os.ttyname(self._host_far)
        self._wake_read, self._wake_write = os.pipe()
        self._ends = False
        self._flows = threading.Event()
        self._flows.set()
        self._firmware_fd = -1
        self._rests = {"host": b"", "firmware": b""}
        self._lock = threading.Lock()
        self.connect(firmware_port)
        self._thread = threading.Thread(target=self._pump, daemon=True)
        self._thread.start()

    def connect(self, firmware_port: str) -> None:
        """Put another firmware on the far end, as a reboot does."""
        fd = os.open(firmware_port, os.O_RDWR | os.O_NOCTTY)
        with self._lock:
            old, self._firmware_fd = self._firmware_fd, fd
            self._rests = {"host": b"", "firmware": b""}
        os.write(self._wake_write, b"x")
        if old >= 0:
            os.close(old)

    def inject(self, wire: bytes) -> None:
        """Send bytes to the firmware, past the rules."""
        os.write(self._firmware_fd, wire)

    def delay(self, seconds: float, to_host: bool) -> Callable[[bytes], list[bytes]]:
        """A treatment for Nth: the frame arrives that much later, others pass it meanwhile."""

        def later(wire: bytes) -> list[bytes]:
            timer = threading.Timer(seconds, self._write_late, (to_host, wire))
            timer.daemon = True
            timer.start()
            return []

        return later

    def _write_late(self, to_host: bool, wire: bytes) -> None:
        with self._lock, contextlib.suppress(OSError):
            os.write(self._host_fd if to_host else self._firmware_fd, wire)

    def stall(self, seconds: float) -> None:
        """Nothing passes either way for so long, then everything that waited."""
        self._flows.clear()
        timer = threading.Timer(seconds, self._flows.set)
        timer.daemon = True
        timer.start()

    def hang_up(self) -> None:
        """The host's port is gone, as a pulled plug; the line is of no more use."""
        self._stop()
        os.close(self._host_fd)
        self._host_fd = -1

    def _pump(self) -> None:
        while not self._ends:
            self._flows.wait()
            fd = self._firmware_fd
            try:
                readable, _, _ = select.select([self._host_fd, fd, self._wake_read], [], [])
            except (OSError, ValueError):
                continue  # exchanged meanwhile
            if self._wake_read in readable:
                os.read(self._wake_read, 16)
            if self._host_fd in readable:
                self._pass_on("host", self._host_fd, fd)
            if fd in readable and fd == self._firmware_fd:
                self._pass_on("firmware", fd, self._host_fd)

    def _pass_on(self, source: str, from_fd: int, to_fd: int) -> None:
        try:
            data = self._rests[source] + os.read(from_fd, 4096)
            *pieces, self._rests[source] = data.split(b"\0")
            rule = self.to_firmware if source == "host" else self.to_host
            for piece in pieces:
                for wire in rule(piece + b"\0", _content(piece)):
                    os.write(to_fd, wire)
        except OSError:  # the firmware is gone: silence, as on a cut cable
            threading.Event().wait(0.005)

    def _stop(self) -> None:
        self._ends = True
        self._flows.set()
        os.write(self._wake_write, b"x")
        self._thread.join(5)

    def close(self) -> None:
        self._stop()
        fds = (self._host_fd, self._host_far, self._firmware_fd, self._wake_read, self._wake_write)
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    def __enter__(self) -> FaultyLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _content(piece: bytes) -> Frame | None:
    try:
        return decode_frame(piece)
    except FrameError:
        return None
