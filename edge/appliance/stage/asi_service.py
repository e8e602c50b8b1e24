"""The focus that we hold, presented as an ASI MS-2000 on a pty.

Micro-Manager and every program that speaks ASI can then drive Z; each of its moves passes the
guard: outside the window is `:N-4`, any other refusal `:N-5`, and nothing has moved. Positions
are the stage's own, in 0.1 um. When a move's outcome is unknown the runtime shuts down, and every
further move is refused until a person restarts it.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import tty
from pathlib import Path

from edge.errors import ConfigError, MoveRefused, MoveUncertain
from edge.guard import Guard
from edge.state import RunState
from firmware_bridge.asi_server import FAILED, RANGE, AsiRefusal, AsiServer
from firmware_bridge.errors import StageError
from firmware_bridge.stage import Stage

WINDOW_REASONS = ("outside-window", "WINDOW")
_LOOK_S = 0.2  # how late the end of the service is noticed
_KEPT = 4096  # bytes of answers that a client has not read; the rest is lost, as on a serial line


class GuardedAxis:
    """A stage behind its guard, as the ASI wire sees it."""

    name = "USB-9.2p "  # of the real controller that clients were written for

    def __init__(self, stage: Stage, guard: Guard, state: RunState) -> None:
        self._stage, self._guard, self._state = stage, guard, state

    def limits_um(self) -> tuple[float, float]:
        """The guard's window."""
        return self._guard.limits.z_min_um, self._guard.limits.z_max_um

    def position_um(self) -> float:
        """What the stage says; AsiRefusal when it says nothing."""
        try:
            return self._stage.status().z_um
        except (StageError, OSError) as error:
            raise AsiRefusal(FAILED) from error

    def moving(self) -> bool:
        """Also true while it settles: a client that then takes a picture takes a sharp one."""
        try:
            return self._stage.status().settled_ns is None
        except (StageError, OSError):
            return True  # nobody knows that it rests

    def move_to(self, target_um: float) -> None:
        """Through the guard; never around it."""
        try:
            self._guard.send_by_hand(target_um)
        except MoveRefused as refused:
            raise AsiRefusal(RANGE if refused.reason in WINDOW_REASONS else FAILED) from refused
        except MoveUncertain as error:
            self._state.shutdown(str(error))
            raise AsiRefusal(FAILED) from error

    def halt(self) -> bool:
        """Stop the stage; a stop is never refused."""
        try:
            moving = self._stage.status().moving
        except (StageError, OSError):
            moving = True  # the way out may still be whole
        try:
            self._stage.stop()
        except (StageError, OSError) as error:
            raise AsiRefusal(FAILED) from error
        return moving


class AsiService:
    """A pty and the thread that answers on it. A context manager; one client at a time."""

    def __init__(self, axis: GuardedAxis, letter: str = "Z", link: Path | None = None) -> None:
        """`link`: a symbolic link to the pty, so that the client's config can name it.

        ConfigError when something else than an old link is in its place.
        """
        self._server = AsiServer(axis, letter)
        self._link = link
        self._near, self._far = os.openpty()
        tty.setraw(self._far)  # open for as long as we serve: clients may come and go
        os.set_blocking(self._near, False)
        self.port = os.ttyname(self._far)
        self._ends = threading.Event()
        if link is not None:
            self._place(link)
        self._thread = threading.Thread(target=self._serve, name="asi", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering; safe to call twice. The stage stays as it is."""
        if self._ends.is_set():
            return
        self._ends.set()
        self._thread.join(5)
        for fd in (self._near, self._far):
            os.close(fd)
        if self._link is not None and self._link.is_symlink():
            self._link.unlink()

    def __enter__(self) -> AsiService:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _place(self, link: Path) -> None:
        try:
            if link.is_symlink():
                link.unlink()
            link.symlink_to(self.port)
        except OSError as error:
            os.close(self._near)
            os.close(self._far)
            raise ConfigError(f"{link}: cannot be made a link to the port: {error}") from error

    def _serve(self) -> None:
        """Commands are read whether or not the client reads the answers: one may be HALT."""
        unread = bytearray()
        while not self._ends.is_set():
            readable, free, _ = select.select(
                [self._near], [self._near] if unread else [], [], _LOOK_S
            )
            with contextlib.suppress(OSError):
                if readable:
                    answers = self._server.receive(os.read(self._near, 4096))
                    if len(unread) + len(answers) <= _KEPT:
                        unread += answers
                        free = [self._near]
                if free:
                    del unread[: os.write(self._near, unread)]
