"""An ASI MS-2000 with soft limits; the wire is `firmware_bridge.asi_server`."""

from __future__ import annotations

import re

from firmware_bridge.asi_server import (
    FAILED,
    MISSING,
    NO_AXIS,
    RANGE,
    UNITS_PER_MM,
    AsiRefusal,
    AsiServer,
)
from simulator.controllers.axis import SimulatedAxis


class SimulatedAsi(AsiServer):
    """An MS-2000 whose Z is `axis`."""

    def __init__(
        self, axis: SimulatedAxis, letter: str = "Z", units_per_mm: float = UNITS_PER_MM
    ) -> None:
        super().__init__(_Motor(axis), letter, units_per_mm)
        self.axis = axis

    def restart(self) -> None:
        """Without a saved position it counts from 0."""
        self.axis.forget()


class SimulatedAsiAxes:
    """A Tiger with several axes by their letters: `/` is busy while any moves, a halt stops all. A
    command may name several (`W X Y`, `M X=1 Y=2`): positions are told in the controller's order,
    and where one axis cannot go none does."""

    def __init__(self, axes: dict[str, SimulatedAxis]) -> None:
        self.axes = axes
        self._servers = {letter: SimulatedAsi(axis, letter) for letter, axis in axes.items()}
        self._line = bytearray()

    def receive(self, data: bytes) -> bytes:
        """See firmware_bridge.asi_server.AsiServer."""
        out = b""
        for value in data:
            self._line.append(value)
            if value in b"\r\\":
                out += self._do(bytes(self._line))
                self._line.clear()
        return out

    def due(self) -> bytes:
        """Nothing is said unasked."""
        return b""

    def restart(self) -> None:
        """All axes count from 0."""
        for server in self._servers.values():
            server.restart()

    def _do(self, line: bytes) -> bytes:
        servers = list(self._servers.values())
        text = line.decode("latin-1").strip().upper()
        if text == "/":
            busy = any(axis.moving for axis in self.axes.values())
            return b"B\r\n" if busy else b"N\r\n"
        if text in ("HALT", "\\") or line.endswith(b"\\"):
            answers = [server.receive(b"\\") for server in servers]
            return next((answer for answer in answers if answer != b":A\r\n"), answers[0])
        word, _, rest = text.partition(" ")
        if word.lstrip("0123456789") in ("BU", "BUILD"):
            return self._build()
        named = re.findall(r"([A-Z])\s*(=\s*[-\d.]+|\?)?(?=\s|$)", rest)
        if len(named) < 2:
            server = self._servers.get(named[0][0]) if named else None
            return (server or servers[0]).receive(line)
        return self._several(word, [(letter, value.replace(" ", "")) for letter, value in named])

    def _several(self, word: str, named: list[tuple[str, str]]) -> bytes:
        if not {letter for letter, _ in named} <= self.axes.keys():
            return f":N-{NO_AXIS}\r\n".encode()
        if word in ("W", "WHERE"):  # in its own order, whatever was asked
            named = [(letter, "") for letter in self.axes if (letter, "") in named]
        if word in ("M", "MOVE"):
            for letter, value in named:
                axis, place = self.axes[letter], value.lstrip("=")
                target_nm = round(float(place or "nan") * 1e6 / UNITS_PER_MM) if place else None
                if target_nm is None or axis.blocked:
                    return f":N-{MISSING if target_nm is None else FAILED}\r\n".encode()
                if not axis.min_nm <= target_nm <= axis.max_nm:
                    return f":N-{RANGE}\r\n".encode()
        answers = [
            self._servers[letter].receive(f"{word} {letter}{value}\r".encode())
            for letter, value in named
        ]
        if word in ("M", "MOVE", "R", "MOVREL"):
            return next((answer for answer in answers if answer != b":A\r\n"), answers[0])
        told = [answer.decode().strip().removeprefix(":A").strip() for answer in answers]
        return f":A {('' if word == 'RS' else ' ').join(told)}\r\n".encode()

    def _build(self) -> bytes:
        """What tigerasi reads to know its axes."""
        count = len(self.axes)
        fields = {"Motor Axes": list(self.axes), "Axis Types": ["x"] * count,
                  "Axis Addr": ["1"] * count, "Hex Addr": ["31"] * count,
                  "Axis Props": ["0"] * count}  # fmt: skip
        lines = ["STD_XY", *(f"{name}: {' '.join(values)}" for name, values in fields.items())]
        return ("\r".join(lines) + "\r\n").encode()


class _Motor:
    name = "USB-9.2p "

    def __init__(self, axis: SimulatedAxis) -> None:
        self._axis = axis

    def limits_um(self) -> tuple[float, float]:
        return self._axis.min_nm / 1000, self._axis.max_nm / 1000

    def position_um(self) -> float:
        return self._axis.position_nm() / 1000

    def moving(self) -> bool:
        return self._axis.moving

    def move_to(self, target_um: float) -> None:
        if self._axis.blocked:
            raise AsiRefusal(FAILED)
        if not self._axis.move_to(round(target_um * 1000)):
            raise AsiRefusal(RANGE)

    def halt(self) -> bool:
        return self._axis.halt()
