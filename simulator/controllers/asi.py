"""An ASI MS-2000 with soft limits; the wire is `firmware_bridge.asi_server`."""

from __future__ import annotations

import re

from firmware_bridge.asi_server import FAILED, RANGE, UNITS_PER_MM, AsiRefusal, AsiServer
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
    """An MS-2000 with several axes by their letters, one command to one axis at a time: `/` is busy
    while any moves, a halt stops all."""

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
        named = re.match(r"\S+\s+([A-Z])", text)
        server = self._servers.get(named[1]) if named else None
        return (server or servers[0]).receive(line)


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
