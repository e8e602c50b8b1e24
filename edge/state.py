"""Five states, one door out: starting -> ready -> tracking <-> holding -> shutdown.

`shutdown` may be called from any thread and acts once; only a person leaves it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from enum import Enum

from firmware_bridge.errors import StageError
from firmware_bridge.stage import Stage


class State(str, Enum):
    """Where the runtime is."""

    STARTING = "starting"
    READY = "ready"
    TRACKING = "tracking"
    HOLDING = "holding"
    SHUTDOWN = "shutdown"


class RunState:
    """The state of one rig; every method is thread-safe.

    `stop` is called once per shutdown, after the state has changed, and must not raise.
    """

    def __init__(self, stop: Callable[[], None] = lambda: None) -> None:
        self._lock = threading.Lock()
        self._stop = stop
        self._state = State.STARTING
        self.reason = ""  # of the shutdown, empty otherwise

    @property
    def value(self) -> State:
        """The state now."""
        return self._state

    @property
    def name(self) -> str:
        """The state and, after a shutdown, its reason."""
        return f"{self._state.value}: {self.reason}" if self.reason else self._state.value

    @property
    def may_move(self) -> bool:
        """Only `ready` and `tracking` may move the glass."""
        return self._state in (State.READY, State.TRACKING)

    def ready(self) -> None:
        """Everything is built and checked."""
        with self._lock:
            if self._state is State.STARTING:
                self._state = State.READY

    def follow(self, tracking: bool) -> None:
        """After each frame: `tracking` when focus is known, else `holding`."""
        with self._lock:
            if self._state in (State.READY, State.TRACKING, State.HOLDING):
                self._state = State.TRACKING if tracking else State.HOLDING

    def shutdown(self, reason: str, stop: bool = True) -> bool:
        """Stop for good. The first reason stays; True for the call that did it.

        `stop` = False: the axis is known to rest, and need not be told (a stop latches it).
        """
        with self._lock:
            if self._state is State.SHUTDOWN:
                return False
            self._state, self.reason = State.SHUTDOWN, reason
        if stop:
            self._stop()
        return True

    def restart_by_person(self) -> None:
        """Back to `ready`. Only ever called for a person who asked for it."""
        with self._lock:
            if self._state is State.SHUTDOWN:
                self._state, self.reason = State.READY, ""


def halt(state: RunState, stage: Stage, reason: str) -> None:
    """Shut down for `reason`; stop the axis unless it is known to rest (a stop latches it).

    Once only: whatever shut down before has told the axis. The state changes first: a move that
    another thread is sending meanwhile is either seen here or stopped by the guard. A dead line
    cannot be told to stop, and raises nothing.
    """
    if state.shutdown(reason, stop=False) and not at_rest(stage):
        with contextlib.suppress(StageError, OSError):
            stage.stop()


def at_rest(stage: Stage) -> bool:
    """Whether the axis answers, and says that it rests."""
    try:
        return not stage.status().moving
    except (StageError, OSError):
        return False
