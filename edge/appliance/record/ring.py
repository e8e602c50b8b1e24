"""The last frames, in memory: written when something happens, with some that came before it.

A frame is the driver's own buffer, so it is copied; by a thread of its own, since a copy takes
longer than the loop has. A frame that comes while the last one is still being copied is missed,
and counted.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edge.appliance.record.doors import said_of
from edge.camera import Frame

AFTER = 8  # frames that are written after an event


@dataclass(frozen=True, slots=True)
class Picture:
    """A frame's copy."""

    said: dict[str, Any]
    pixels: npt.NDArray[np.uint8]


class FrameRing:
    """At most `bytes_` of frames. `give` hears, in the ring's thread, of each that is kept."""

    def __init__(self, bytes_: int, give: Callable[[Picture], None]) -> None:
        self._most, self._give = bytes_, give
        self.missed = 0
        self._slot: Frame | None = None  # of one: the newest that waits to be copied
        self._wake = threading.Condition()
        self._kept: deque[Picture] = deque()
        self._bytes = 0
        self._free: list[npt.NDArray[np.uint8]] = []
        self._asked = False
        self._after = 0
        self._over = False
        self._thread = threading.Thread(target=self._run, name="sparsefocus-ring", daemon=True)

    def start(self) -> None:
        """Begin the thread."""
        self._thread.start()

    def offer(self, frame: Frame) -> None:
        """A frame came: from the loop's thread, which does not wait."""
        if self._slot is not None:
            self.missed += 1
            return
        self._slot = frame
        self._tell()

    def keep(self) -> None:
        """Something happened: what is in the ring, and the next AFTER frames, are to be kept."""
        self._asked = True
        self._tell()

    def close(self) -> None:
        """End the thread, after what was asked of it."""
        self._over = True
        with self._wake:
            self._wake.notify()
        self._thread.join()

    def _tell(self) -> None:
        if self._wake.acquire(blocking=False):  # else it is awake, and looks again by itself
            self._wake.notify()
            self._wake.release()

    def _run(self) -> None:
        while True:
            with self._wake:
                if self._slot is None and not self._asked and not self._over:
                    self._wake.wait(0.1)  # a word may come just before the wait
            if self._slot is not None:
                self._copy(self._slot)
                self._slot = None
            if self._asked:
                self._asked, self._after = False, AFTER
                self._give_all()
            elif self._after and self._kept:
                self._after -= len(self._kept)
                self._after = max(0, self._after)
                self._give_all()
            if self._over and self._slot is None and not self._asked:
                return

    def _copy(self, frame: Frame) -> None:
        size = frame.pixels.nbytes
        while self._kept and self._bytes + size > self._most:
            old = self._kept.popleft()
            self._bytes -= old.pixels.nbytes
            self._free = [old.pixels]
        pixels = self._free.pop() if self._free else np.empty(0, np.uint8)
        if pixels.shape != frame.pixels.shape:
            pixels = np.empty(frame.pixels.shape, np.uint8)
        np.copyto(pixels, frame.pixels)  # without Python's lock
        self._kept.append(Picture(said_of(frame), pixels))
        self._bytes += size

    def _give_all(self) -> None:
        while self._kept:
            self._give(self._kept.popleft())
        self._bytes = 0
