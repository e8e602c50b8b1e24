"""A polled stage at the end of a serial line."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any

from firmware_bridge.errors import StageRefused, StageUncertain
from firmware_bridge.link import Link, SerialLink, lasting_name
from firmware_bridge.stages.conversation import ANSWER_S, Conversation
from firmware_bridge.stages.minder import ENDED, Minder
from firmware_bridge.stages.polled import PolledStage

OpenLink = Callable[[str, int], Link]


class LineStage(PolledStage):
    """Opens the line under a lock (a second runtime is turned away) and closes it again."""

    def __init__(
        self,
        name: str,
        port: str,
        baudrate: int,
        open_link: OpenLink = SerialLink,
        answer_s: float = ANSWER_S,
        **motion: Any,
    ) -> None:
        """`answer_s`: how long an answer may take; `motion` as PolledStage takes it.

        Raises StageRefused("PORT_LOCKED", "CONFIG") or LinkLost.
        """
        super().__init__(**motion)
        if not 0.01 <= answer_s <= 10:
            raise StageRefused("CONFIG", f"answer_s = {answer_s} must be 0.01 to 10")
        self._line_name = lasting_name(port)
        called = f"{name} on {port}"
        link = open_link(port, baudrate)
        self._line = Conversation(link, called, answer_s, self._overhear)
        self._descriptor = getattr(link, "fileno", None)  # a made-up line has none to mind
        self._minder: Minder | None = None

    @abstractmethod
    def _halt_wire(self) -> bytes:
        """What stops the axis wherever it comes on the line, also within half a command: written
        by another process when this one is dead or frozen."""

    def _before_a_move(self, goes_on: bool) -> None:
        """Somebody must be there who stops it when this process cannot."""
        if self._minder is None and self._descriptor is not None:
            halt = self._halt_wire()
            self._minder = Minder(self._descriptor(), halt, self._may_move, self._unminded)
        if self._minder is not None:
            self._minder.begin(goes_on)

    def _may_move(self) -> bool:
        newest = self._newest
        return self._rest.target_um is not None or (newest is not None and newest.moving)

    def _unminded(self) -> None:
        with self._changed:
            if self._trouble is None and not self._closing.is_set():
                self._trouble = StageUncertain(ENDED)
            self._changed.notify_all()

    def _overhear(self, data: bytes) -> None:
        """All that arrives, answers and what was not asked for."""

    def _ask_once(self, once: bool) -> None:
        self._line.patient = not once

    def _hang_up(self) -> None:
        if self._minder is not None:
            self._minder.close()
        self._line.close()
