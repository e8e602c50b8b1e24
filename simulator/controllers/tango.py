"""A Maerzhaeuser TANGO with a Z axis, from its instruction set."""

from __future__ import annotations

from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.lines import LineController

_NM_PER_UNIT = {"0": 50, "1": 1000, "2": 1_000_000}  # microsteps, um, mm
_NO_AXIS, _NOT_NOW, _UNKNOWN, _RANGE, _COUNT = 1, 2, 4, 5, 6


class SimulatedTango(LineController):
    """It powers up in mm and with autostatus on: it tells the end of a move unasked."""

    def __init__(self, axis: SimulatedAxis) -> None:
        super().__init__(b"\r")
        self.axis = axis
        self._power_up()

    def _power_up(self) -> None:
        self.error = 0
        self._dimension = "2"
        self._autostatus, self._travels = True, False

    def restart(self) -> None:
        """As powered up: it counts from 0, in mm, and says so to nobody."""
        self.axis.forget()
        self._power_up()

    def due(self) -> bytes:
        if self._travels and not self.axis.moving:
            self._travels = False
            return b"@@@-.\r" if self._autostatus else b""
        return b""

    def answer(self, text: str) -> bytes:
        words = text.lower().split()
        reply = self._query(words) if words[0].startswith("?") else self._command(words)
        return f"{reply}\r".encode() if reply else b""

    def _query(self, words: list[str]) -> str:
        unit = _NM_PER_UNIT[self._dimension]
        match words:
            case ["?version"]:
                return "TANGO-DESKTOP DT4, Version 1.72, Mar 26 2026, 10:00:00"
            case ["?readsn"]:
                return "0123456789"
            case ["?err"]:
                return str(self.error)
            case ["?dim", "z"]:
                return self._dimension
            case ["?pos", "z"]:
                return f"{self.axis.position_nm() / unit:.4f}"
            case ["?lim", "z"]:
                return f"{self.axis.min_nm / unit:.4f} {self.axis.max_nm / unit:.4f}"
            case ["?statusaxis", "z"]:
                return "M" if self.axis.moving else "@"
            case ["?statusaxis"]:
                return "@@M-.-" if self.axis.moving else "@@@-.-"
        self.error = _UNKNOWN
        return ""

    def _command(self, words: list[str]) -> str:
        match words:
            case ["!autostatus", value]:
                self._autostatus = value != "0"
            case ["!dim", "z", value] if value in _NM_PER_UNIT:
                self._dimension = value
            case ["!err"]:
                self.error = 0
            case ["a" | "!a"] | ["a" | "!a", "z"]:
                self.axis.halt()
            case ["!moa" | "moa", axis, value]:
                self._move(axis, value)
            case _:
                self.error = _UNKNOWN
        return ""

    def _move(self, axis: str, value: str) -> None:
        try:
            target = round(float(value) * _NM_PER_UNIT[self._dimension])
        except ValueError:
            self.error = _COUNT
            return
        if axis != "z":
            self.error = _NO_AXIS
        elif self.axis.blocked:
            self.error = _NOT_NOW
        elif self.axis.move_to(target):
            self._travels = True
        else:
            self.error = _RANGE
