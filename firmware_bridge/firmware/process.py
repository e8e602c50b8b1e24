"""A firmware that runs as a process of this computer: what the host build and QEMU share."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from typing import TypeVar

START_S = 20.0
Self = TypeVar("Self", bound="FirmwareProcess")  # typing.Self came with Python 3.11


class FirmwareProcess(ABC):
    """A context manager; `port` is the serial port to open, `bench_port` the one of the pins."""

    port: str
    bench_port: str
    boot_id: int
    _process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def running(self) -> bool:
        """True until it has ended."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as pulling the plug does."""
        self._process.kill()
        self._process.wait(START_S)

    @abstractmethod
    def close(self) -> object:
        """End it in order; safe to call twice."""

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
