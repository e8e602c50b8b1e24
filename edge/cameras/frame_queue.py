"""Every frame of a line, in place of the newest: bounded, and what finds no room is counted."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from edge.camera import EveryFrame, Frame, Numbered
from edge.errors import ConfigError


class FrameQueue(EveryFrame):
    """Filled by the camera's thread, which holds `changed`; emptied by one other."""

    def __init__(self, capacity: int, before: int | None, changed: threading.Condition) -> None:
        """`before`: counter of the newest frame so far. ConfigError for no room at all."""
        if capacity < 1:
            raise ConfigError(f"room for {capacity} frames is none")
        self.before = before
        self.closed = False
        self._capacity, self._changed = capacity, changed
        self._frames: deque[Numbered] = deque()

    def put(self, counter: int, frame: Frame) -> None:
        """A frame came; its pixels are copied, so that the driver has its buffer back."""
        if self.broken is not None:
            return
        if len(self._frames) >= self._capacity:
            self.overflowed = (*self.overflowed, counter)
            return
        self._frames.append(Numbered(counter, replace(frame, pixels=frame.pixels.copy())))

    def end(self, why: str) -> None:
        """No further frame belongs to these: the counters begin anew elsewhere."""
        if self.broken is None and not self.closed:
            self.broken = why

    def take(self, timeout_s: float) -> Numbered | None:
        """See EveryFrame.take."""
        with self._changed:
            self._changed.wait_for(
                lambda: bool(self._frames) or self.closed or self.broken is not None, timeout_s
            )
            return self._frames.popleft() if self._frames else None

    def close(self) -> None:
        """See EveryFrame.close."""
        with self._changed:
            self.closed = True
            self._frames.clear()
            self._changed.notify_all()
