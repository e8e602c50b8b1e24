"""A Prior ProScan III focus drive in standard mode, from the ProScan manual."""

from __future__ import annotations

import re

from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.lines import LineController

_NO_DRIVE, _NOT_FOUND, _RANGE = 3, 5, 8


class SimulatedPrior(LineController):
    """`R` is said when a move ends, in the middle of whatever else is being said."""

    def __init__(self, axis: SimulatedAxis, nm_per_unit: int = 100) -> None:
        super().__init__(b"\r")
        self.axis, self._nm = axis, nm_per_unit
        self._owes_r = 0

    def restart(self) -> None:
        """It counts from 0 again, says nothing about it and owes nobody anything."""
        self.axis.forget()
        self._owes_r = 0

    def due(self) -> bytes:
        if self._owes_r and not self.axis.moving:
            answers, self._owes_r = b"R\r" * self._owes_r, 0
            return answers
        return b""

    def answer(self, text: str) -> bytes:
        words = re.split(r"[ ,\t=;:]+", text.upper())
        command, arguments = words[0], words[1:]
        reply = self._do(command, arguments)
        return f"{reply}\r".encode() if reply else b""

    def _do(self, command: str, arguments: list[str]) -> str:
        match command, arguments:
            case "COMP", ["0"]:
                return "0"
            case "VERSION", []:
                return "102"
            case "SERIAL", []:
                return "68123"
            case "RES", ["Z"]:
                return f"{self._nm / 1000:g}"
            case "PZ", []:
                return str(self.axis.position_nm() // self._nm)
            case "$", []:
                return "4" if self.axis.moving else "0"
            case "K", []:
                self.axis.halt()
                self._owes_r = 0
                return "R"
            case (("V" | "U" | "D"), [value]):
                return self._move(command, value)
        return f"E,{_NOT_FOUND}"

    def _move(self, command: str, value: str) -> str:
        if not re.fullmatch(r"-?\d{1,9}", value):
            return f"E,{_RANGE}"
        if self.axis.blocked:
            return f"E,{_NO_DRIVE}"
        travel_nm = int(value) * self._nm
        here = self.axis.position_nm()
        target = {"V": travel_nm, "U": here + travel_nm, "D": here - travel_nm}[command]
        if not self.axis.move_to(target):
            return f"E,{_RANGE}"
        self._owes_r += 1
        return ""
