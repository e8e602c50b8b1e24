"""The controller's half of the ASI wire: reads commands, answers as an MS-2000 does.

Whatever lies behind `AsiAxis` decides about moves: a simulated motor, or the appliance's guard,
so that Micro-Manager and every program that speaks ASI can drive the focus that we hold. Only
what such programs ask of a focus axis is answered; the rest is `:N-1`, as in the manual.
"""

from __future__ import annotations

import re
from typing import Protocol

from firmware_bridge import crisp

UNKNOWN, NO_AXIS, MISSING, RANGE, FAILED, HALTED = 1, 2, 3, 4, 5, 21
UNITS_PER_MM = 10_000  # 0.1 um, the factory's setting
_LONGEST = 256
#: what a one-axis controller is built of; lines end in CR, the last in CR LF. Tiger's fields.
_BUILD = "\r".join(
    (
        "STD_Z",
        "Motor Axes: {axis}",
        "Axis Types: z",
        "Axis Addr: 1",
        "Hex Addr: 31",
        "Axis Props: 0",
    )
)
_WORDS = {
    "MOVE": "M",
    "MOVREL": "R",
    "WHERE": "W",
    "STATUS": "/",
    "HALT": "\\",
    "VERSION": "V",
    "RDSTAT": "RS",
}
_AXIS = re.compile(r"([A-Z])\s*(?:([=?])\s*(-?\d+(?:\.\d*)?)?)?")
#: settings that programs read at the start, as the manual formats them; none can be changed here
_SETTINGS = {
    "UM": ":A {axis}={units:.3f} ",
    "SL": ":A {axis}={low:.4f} ",
    "SU": ":A {axis}={high:.4f} ",
    "S": ":A {axis}=1.000000 ",
    "B": ":{axis}=0.000000 A",
    "E": ":{axis}=0.000050 A",
    "PC": ":{axis}=0.000100 A",
    "AC": ":{axis}=50 A",
    "WT": ":{axis}=0 A",
}


class AsiRefusal(Exception):
    """The axis does not do it; `code` is what follows `:N-`."""

    def __init__(self, code: int) -> None:
        super().__init__(f":N-{code}")
        self.code = code


class AsiAxis(Protocol):
    """One focus axis; um, positive = up. What raises AsiRefusal has moved nothing."""

    name: str  # what `V` says after ":A Version: "

    def limits_um(self) -> tuple[float, float]: ...

    def position_um(self) -> float: ...

    def moving(self) -> bool: ...

    def move_to(self, target_um: float) -> None: ...

    def halt(self) -> bool:
        """Stop; True when that ended a move."""
        ...


class AsiServer:
    """Bytes in, bytes out, for one client. Never raises for what a client can send."""

    def __init__(
        self,
        axis: AsiAxis,
        letter: str = "Z",
        units_per_mm: float = UNITS_PER_MM,
        lock: crisp.FocusLock | None = None,
    ) -> None:
        """`lock`: what the axis holds focus by, for the commands of a CRISP."""
        self._axis, self._letter, self._lock = axis, letter, lock
        self._units_per_mm = units_per_mm
        self._line = bytearray()

    def receive(self, data: bytes) -> bytes:
        """The answers to the commands that end in `data`. A backslash halts without a CR."""
        out = b""
        for value in data:
            if value == 0x5C:
                self._line.clear()
                out += self._answer("HALT")
            elif value == 0x0D:
                text, self._line = self._line.decode("latin-1").strip(), bytearray()
                out += self._answer(text) if text else b""
            elif value != 0x0A and len(self._line) < _LONGEST:
                self._line.append(value)
        return out

    def due(self) -> bytes:
        """An MS-2000 says nothing unasked."""
        return b""

    def _answer(self, text: str) -> bytes:
        try:
            answer = self._do(text.upper())
        except AsiRefusal as refusal:
            answer = f":N-{refusal.code}"
        return f"{answer}\r\n".encode("ascii")

    def _do(self, text: str) -> str:
        word, _, rest = text.partition(" ")
        word = _WORDS.get(word, word)
        if word == "/":
            return "B" if self._axis.moving() else "N"
        if word == "RS":
            self._value(rest, "?")
            return f":A {'B' if self._axis.moving() else 'N'}"
        if word == "\\":
            if self._axis.halt():
                raise AsiRefusal(HALTED)
            return ":A"
        if word == "V":
            return f":A Version: {self._axis.name}"
        if word == "W":
            self._value(rest, "")
            return f":A {self._axis.position_um() * self._units_per_mm / 1000:.1f}"
        if word.lstrip("0123456789") == "BU":
            return _BUILD.format(axis=self._letter)
        if word in ("M", "R"):
            return self._move(word, rest)
        if word in _SETTINGS:
            return self._setting(word, rest)
        if self._lock is not None and word in crisp.WORDS:
            said = crisp.answer(self._lock, word, rest)
            if said is not None:
                return said
        raise AsiRefusal(UNKNOWN)

    def _move(self, word: str, rest: str) -> str:
        value = self._value(rest, "=")
        if value is None:
            raise AsiRefusal(MISSING)
        start_um = self._axis.position_um() if word == "R" else 0.0
        self._axis.move_to(start_um + value * 1000 / self._units_per_mm)
        return ":A"

    def _setting(self, word: str, rest: str) -> str:
        if self._value(rest, "?") is not None or "?" not in rest:
            raise AsiRefusal(FAILED)  # the settings of this axis are not the client's
        low_um, high_um = self._axis.limits_um()
        return _SETTINGS[word].format(
            axis=self._letter, units=self._units_per_mm, low=low_um / 1000, high=high_um / 1000
        )

    def _value(self, rest: str, wanted: str) -> float | None:
        """The number given for our axis, None without one; refuses any other axis."""
        parts = rest.split() if "=" not in rest else [rest.strip()]
        if len(parts) != 1:
            raise AsiRefusal(MISSING if not parts else NO_AXIS)
        match = _AXIS.fullmatch(parts[0])
        if match is None:
            raise AsiRefusal(MISSING if wanted else NO_AXIS)
        if match[1] != self._letter:
            raise AsiRefusal(NO_AXIS)
        return None if match[3] is None else float(match[3])
