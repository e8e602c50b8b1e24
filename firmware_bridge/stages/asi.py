"""ASI MS-2000 and Tiger: lines of text, CR out, CR LF back (ASI serial command manual).

Answers are read by their fields (`Z=10000.000`, wherever it stands): firmwares differ in the words
around them. Units per mm and soft limits are read (`UM Z?`, `SL Z?`, `SU Z?`); `/` says busy while
any axis of the controller moves, so a scan in XY holds Z too. There is no checksum: a damaged digit
in a position is asked again, one in a move shows where the move ends. One of several axes on the
line (firmware_bridge.stages.two_axes) asks for itself alone (`RS X?`): the others may move.
"""

from __future__ import annotations

import re
from typing import Any

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.conversation import NUMBER, line
from firmware_bridge.stages.line_stage import LineStage
from firmware_bridge.stages.polled import Identity
from firmware_bridge.stages.rest_detector import Reading
from firmware_bridge.stages.step_rounding import nearest_step

END = b"\n"  # after a CR
HALTED = 21  # `:N-21` answers a HALT that stopped a move
_ERROR = re.compile(r":N\s*-(\d+)")
_POSITION = rf":A\s*(?:[A-Z]\s*=\s*)?({NUMBER})"
ERRORS = {
    1: ("COMMAND", "the controller does not know the command"),
    2: ("AXIS", "the controller has no such axis"),
    3: ("COMMAND", "a parameter is missing"),
    4: ("WINDOW", "outside the controller's limits"),
    5: ("FAILED", "the controller could not do it"),
    6: ("COMMAND", "the controller does not know the variable"),
}


class AsiStage(LineStage):
    """One focus axis of an ASI controller."""

    def __init__(
        self, *, port: str, axis: str, resolution_um: float, baudrate: int = 9600, **motion: Any
    ) -> None:
        """`axis`: its letter, Z or F; `resolution_um`: encoder step, from the data sheet.

        9600 baud is the factory's setting, Tiger and DIP switches may say 115200.
        """
        if re.fullmatch("[A-Z]", axis) is None:
            raise StageRefused("CONFIG", f"axis = {axis!r} must be one capital letter")
        super().__init__("ASI", port, baudrate, **motion)
        self._axis, self._asked_resolution_um = axis, resolution_um
        self._um_per_unit = 0.1
        self._begin()

    def _identify(self) -> Identity:
        version = self._ask("V", r":A\s*(?:Version:\s*)?(\S.*)")
        units_per_mm = self._setting("UM")
        if not 1 <= units_per_mm <= 1e7:
            raise StageRefused("CONFIG", f"UM {self._axis} = {units_per_mm} units per mm")
        self._um_per_unit = 1000.0 / units_per_mm
        low, high = (1000.0 * self._setting(limit) for limit in ("SL", "SU"))
        return Identity(f"ASI {version}", self._asked_resolution_um, (low, high))

    def _setting(self, name: str) -> float:
        """Of our axis, whatever other axes the answer has."""
        field = rf"(?:.*[\s:])?{self._axis}\s*=\s*({NUMBER})(?:[\s:].*)?"
        return float(self._ask(f"{name} {self._axis}?", field))

    def _read(self) -> Reading:
        moving = self._is_busy()
        position = float(self._ask(f"W {self._axis}", _POSITION))
        return Reading(position * self._um_per_unit, moving)

    def _is_busy(self) -> bool:
        return self._ask("/", r"(?::A\s*)?([BN])") == "B"

    def _go(self, target_um: float) -> None:
        tenths = nearest_step(
            target_um, self._um_per_unit / 10, self.z_min_um, self.z_max_um
        )  # the wire has one decimal
        self._ask(f"M {self._axis}={tenths / 10:.1f}", "(:A)")

    def _halt(self) -> None:
        """Stops every axis of the controller."""
        self._ask("HALT", rf"(:A|:N-{HALTED})")

    def _halt_wire(self) -> bytes:
        return b"\\\r"  # HALT needs no CR and drops what came before it

    def _ask(self, command: str, shape: str) -> str:
        def judge(text: str) -> str | None:
            match = re.fullmatch(shape, text)
            if match:
                return match[1]
            error = _ERROR.fullmatch(text)
            if error and int(error[1]) in ERRORS:
                reason, sentence = ERRORS[int(error[1])]
                raise StageRefused(reason, f"{command}: {sentence} ({text})")
            return None

        return self._line.ask(f"{command}\r".encode("ascii"), line(END, judge))


class AsiAxis(AsiStage):
    """One of several axes on a shared line: it asks for itself alone, the others may move."""

    def _is_busy(self) -> bool:
        return self._ask(f"RS {self._axis}?", r":A\s*([BN])") == "B"
