"""A clock that goes on only when somebody waits: minutes of a scan take seconds of the computer."""

from __future__ import annotations


class VirtualTime:
    """Monotonic ns; call it for the time, `sleep` to wait. Not thread-safe."""

    def __init__(self, now_ns: int = 1_000_000_000) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        """Now."""
        return self.now_ns

    def sleep(self, seconds: float) -> None:
        """Let time go on."""
        self.now_ns += max(0, round(seconds * 1e9))

    @property
    def seconds(self) -> float:
        """Now, in seconds."""
        return self.now_ns / 1e9
