"""The pins of a simulated board, as bytes on its second serial line (ports/bench/bench.h)."""

from __future__ import annotations

import time
from dataclasses import dataclass

from firmware_bridge.errors import LinkLost
from firmware_bridge.link import Link, SerialLink

FAULTS = {"drop-sent": b"d", "damage-sent": b"x", "drop-received": b"i", "reboot": b"r"}
XY_SWITCHES = {("x", False): b"E", ("x", True): b"F", ("y", False): b"J", ("y", True): b"K"}


@dataclass(frozen=True, slots=True)
class PinsReport:
    """What the board did since it started; nm, + = up, and us of its own clock."""

    moves_started: int
    motor_nm: int
    lowest_nm: int
    highest_nm: int
    time_us: int


@dataclass(frozen=True, slots=True)
class XYPinsReport:
    """As PinsReport, of X and Y, and the pulses that the camera got."""

    moves_started: int
    x_nm: int
    x_lowest_nm: int
    x_highest_nm: int
    y_nm: int
    y_lowest_nm: int
    y_highest_nm: int
    pulses: int
    pulse_nm: int


class BoardPins:
    """Works the strobe and the limit switches. Not thread-safe."""

    def __init__(self, port: str | Link) -> None:
        """Open `port`, StageRefused or LinkLost as SerialLink does; or use a line that is open."""
        self._link: Link = SerialLink(port) if isinstance(port, str) else port

    def strobe(self, lit: bool) -> None:
        """The camera's exposure begins or ends."""
        self._link.write(b"S" if lit else b"s")

    def lower_switch(self, pressed: bool) -> None:
        """The limit switch at the lower end."""
        self._link.write(b"L" if pressed else b"l")

    def upper_switch(self, pressed: bool) -> None:
        """The limit switch at the upper end."""
        self._link.write(b"H" if pressed else b"h")

    def inject(self, fault: str, times: int = 1) -> None:
        """Arm one of FAULTS; a release build ignores it."""
        self._link.write(FAULTS[fault] * times)

    def xy_switch(self, axis: str, upper: bool, pressed: bool) -> None:
        """A limit switch of "x" or "y"."""
        key = XY_SWITCHES[axis, upper]
        self._link.write(key if pressed else key.lower())

    def report(self, timeout_s: float = 2.0) -> PinsReport:
        """Ask what happened so far; LinkLost without an answer. Earlier events come first."""
        return PinsReport(*self._ask(b"?", timeout_s))

    def report_xy(self, timeout_s: float = 2.0) -> XYPinsReport:
        """As `report`, of the axes under the slide."""
        return XYPinsReport(*self._ask(b"!", timeout_s))

    def _ask(self, question: bytes, timeout_s: float) -> list[int]:
        self._link.write(question)
        text, deadline = b"", time.monotonic() + timeout_s
        while not text.endswith(b"\n"):
            if time.monotonic() > deadline:
                raise LinkLost("the pins' line does not answer")
            text += self._link.read()
        return [int(word) for word in text.split()]

    def close(self) -> None:
        """Close the line; safe to call twice."""
        self._link.close()
