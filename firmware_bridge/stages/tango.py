"""Maerzhaeuser TANGO: lines that end in CR (TANGO instruction set).

Moves are not acknowledged, so `?err` goes behind each. The unit is set to um (`!dim z 1`) and read
back; the travel is read (`?lim z`). `!autostatus 0` keeps the controller from speaking unasked.
"""

from __future__ import annotations

import re
from typing import Any

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.conversation import NUMBER, line
from firmware_bridge.stages.line_stage import LineStage
from firmware_bridge.stages.polled import Identity
from firmware_bridge.stages.rest_detector import Reading

END = b"\r"
UM = "1"  # of `dim`
_NUMBER = rf"({NUMBER})"
ERRORS = {
    1: ("AXIS", "the controller has no such axis"),
    2: ("FAILED", "the controller cannot do that now"),
    4: ("COMMAND", "the controller does not know the command"),
    5: ("WINDOW", "outside the controller's limits"),
    12: ("LIMIT_SWITCH", "the limit switch is active"),
    27: ("LATCHED", "the emergency stop is active"),
}
#: letter of `?statusaxis` -> why the axis would not move
LATCHES = {"S": "LIMIT_SWITCH", "E": "ERROR", "T": "TIMEOUT", "-": "AXIS_OFF"}


class TangoStage(LineStage):
    """The Z axis of a TANGO controller."""

    axis = "z"

    def __init__(
        self, *, port: str, resolution_um: float, baudrate: int = 57_600, **motion: Any
    ) -> None:
        """`resolution_um`: of motor or encoder, from the data sheet."""
        super().__init__("TANGO", port, baudrate, **motion)
        self._asked_resolution_um = resolution_um
        self._begin()

    def _identify(self) -> Identity:
        version = self._ask("!autostatus 0\r?version", r"(\S*[A-Za-z].*)")
        dimension = self._ask(f"!dim {self.axis} {UM}\r?dim {self.axis}", r"(\d+)")
        if dimension != UM:
            raise StageRefused(
                "CONFIG", f"{self.axis} counts in unit {dimension}, not in um ({UM})"
            )
        low, high = self._ask(f"?lim {self.axis}", rf"{_NUMBER} {_NUMBER}", 0).split()
        travel = float(low), float(high)
        return Identity(version, self._asked_resolution_um, travel, self._serial())

    def _serial(self) -> str:
        """ "" where the firmware does not know the question: `?err` brings out that it heard."""

        def judge(text: str) -> str | None:
            if re.fullmatch(r"[\w-]{6,20}", text):
                return text
            return "" if re.fullmatch(r"[1-9]\d{0,2}", text) else None

        return self._line.ask(b"!err\r?readsn\r?err\r", line(END, judge))

    def _read(self) -> Reading:
        # of this axis alone, or of x, y, z and what else there is
        before = rf"(?:[@MJSADET-]{{{'xyz'.index(self.axis)}}})?"
        shape = rf"{before}([@MJSADET-])(?:[@MJSADET.-]*)"
        state = self._ask(f"?statusaxis {self.axis}", shape)
        position = float(self._ask(f"?pos {self.axis}", _NUMBER))
        return Reading(position, state == "M", LATCHES.get(state))

    def _go(self, target_um: float) -> None:
        move = f"!moa {self.axis} {target_um:.3f}"

        def judge(text: str) -> bool | None:
            if not re.fullmatch(r"\d{1,3}", text):
                return None
            if int(text):
                reason, sentence = ERRORS.get(int(text), ("FAILED", "see the controller's manual"))
                raise StageRefused(reason, f"{move}: {sentence} (error {text})")
            return True

        self._line.ask(f"!err\r{move}\r?err\r".encode("ascii"), line(END, judge))

    def _halt(self) -> None:
        self._line.tell(f"a {self.axis}\r".encode("ascii"))

    def _halt_wire(self) -> bytes:
        return f"\ra {self.axis}\r".encode("ascii")

    def _ask(self, query: str, shape: str, group: int = 1) -> str:
        def judge(text: str) -> str | None:
            match = re.fullmatch(shape, text)
            return match[group] if match else None

        return self._line.ask(f"{query}\r".encode("ascii"), line(END, judge))


class TangoX(TangoStage):
    """X of the slide (firmware_bridge.stages.two_axes)."""

    axis = "x"


class TangoY(TangoStage):
    """Y of the slide."""

    axis = "y"
