"""How a frame ends: the controller's proposals and the names under which they are recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar


class Decision(str, Enum):
    """One per frame; always with a reason."""

    MOVE = "MOVE"  # outside the deadband, interval small enough
    VERIFY = "VERIFY"  # a large move: the next settled frame decides whether it stands
    IN_FOCUS = "IN_FOCUS"
    PREDICT = "PREDICT"  # nothing to see: a move to where the focus surface says focus is
    HOLD = "HOLD"  # nothing is known well enough to move
    REFUSE = "REFUSE"  # the guard, the driver or the firmware said no; nothing moved
    SHUTDOWN = "SHUTDOWN"  # no more moves until a person restarts


@dataclass(frozen=True, slots=True)
class Move:
    """A proposed absolute move. Only the guard turns it into a real one."""

    target_um: float  # stage z, absolute
    assumed_um: float  # where the stage is believed to be now
    reason: str
    verify: bool = False

    @property
    def decision(self) -> Decision:
        """VERIFY for a move that must be looked at again, MOVE otherwise."""
        return Decision.VERIFY if self.verify else Decision.MOVE


@dataclass(frozen=True, slots=True)
class Predict(Move):
    """A move over a blank field, by the fields before it; only while the slide is scanned."""

    @property
    def decision(self) -> Decision:
        """Always PREDICT."""
        return Decision.PREDICT


@dataclass(frozen=True, slots=True)
class InFocus:
    """Nothing to do: the defocus is inside the deadband."""

    reason: str = "in-deadband"
    decision: ClassVar[Decision] = Decision.IN_FOCUS


@dataclass(frozen=True, slots=True)
class Hold:
    """Stay where we are, and why. `enough`: the frame could be read, and a move is not wanted."""

    reason: str
    enough: bool = field(default=False, compare=False)
    decision: ClassVar[Decision] = Decision.HOLD


@dataclass(frozen=True, slots=True)
class LookAgain(Hold):
    """Stay, and look at the next frame: this one said nothing about the last move."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Stop for good, and why."""

    reason: str
    decision: ClassVar[Decision] = Decision.SHUTDOWN


Plan = Move | InFocus | Hold | Shutdown
