"""What is owed to a field: a roll-back that was not made yet, and what a roll-back forbids.

A debt belongs to a place and to a time. It is void when somebody else moved the stage, when it is
old, and, where it rests on nothing but blindness, as soon as there is something to see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

OWED_NS = 10_000_000_000  # a roll-back that was refused for so long is not wanted any more
PLACE_UM = 1.0  # a stage as far as this from where it was left was moved by somebody else
#: frames, readable without a break where a blind roll-back led to, after which the large move may
#: be tried once more: the light may have come back on the way
PATIENCE = 20


class HasTarget(Protocol):
    """A move: where it leads."""

    @property
    def target_um(self) -> float:
        """Stage z."""
        ...


M = TypeVar("M", bound=HasTarget)


def place_um(resolution_um: float, uncertainty_um: float) -> float:
    """How far from a place a stage is still at it."""
    return max(PLACE_UM, 2 * resolution_um) + uncertainty_um


@dataclass(frozen=True, slots=True)
class Owed(Generic[M]):
    """A roll-back, decided at `at_um`. `blind`: the move that is taken back only because nothing
    could be read after it; None when a reading was the reason."""

    back: M
    at_um: float
    since_ns: int
    blind: M | None = None


@dataclass(slots=True)
class _RolledBack:
    """A roll-back that was made; `blindly`: because nothing could be read."""

    blindly: bool
    readable: int = 0  # frames since then on which a large move was wanted


class Debts(Generic[M]):
    """Of one field; not thread-safe."""

    def __init__(self) -> None:
        self._owed: Owed[M] | None = None
        self._released: M | None = None
        self._rolled_back: _RolledBack | None = None
        self._blind_here = False

    @property
    def blind_there_only(self) -> bool:
        """Whether, since the roll-back, every frame could be read."""
        return not self._blind_here

    def owe(self, owed: Owed[M]) -> None:
        """A roll-back is decided: it stands until it is sent or void."""
        self._owed = owed

    def due(self, z_um: float, slack_um: float, now_ns: int, readable: bool) -> M | None:
        """The roll-back that is still owed at this place and time, or None."""
        owed = self._owed
        if owed is None:
            return None
        elsewhere = abs(z_um - owed.at_um) > slack_um
        wanted = now_ns - owed.since_ns <= OWED_NS
        if not elsewhere and wanted and (owed.blind is None or not readable):
            return owed.back
        if not elsewhere:
            self._released = owed.blind  # the glass is still where it led: it is judged after all
        self._owed = None
        return None

    def released(self, last: M | None) -> M | None:
        """The move to be judged: one whose roll-back became void by what is seen, or `last`."""
        released, self._released = self._released, None
        return released if released is not None else last

    def paid(self, target_um: float) -> None:
        """A move was sent, to `target_um`."""
        if self._owed is not None and self._owed.back.target_um == target_um:
            self._rolled_back = _RolledBack(blindly=self._owed.blind is not None)
            self._blind_here = False
        self._owed = None

    def blind_here_too(self) -> None:
        """Nothing can be read where a blind roll-back led to: it was not the place."""
        self._blind_here = True
        self._forget_what_was_not_seen()

    def in_focus(self) -> None:
        """Focus is found: what was only not seen is forgotten."""
        self._forget_what_was_not_seen()

    def _forget_what_was_not_seen(self) -> None:
        if self._rolled_back is not None and self._rolled_back.blindly:
            self._rolled_back = None

    def forbids_large(self) -> bool:
        """Whether a large move was taken back here, so that another is not made in this field."""
        back = self._rolled_back
        if back is None:
            return False
        back.readable += 1
        return not (back.blindly and back.readable > PATIENCE)
