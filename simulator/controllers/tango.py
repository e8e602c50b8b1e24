"""A Maerzhaeuser TANGO with a Z axis, from its instruction set."""

from __future__ import annotations

from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.lines import LineController

_NM_PER_UNIT = {"0": 50, "1": 1000, "2": 1_000_000}  # microsteps, um, mm
_NO_AXIS, _NOT_NOW, _UNKNOWN, _RANGE, _COUNT = 1, 2, 4, 5, 6


class SimulatedTango(LineController):
    """It powers up in mm and with autostatus on: it tells the end of a move unasked."""

    def __init__(
        self, axis: SimulatedAxis, slide: tuple[SimulatedAxis, SimulatedAxis] | None = None
    ) -> None:
        """`slide`: X and Y, on a controller that has them."""
        super().__init__(b"\r")
        self.axis = axis
        self._axes = {"z": axis} if slide is None else {"x": slide[0], "y": slide[1], "z": axis}
        self._power_up()

    def _power_up(self) -> None:
        self.error = 0
        self._dimensions = dict.fromkeys(self._axes, "2")
        self._autostatus, self._travels = True, False

    def restart(self) -> None:
        """As powered up: it counts from 0, in mm, and says so to nobody."""
        for axis in self._axes.values():
            axis.forget()
        self._power_up()

    def due(self) -> bytes:
        if self._travels and not any(axis.moving for axis in self._axes.values()):
            self._travels = False
            return b"@@@-.\r" if self._autostatus else b""
        return b""

    def answer(self, text: str) -> bytes:
        words = text.lower().split()
        reply = self._query(words) if words[0].startswith("?") else self._command(words)
        return f"{reply}\r".encode() if reply else b""

    def _query(self, words: list[str]) -> str:
        match words:
            case [query, name] if name in self._axes:
                return self._query_axis(query, name)
            case ["?version"]:
                return "TANGO-DESKTOP DT4, Version 1.72, Mar 26 2026, 10:00:00"
            case ["?readsn"]:
                return "0123456789"
            case ["?err"]:
                return str(self.error)
            case ["?statusaxis"]:
                return "".join(self._state(name) for name in "xyz") + "-.-"
        self.error = _UNKNOWN
        return ""

    def _state(self, name: str) -> str:
        return "M" if name in self._axes and self._axes[name].moving else "@"

    def _query_axis(self, query: str, name: str) -> str:
        axis, unit = self._axes[name], _NM_PER_UNIT[self._dimensions[name]]
        match query:
            case "?dim":
                return self._dimensions[name]
            case "?pos":
                return f"{axis.position_nm() / unit:.4f}"
            case "?lim":
                return f"{axis.min_nm / unit:.4f} {axis.max_nm / unit:.4f}"
            case "?statusaxis":
                return self._state(name)
        self.error = _UNKNOWN
        return ""

    def _command(self, words: list[str]) -> str:
        match words:
            case ["!autostatus", value]:
                self._autostatus = value != "0"
            case ["!dim", name, value] if name in self._axes and value in _NM_PER_UNIT:
                self._dimensions[name] = value
            case ["!err"]:
                self.error = 0
            case ["a" | "!a"]:
                for axis in self._axes.values():
                    axis.halt()
            case ["a" | "!a", name] if name in self._axes:
                self._axes[name].halt()
            case ["!moa" | "moa", axis, value]:
                self._move(axis, value)
            case _:
                self.error = _UNKNOWN
        return ""

    def _move(self, name: str, value: str) -> None:
        axis = self._axes.get(name)
        if axis is None:
            self.error = _NO_AXIS
            return
        try:
            target = round(float(value) * _NM_PER_UNIT[self._dimensions[name]])
        except ValueError:
            self.error = _COUNT
            return
        if axis.blocked:
            self.error = _NOT_NOW
        elif axis.move_to(target):
            self._travels = True
        else:
            self.error = _RANGE
