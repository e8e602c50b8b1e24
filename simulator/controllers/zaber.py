"""A Zaber controller that speaks the ASCII protocol, from Zaber's protocol manual."""

from __future__ import annotations

import re

from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.lines import LineController

_REQUEST = re.compile(r"/(?:(?P<head>\d+)(?: (?P<axis>\d+))?(?: (?P<id>\d+|--))?)? ?(?P<words>.*)")
NO_REFERENCE = "WR"


class SimulatedZaber(LineController):
    """`axes`: 1, 2, ... of the device; `axis` is the first one. `checksum`: answers carry one
    (`comm.checksum 1`); `warning`: the flag shown, "--" = none."""

    def __init__(
        self,
        *axes: SimulatedAxis,
        nm_per_step: int = 50,
        microsteps: int = 64,
        device: int = 1,
        checksum: bool = True,
    ) -> None:
        super().__init__(b"\n")
        self.axis, self.axes = axes[0], axes
        self.checksum, self.warning = checksum, "--"
        self._nm, self._microsteps, self._device = nm_per_step, microsteps, device

    def restart(self) -> None:
        """It counts from 0 and says that it has no reference."""
        for axis in self.axes:
            axis.forget()
        self.warning = NO_REFERENCE

    def answer(self, text: str) -> bytes:
        if self.axis.has_homed():
            self.warning = "--"
        body, colon, sent = text.partition(":")
        if not body.startswith("/") or (colon and not _sums_to_zero(body[1:], sent)):
            return b""  # a device ignores what is damaged
        match = _REQUEST.fullmatch(body)
        if match is None or int(match["head"] or 0) not in (0, self._device):
            return b""
        number = None if match["id"] in (None, "--") else int(match["id"])
        flag, data = self._do(match["words"].split(), int(match["axis"] or 0))
        return self._reply(int(match["axis"] or 0), number, flag, data)

    def _reply(self, axis: int, number: int | None, flag: str, data: str) -> bytes:
        asked = self.axes if axis not in range(1, len(self.axes) + 1) else (self.axes[axis - 1],)
        state = "BUSY" if any(each.moving for each in asked) else "IDLE"
        shown = "" if number is None else f" {number:02d}"
        text = f"{self._device:02d} {axis}{shown} {flag} {state} {self.warning} {data}"
        if self.checksum:
            text += f":{-sum(text.encode()) & 0xFF:02X}"
        return f"@{text}\r\n".encode()

    def _do(self, words: list[str], axis: int) -> tuple[str, str]:
        if axis not in range(len(self.axes) + 1):
            return "RJ", "BADAXIS"
        named = self.axes[max(axis, 1) - 1]
        match words:
            case []:
                return "OK", "0"
            case ["get", setting]:
                return self._get(setting, named)
            case ["move", kind, value]:
                return self._move(kind, value, named)
            case ["home"]:
                if named.blocked:
                    return "RJ", "DRIVERDISABLED"
                named.home(named.min_nm)
                return "OK", "0"
            case ["stop"] | ["estop"]:
                for each in (named,) if axis else self.axes:
                    each.halt()
                return "OK", "0"
            case ["warnings"] | ["warnings", "clear"]:
                shown = self.warning
                if "clear" in words and shown != NO_REFERENCE:  # that one goes by homing only
                    self.warning = "--"
                return "OK", "00" if shown == "--" else f"01 {shown}"
        return "RJ", "BADCOMMAND"

    def _get(self, setting: str, axis: SimulatedAxis) -> tuple[str, str]:
        values = {
            "pos": axis.position_nm() // self._nm,
            "limit.min": axis.min_nm // self._nm,
            "limit.max": axis.max_nm // self._nm,
            "resolution": self._microsteps,
            "deviceid": 50081,
            "version": "7.38",
            "system.axiscount": len(self.axes),
            "comm.checksum": int(self.checksum),
            "system.serial": 12345,
        }
        return ("OK", str(values[setting])) if setting in values else ("RJ", "BADCOMMAND")

    def _move(self, kind: str, value: str, axis: SimulatedAxis) -> tuple[str, str]:
        if kind not in ("abs", "rel") or not re.fullmatch(r"-?\d+", value):
            return "RJ", "BADDATA"
        if axis.blocked:
            return "RJ", "DRIVERDISABLED"
        start = axis.position_nm() if kind == "rel" else 0
        taken = axis.move_to(start + int(value) * self._nm)
        return ("OK", "0") if taken else ("RJ", "BADDATA")


def _sums_to_zero(body: str, sent: str) -> bool:
    """The checksum byte brings the sum of all characters after the slash to 0."""
    try:
        return (sum(body.encode("latin-1")) + int(sent, 16)) & 0xFF == 0
    except ValueError:
        return False
