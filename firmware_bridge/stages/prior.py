"""Prior ProScan II/III focus: lines that end in CR (ProScan manual, standard mode).

Moves are absolute (`V,z`) in units of `RES,Z`, which is read. The controller says `R` when a move
ends, whenever that is, and nothing when it begins: a move counts as taken when `$` shows Z busy
or when it is there. It cannot tell its travel; the window is the config's.
"""

from __future__ import annotations

import re
from typing import Any

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.conversation import NUMBER, SENDS, Unanswered, line
from firmware_bridge.stages.line_stage import LineStage
from firmware_bridge.stages.polled import Identity
from firmware_bridge.stages.rest_detector import Reading
from firmware_bridge.stages.step_rounding import nearest_step

END = b"\r"
Z_BUSY = 4
_ERROR = re.compile(r"E,(\d+)")
ERRORS = {
    1: ("AXIS", "there is no stage"),
    2: ("BUSY", "the controller is not idle"),
    3: ("LATCHED", "there is no drive"),
    5: ("COMMAND", "the controller does not know the command"),
    8: ("WINDOW", "the value is out of range"),
    13: ("LATCHED", "the focus drive is disabled"),
}


class PriorStage(LineStage):
    """The focus drive of a ProScan controller."""

    def __init__(self, *, port: str, baudrate: int = 9600, **motion: Any) -> None:
        super().__init__("Prior", port, baudrate, **motion)
        self._um_per_unit = 0.1
        self._begin()

    def _identify(self) -> Identity:
        self._ask("COMP,0", "([0R])")  # standard mode: answers as the manual has them
        version = self._ask("VERSION", r"(\d[\w.]*)")
        self._um_per_unit = float(self._ask("RES,Z", rf"({NUMBER})"))
        if not 0 < self._um_per_unit < 1000:
            raise StageRefused("CONFIG", f"RES,Z = {self._um_per_unit} um per unit")
        return Identity(f"Prior ProScan {version}", self._um_per_unit, None, self._serial())

    def _serial(self) -> str:
        """ "" where the firmware does not know the question."""
        try:
            return self._ask("SERIAL", r"(\d[\w-]*)")
        except StageRefused:
            return ""

    def _read(self) -> Reading:
        busy = int(self._ask("$", r"(\d{1,3})"))
        position = int(self._ask("PZ", r"(-?\d+)"))
        return Reading(position * self._um_per_unit, bool(busy & Z_BUSY))

    def _go(self, target_um: float) -> None:
        units = nearest_step(target_um, self._um_per_unit, self.z_min_um, self.z_max_um)
        for _ in range(SENDS):
            # an error comes before the answer to `$`, and is found there
            busy = int(self._ask(f"V,{units}\r$", r"(\d{1,3})"))
            if busy & Z_BUSY or int(self._ask("PZ", r"(-?\d+)")) == units:
                return
        raise Unanswered(f"the controller did not begin to move to {target_um:.3f} um")

    def _halt(self) -> None:
        self._ask("K", "(R)")

    def _halt_wire(self) -> bytes:
        return b"\rK\r"

    def _ask(self, command: str, shape: str) -> str:
        def judge(text: str) -> str | None:
            error = _ERROR.fullmatch(text)
            if error:
                reason, sentence = ERRORS.get(int(error[1]), ("FAILED", "see the manual"))
                raise StageRefused(reason, f"{command!r}: {sentence} ({text})")
            match = re.fullmatch(shape, text)
            return match[1] if match else None

        return self._line.ask(f"{command}\r".encode("ascii"), line(END, judge))
