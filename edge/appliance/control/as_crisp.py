"""A running loop as an ASI controller with a CRISP: what Micro-Manager calls hardware autofocus.

Locked, the loop focuses and follows; unlocked, it is held and moves nothing. The line moves
nothing by itself: moves asked for are refused while a loop holds focus. When this client goes, the
loop is held as it was left.
"""

from __future__ import annotations

import threading
from typing import Any

from edge.appliance.control.ask import Line
from firmware_bridge.asi_server import FAILED, AsiRefusal

IDLE, READY, LOCKING, IN_FOCUS, ERROR = "I", "R", "K", "F", "E"
_REASON = "unlocked on the ASI line"
#: how a frame ends of a loop that has focus, or is about to
_FOLLOWS = ("IN_FOCUS", "MOVE", "VERIFY", "PREDICT")


class LoopAsCrisp:
    """The axis and the lock of an ASI controller (AsiAxis, FocusLock), one connection to the
    loop."""

    name = "USB-9.2p "

    def __init__(self, line: Line, window_um: tuple[float, float], offset_um: float = 0.0) -> None:
        """`window_um`: of the config, for who asks for limits. It begins unlocked. AsiRefusal when
        the loop does not let itself be held: another client holds it."""
        self._line, self._window_um, self._offset_um = line, window_um, offset_um
        self._one_at_a_time = threading.Lock()
        self._number = 0
        self._focusing: int | None = None  # the number of that request, until it is answered
        self._state = READY
        self._hold()

    def limits_um(self) -> tuple[float, float]:
        """The guard's window."""
        return self._window_um

    def position_um(self) -> float:
        """As the loop last knew it; AsiRefusal where it does not."""
        z_um = self._ask(do="status").get("z_um")
        if z_um is None:
            raise AsiRefusal(FAILED)
        return float(z_um)

    def moving(self) -> bool:
        """While it tries to lock."""
        return self.state() == LOCKING

    def move_to(self, target_um: float) -> None:
        """Never: the loop moves."""
        raise AsiRefusal(FAILED)

    def halt(self) -> bool:
        """Unlock: nothing new is moved. True when that ended a search for focus."""
        searched = self._focusing is not None
        self.unlock()
        return searched

    def state(self) -> str:
        """Of the lock; E while nobody answers or the loop cannot see."""
        if self._state in (IDLE, READY):
            return self._state
        try:
            status = self._ask(do="status")
        except AsiRefusal:
            return ERROR
        if self._focusing is not None:
            return LOCKING
        if self._state == IN_FOCUS and status.get("held"):
            self._state = READY  # another client took it
        elif self._state == IN_FOCUS:
            last = status.get("last") or {}
            return IN_FOCUS if last.get("decision") in _FOLLOWS else LOCKING
        return self._state

    def lock(self) -> None:
        """Focus this field, and follow from then on."""
        self._ask(do="resume")
        with self._one_at_a_time:
            self._focusing = self._send(do="focus")
            self._state = LOCKING

    def unlock(self, idle: bool = False) -> None:
        """Move nothing until the next lock."""
        self._hold()
        self._state = IDLE if idle else READY

    def error_um(self) -> float | None:
        """The last picture's distance from focus."""
        last = self._ask(do="status").get("last") or {}
        defocus_um = (last.get("estimate") or {}).get("defocus_um")
        return None if defocus_um is None else float(defocus_um)

    def offset_um(self) -> float:
        """As it was last set."""
        return self._offset_um

    def set_offset_um(self, offset_um: float) -> None:
        """From the next frame on."""
        self._ask(do="offset", um=offset_um)
        self._offset_um = offset_um

    def _hold(self) -> None:
        self._ask(do="hold", reason=_REASON)

    def _send(self, **request: Any) -> int:
        self._number += 1
        try:
            self._line.send(id=self._number, **request)
        except OSError as error:
            raise AsiRefusal(FAILED) from error
        return self._number

    def _ask(self, **request: Any) -> dict[str, Any]:
        """A request and its answer; what else comes meanwhile is noted. AsiRefusal for a refusal
        and for nobody."""
        with self._one_at_a_time:
            number = self._send(**request)
            try:
                for answer in self._line.lines():
                    if answer.get("id") == number:
                        break
                    self._note(answer)
                else:
                    raise AsiRefusal(FAILED)
            except (OSError, ValueError) as error:
                self._line.close()  # an answer that comes later would be taken for another's
                raise AsiRefusal(FAILED) from error
        if not answer["ok"]:
            raise AsiRefusal(FAILED)
        return answer

    def _note(self, answer: dict[str, Any]) -> None:
        """The answer to a focus that was asked for before."""
        if answer.get("id") != self._focusing:
            return
        self._focusing = None
        if self._state == LOCKING:
            decision = (answer.get("outcome") or {}).get("decision")
            self._state = IN_FOCUS if answer.get("ok") and decision == "IN_FOCUS" else ERROR
