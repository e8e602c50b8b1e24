"""PI controllers that speak GCS 2.0 (PI GCS manual): piezo and motor axes with a servo.

A move is silent: `ERR?` right behind it says whether it was taken, and clears the error. Single
bytes bypass the line: 5 = which axes move, 24 = stop (which leaves error 10 behind). Unit and
travel are read (`PUN?`, `TMN?`, `TMX?`). Without its servo an axis goes nowhere near its target:
then the driver refuses to move, and does not switch it on, because that lets the axis jump. Whether
it was referenced is asked (`FRF?`); piezo controllers, whose sensors are absolute, do not know that
question.
"""

from __future__ import annotations

import re
from typing import Any

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.conversation import NUMBER, line
from firmware_bridge.stages.homing import HomingStage
from firmware_bridge.stages.polled import Identity
from firmware_bridge.stages.rest_detector import Reading

END = b"\n"
ASK_MOVING, STOP = b"\x05", b"\x18"
UM_PER_UNIT = {"um": 1.0, "µm": 1.0, "micron": 1.0, "mm": 1000.0, "nm": 0.001}
_NUMBER = rf"({NUMBER}(?:[eE][-+]?\d+)?)"
_UNKNOWN = "2"
ERRORS = {
    2: ("COMMAND", "the controller does not know the command"),
    5: ("SERVO_OFF", "the servo is off or the axis is not referenced"),
    7: ("WINDOW", "outside the controller's travel"),
    10: ("STOPPED", "the controller was stopped"),
    15: ("AXIS", "the controller has no such axis"),
}


class PiStage(HomingStage):
    """One axis of a GCS 2.0 controller."""

    def __init__(
        self, *, port: str, axis: str, resolution_um: float, baudrate: int = 115_200, **motion: Any
    ) -> None:
        """`axis`: its name in `SAI?`; `resolution_um`: of the sensor, from the data sheet."""
        super().__init__("PI", port, baudrate, **motion)
        self._axis, self._asked_resolution_um = axis, resolution_um
        self._um_per_unit = 1.0
        self._mask = 1
        self._begin()

    def _identify(self) -> Identity:
        name = self._ask("*IDN?", r"([^=]*[A-Za-z][^=]*)")
        self._forget_error()  # what somebody else left behind
        self._mask = 1 << self._place_of_axis()
        unit = self._value("PUN?", r"(\S+)").lower()
        if unit not in UM_PER_UNIT:
            raise StageRefused("CONFIG", f"axis {self._axis} counts in {unit!r}, not a length")
        self._um_per_unit = UM_PER_UNIT[unit]
        low, high = (self._um_per_unit * float(self._value(q, _NUMBER)) for q in ("TMN?", "TMX?"))
        return Identity(
            name, self._asked_resolution_um, (low, high), referenced=self._is_referenced()
        )

    def _is_referenced(self) -> bool:
        """True too when the controller does not know the question: it has no reference to find."""
        answers: list[str] = []

        def judge(text: str) -> bool | None:
            match = re.fullmatch(rf"{re.escape(self._axis)}\s*=\s*([01])", text)
            if match:
                answers.append(match[1])
            elif re.fullmatch(r"\d{1,4}", text) and (answers or text == _UNKNOWN):
                return answers[-1:] != ["0"]
            return None

        # a controller that does not know the question stays silent: `ERR?` brings out that it heard
        return self._line.ask(f"FRF? {self._axis}\nERR?\n".encode("ascii"), line(END, judge))

    def _place_of_axis(self) -> int:
        """Bit of our axis in the moving mask: its place in the list of axes."""

        def take(arrived: bytearray) -> list[str] | None:
            # every line but the last ends in a space before its LF
            text = arrived.decode("latin-1")
            whole = text.endswith("\n") and not text.endswith(" \n")
            return [name.strip() for name in text.splitlines()] if whole else None

        axes = self._line.ask(b"SAI?\n", take)
        if self._axis not in axes:
            raise StageRefused("CONFIG", f"axis = {self._axis!r} is not one of {axes}")
        return axes.index(self._axis)

    def _read(self) -> Reading:
        moving = self._line.ask(ASK_MOVING, line(END, _mask))
        position = float(self._value("POS?", _NUMBER))
        servo = self._value("SVO?", "([01])") == "1"
        latched = None if servo else "SERVO_OFF"
        if not servo and self._opened and self.identity.referenced and not self._is_referenced():
            self._restarted = "the controller lost its reference: it restarted"
        return Reading(position * self._um_per_unit, bool(moving & self._mask), latched)

    def _go(self, target_um: float) -> None:
        value = f"{target_um / self._um_per_unit:.6f}".rstrip("0").rstrip(".")
        self._order(f"MOV {self._axis} {value}")

    def _begin_homing(self) -> None:
        self._order(f"FRF {self._axis}")

    def _has_reference(self) -> bool:
        return self._is_referenced()

    def _order(self, move: str) -> None:
        def judge(text: str) -> bool | None:
            if not re.fullmatch(r"\d{1,4}", text):
                return None
            if int(text):
                reason, sentence = ERRORS.get(int(text), ("FAILED", "see the controller's manual"))
                raise StageRefused(reason, f"{move}: {sentence} (error {text})")
            return True

        # reading the error clears it; a move that is sent twice fails twice
        self._line.ask(f"{move}\nERR?\n".encode("ascii"), line(END, judge))

    def _halt_at_once(self) -> None:
        self._line.tell(STOP)

    def _halt_wire(self) -> bytes:
        return STOP

    def _halt(self) -> None:
        self._line.tell(STOP)  # again: a move may have been sent once more in between
        self._forget_error()  # a stop leaves error 10 behind

    def _forget_error(self) -> None:
        self._ask("ERR?", r"(\d{1,4})")

    def _value(self, query: str, shape: str) -> str:
        axis = re.escape(self._axis)
        return self._ask(f"{query} {self._axis}", rf"{axis}\s*=\s*{shape}")

    def _ask(self, query: str, shape: str) -> str:
        def judge(text: str) -> str | None:
            match = re.fullmatch(shape, text)
            return match[1] if match else None

        return self._line.ask(f"{query}\n".encode("ascii"), line(END, judge))


def _mask(text: str) -> int | None:
    """Answer to byte 5: a hexadecimal mask, bit 0 = the first axis."""
    return int(text, 16) if re.fullmatch(r"(0x)?[0-9A-Fa-f]{1,8}", text) else None
