"""A polled stage at the end of a serial line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from firmware_bridge.errors import StageRefused
from firmware_bridge.link import Link, SerialLink, lasting_name
from firmware_bridge.stages.conversation import ANSWER_S, Conversation
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
        self._line = Conversation(open_link(port, baudrate), called, answer_s, self._overhear)

    def _overhear(self, data: bytes) -> None:
        """All that arrives, answers and what was not asked for."""

    def _ask_once(self, once: bool) -> None:
        self._line.patient = not once

    def _hang_up(self) -> None:
        self._line.close()
