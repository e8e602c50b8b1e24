"""Reads the motor's trajectory that the host firmware publishes (layout: ports/host/trace.h).

A simulated microscope puts its mechanics behind this: backlash, settling, lost steps. The file is
complete up to the heartbeat; a time after that is not known yet, whatever the last entry says.
"""

from __future__ import annotations

import mmap
import struct
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt

DEAD_S = 5.0  # a firmware that has not had a turn for so long is gone, on a busy computer too
_MOVING_PART = struct.Struct("<qiI")  # heartbeat_ns, motor_nm, moves_started
_ENTRY = np.dtype([("time_ns", "<i8"), ("motor_nm", "<i4"), ("move_id", "<u4")])
_ENTRIES_AT = 64
_COUNT_AT, _MOVING_AT, _UPDATE_AT = 16, 24, 40


class MotorTrace:
    """One reader of one firmware's trace. Times are CLOCK_MONOTONIC ns, positions nm, + = up."""

    def __init__(self, path: Path | str) -> None:
        """Open the file; OSError when it is missing, ValueError when it is no trace."""
        with open(path, "rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        magic, version, capacity, entry_size = struct.unpack_from("<4sIII", self._map, 0)
        if (magic, version, entry_size) != (b"SFTR", 1, _ENTRY.itemsize):
            self._map.close()
            raise ValueError(f"{path} is not a motor trace of version 1")
        self.capacity = int(capacity)
        self.lost = 0  # entries overwritten before they were read
        self._read_count = 0

    def read_new(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """(times_ns, motor_nm) since the last call, oldest first; both (n,), n may be 0.

        The motor holds motor_nm[i] from times_ns[i] until times_ns[i + 1]. The first call starts
        with the position at the start of the firmware, unless the ring has gone round since.
        """
        end = self._count()
        entries = self._copy(self._read_count, end)
        overwritten = max(0, self._count() - self.capacity + 1 - self._read_count)
        if overwritten:  # the writer lapped us, before or while we copied
            self.lost += overwritten
            entries = entries[max(0, len(entries) - (end - self._read_count - overwritten)) :]
        self._read_count = end
        return entries["time_ns"], entries["motor_nm"]

    def now(self) -> tuple[int, int]:
        """(heartbeat_ns, motor_nm): the newest moment the trajectory covers, and the position."""
        heartbeat_ns, motor_nm, _ = self._moving_part()
        return heartbeat_ns, motor_nm

    @property
    def moves_started(self) -> int:
        """Moves begun since the firmware started; a copy of a MOVE does not count."""
        return self._moving_part()[2]

    def wait_until(self, time_ns: int, timeout_s: float = DEAD_S) -> bool:
        """Wait until the trajectory is complete up to `time_ns`; False when it stays behind."""
        deadline = time.monotonic() + timeout_s
        while self.now()[0] < time_ns:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0002)  # a tick is 1 ms
        return True

    def close(self) -> None:
        """Unmap; safe to call twice."""
        self._map.close()

    def __enter__(self) -> MotorTrace:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _count(self) -> int:
        return int(struct.unpack_from("<Q", self._map, _COUNT_AT)[0])

    def _moving_part(self) -> tuple[int, int, int]:
        while True:  # a sequence lock: try again when the writer was in between
            before = struct.unpack_from("<Q", self._map, _UPDATE_AT)[0]
            heartbeat_ns, motor_nm, moves = _MOVING_PART.unpack_from(self._map, _MOVING_AT)
            after = struct.unpack_from("<Q", self._map, _UPDATE_AT)[0]
            if before == after and before % 2 == 0:
                return heartbeat_ns, motor_nm, moves

    def _copy(self, begin: int, end: int) -> npt.NDArray[np.void]:
        slots = np.arange(max(begin, end - self.capacity), end) % self.capacity
        ring = np.frombuffer(self._map, _ENTRY, self.capacity, _ENTRIES_AT)
        picked: npt.NDArray[np.void] = ring[slots]
        return picked
