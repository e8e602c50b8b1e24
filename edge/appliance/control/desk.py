"""What the loop does for clients, between two frames, and what it tells them. It waits for nobody.

The server puts requests here, from its thread; the loop takes a few before each frame, does them
and leaves the answers. An answer to a hold says that no move of ours is being sent: it is given
after the guard was told. A hold stays until somebody resumes, also when its client has gone: nobody
knows what that client was doing to the glass.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge.appliance.control.requests import Request
from edge.appliance.plain_results import Outcome as PlainOutcome
from edge.loop import FieldWatch, Outcome
from edge.rig import Rig
from firmware_bridge.errors import StageError

AT_A_TIME = 8  # requests before one frame
MOST_WAITING = 64
Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, whose it is, and where the answer goes. `who` is one connection; `name` says so
    to people. `there` tells whether that connection still stands."""

    request: Request
    who: int
    name: str
    answer: Callable[[Answer], None]
    there: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Told:
    """What the loop must know of the requests before a frame: the controller is to be told of
    another field, and a record of a `changed` hold or offset."""

    new_field: bool
    changed: bool


class Desk:
    """Between the server's thread and the loop's. `put` is the server's, the rest the loop's."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        #: gets every outcome, and where the stage says that it is; must not wait. None: nobody asks
        self.tell: Callable[[Outcome, float | None], None] | None = None
        self._waiting: deque[Asked] = deque()
        self._holder: Asked | None = None
        self._focusing: tuple[Asked, FieldWatch] | None = None
        self._another = self._changed = False

    def put(self, asked: Asked) -> bool:
        """Leave a request for the loop; False when too many wait."""
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(asked)
        return True

    def before_a_frame(self) -> Told:
        """Do what was asked meanwhile."""
        for _ in range(min(AT_A_TIME, len(self._waiting))):
            self._do(self._waiting.popleft())
        told = Told(self._another, self._changed)
        self._another = self._changed = False
        return told

    def after_a_frame(self, outcome: Outcome) -> None:
        """Tell it, and end a focus that it was the last frame of."""
        if self.tell is not None:
            self.tell(outcome, self._z_um())
        if self._focusing is not None and self._focusing[1].ended_by(outcome):
            asked, field = self._focusing
            self._focusing = None
            last = PlainOutcome.of(outcome).as_dict()
            moves = sum(each.move is not None for each in field.outcomes)
            asked.answer(self._said(moves=moves, outcome=last))

    def close(self, reason: str) -> None:
        """Nobody is left without an answer."""
        if self._focusing is not None:
            self._waiting.appendleft(self._focusing[0])
            self._focusing = None
        while self._waiting:
            self._waiting.popleft().answer(_refused("ended", reason))

    def _do(self, asked: Asked) -> None:
        do, held = asked.request.do, self._rig.guard.held
        if held and (do == "focus" or (do in ("hold", "resume") and not self._may_resume(asked))):
            asked.answer(_refused("held", held))
        else:
            getattr(self, f"_{do}")(asked)

    def _may_resume(self, asked: Asked) -> bool:
        """A hold is its client's, as long as that is there."""
        return self._holder is None or self._holder.who == asked.who or not self._holder.there()

    def _hold(self, asked: Asked) -> None:
        reason = asked.request.arguments.get("reason", "")
        self._rig.guard.hold(f"by {asked.name}" + (f": {reason}" if reason else ""))
        self._holder, self._changed = asked, True
        asked.answer(self._said())

    def _resume(self, asked: Asked) -> None:
        if self._rig.guard.held:
            self._another = True  # the glass may have been moved meanwhile
            self._holder, self._changed = None, True
            self._rig.guard.resume()
        asked.answer(self._said())

    def _new_field(self, asked: Asked) -> None:
        self._another = True
        if self._focusing is not None:
            self._focusing = (self._focusing[0], FieldWatch())
        asked.answer(self._said())

    def _offset(self, asked: Asked) -> None:
        self._rig.offset_by(float(asked.request.arguments["um"]))
        self._another = self._changed = True
        asked.answer(self._said(offset_um=float(asked.request.arguments["um"])))

    def _focus(self, asked: Asked) -> None:
        if self._focusing is not None:
            asked.answer(_refused("busy", f"it focuses for {self._focusing[0].name}"))
            return
        self._another = True
        self._focusing = (asked, FieldWatch())

    def _said(self, **more: Any) -> Answer:
        """An answer that all went well, with where the stage is and whether it rests."""
        try:
            status = self._rig.stage.status()
        except (StageError, OSError):
            return {"ok": True, "z_um": None, "at_rest": False, **more}
        at_rest = status.settled_ns is not None
        return {"ok": True, "z_um": status.z_um, "at_rest": at_rest, **more}

    def _z_um(self) -> float | None:
        try:
            return self._rig.stage.status().z_um
        except (StageError, OSError):
            return None


def _refused(reason: str, detail: str) -> Answer:
    return {"ok": False, "refused": reason, "error": detail}
