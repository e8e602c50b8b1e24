"""A GRBL 1.1 board, of Z alone or of three axes, from GRBL's interface and jogging pages."""

from __future__ import annotations

import re

from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.lines import LineController

_JOG = re.compile(r"\$J=(?P<words>(?:[GXYZF]-?[\d.]+)+)")
_BANNER = b"\r\nGrbl 1.1h ['$' for help]\r\n"
_NO_HOMING, _NOT_IDLE, _LOCKED, _TRAVEL, _BAD_JOG = 5, 8, 9, 15, 16
_AT_REST = ("$I", "$$", "$X", "$H")  # what is not answered while it moves


class SimulatedGrbl(LineController):
    """An `ok` is held back until the next read or 2 ms: a `?` asked meanwhile overtakes it."""

    def __init__(
        self,
        axis: SimulatedAxis,
        steps_per_mm: int = 2000,
        slide: tuple[SimulatedAxis, SimulatedAxis] | None = None,
    ) -> None:
        """`slide`: X and Y, on a board that has them."""
        super().__init__(b"\n")
        self.axis = axis
        self._axes = {"Z": axis} if slide is None else {"X": slide[0], "Y": slide[1], "Z": axis}
        self.alarm = False
        self.settings: dict[int, float] = {
            10: 1,
            13: 0,
            20: 1,
            22: 1,
            102: steps_per_mm,
            132: -axis.min_nm / 1e6,
        }
        for number, letter in enumerate("XY" if slide is not None else ""):
            self.settings[100 + number] = steps_per_mm
            self.settings[130 + number] = -self._axes[letter].min_nm / 1e6
        self._waiting = b""

    def restart(self) -> None:
        """A brown-out: the banner, the count begins anew, locked where it can be homed."""
        for axis in self._axes.values():
            axis.forget()
        self.alarm = bool(self.settings.get(22))
        self._waiting = _BANNER

    def due(self) -> bytes:
        lines, self._waiting = self._waiting, b""
        return lines

    def takes(self, byte: bytes) -> bool:
        return byte in b"?!~\x85\x18"

    def single(self, byte: bytes) -> bytes | None:
        if byte == b"?":
            here = (self._axes[name].position_nm() if name in self._axes else 0 for name in "XYZ")
            places = ",".join(f"{nm / 1e6:.3f}" for nm in here)
            return f"<{self._state()}|MPos:{places}|FS:0,0>\r\n".encode()
        if byte in b"!\x85\x18":
            for axis in self._axes.values():
                axis.halt()
        if byte == b"\x18":
            self.alarm = False
            return _BANNER
        return b""

    def answer(self, text: str) -> bytes:
        self._waiting += self._do(text.replace(" ", "").upper()).encode()
        return b""

    def _state(self) -> str:
        if self.alarm:
            return "Alarm"
        return "Jog" if any(axis.moving for axis in self._axes.values()) else "Idle"

    def _do(self, text: str) -> str:
        if text in _AT_REST and self._state() not in ("Idle", "Alarm"):
            return f"error:{_NOT_IDLE}\r\n"
        if text == "$I":
            return "[VER:1.1h.20190825:]\r\n[OPT:V,15,128]\r\nok\r\n"
        if text == "$$":
            return "".join(f"${k}={v:.3f}\r\n" for k, v in self.settings.items()) + "ok\r\n"
        if text == "$X":
            self.alarm = False
            return "[MSG:Caution: Unlocked]\r\nok\r\n"
        if text == "$H":
            return self._home()
        if text.startswith("$J="):
            error = self._jog(text)
            return f"error:{error}\r\n" if error else "ok\r\n"
        return "error:20\r\n"

    def _home(self) -> str:
        """To the upper end at once; then it knows where it is."""
        if not self.settings.get(22):
            return f"error:{_NO_HOMING}\r\n"
        self.alarm = False
        for axis in self._axes.values():
            axis.turn_knob(0)
        return "ok\r\n"

    def _jog(self, text: str) -> int:
        match = _JOG.fullmatch(text)
        if match is None:
            return _BAD_JOG
        words = re.findall(r"([GXYZF])(-?[\d.]+)", match["words"])
        codes = {value for letter, value in words if letter == "G"}
        numbers = {letter: float(value) for letter, value in words if letter != "G"}
        named = {name: numbers[name] for name in "XYZ" if name in numbers}
        if self.alarm or any(axis.blocked for axis in self._axes.values()):
            return _LOCKED
        if numbers.get("F", 0) <= 0 or not named or not named.keys() <= self._axes.keys():
            return _BAD_JOG
        if {"90", "91"} <= codes:
            return _BAD_JOG
        unit = 25.4e6 if "20" in codes else 1e6
        targets = {}
        for name, number in named.items():
            axis = self._axes[name]
            start = axis.target_nm if "91" in codes else 0
            step_nm = 1e6 / self.settings[100 + "XYZ".index(name)]
            targets[name] = round(round((start + number * unit) / step_nm) * step_nm)
            if not axis.min_nm <= targets[name] <= axis.max_nm:
                return _TRAVEL  # none of them moves
        for name, target in targets.items():
            self._axes[name].move_to(target)
        return 0
