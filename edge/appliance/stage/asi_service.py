"""The focus that we hold, presented as an ASI MS-2000 on a pty.

Micro-Manager and every program that speaks ASI can then drive Z; each of its moves passes the
guard: outside the window is `:N-4`, any other refusal `:N-5`, and nothing has moved. Positions
are the stage's own, in 0.1 um. When a move's outcome is unknown the runtime shuts down, and every
further move is refused until a person restarts it.
"""

from __future__ import annotations

from pathlib import Path

from edge.appliance.asi_line import AsiLine
from edge.errors import MoveRefused, MoveUncertain
from edge.guard import Guard
from edge.state import RunState
from firmware_bridge.asi_server import FAILED, RANGE, AsiRefusal, AsiServer
from firmware_bridge.errors import StageError
from firmware_bridge.stage import Stage

WINDOW_REASONS = ("outside-window", "WINDOW")


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


class AsiService(AsiLine):
    """The axis on a line: see edge.appliance.asi_line."""

    def __init__(
        self,
        axis: GuardedAxis,
        letter: str = "Z",
        link: Path | None = None,
        port: Path | None = None,
        baudrate: int = 115200,
    ) -> None:
        super().__init__(AsiServer(axis, letter), link, port, baudrate)
