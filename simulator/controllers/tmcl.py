"""A Trinamic module, from the TMCL reference manual: nine bytes in, nine out."""

from __future__ import annotations

from simulator.controllers.axis import SimulatedAxis

OK, BAD_SUM, BAD_COMMAND, BAD_TYPE, BAD_VALUE, NOT_NOW = 100, 1, 2, 3, 4, 6
_ROR, _ROL, _MST, _MVP, _SAP, _GAP, _VERSION = 1, 2, 3, 4, 5, 6, 136
HOST = 2


class SimulatedTmcl:
    """`nm_per_step` of a microstep and their number per full step as a power of two; `more`: motors
    1, 2, ... beside motor 0."""

    def __init__(
        self,
        axis: SimulatedAxis,
        nm_per_step: int = 50,
        microsteps: int = 4,
        module: int = 1,
        more: tuple[SimulatedAxis, ...] = (),
    ) -> None:
        self.axis = axis
        self._axes = (axis, *more)
        self._nm, self._module = nm_per_step, module
        self._bytes = bytearray()
        self._targets = [each.target_nm // nm_per_step for each in self._axes]
        self._parameters = {140: microsteps, 4: 1000, 5: 1000, 6: 128, 7: 8}

    def restart(self) -> None:
        """The module counts from 0 at power-up."""
        for axis in self._axes:
            axis.forget()
        self._targets = [0] * len(self._axes)
        self._bytes.clear()

    def due(self) -> bytes:
        return b""

    def receive(self, data: bytes) -> bytes:
        """A module takes any nine bytes for a request: what a damaged line puts out of step stays
        so until the line was silent. Here a call is what came without a pause."""
        self._bytes += data
        out = b""
        while len(self._bytes) >= 9:
            request, self._bytes = bytes(self._bytes[:9]), self._bytes[9:]
            out += self._reply(request)
        if len(data) < 9:
            return out
        self._bytes.clear()
        return out

    def _reply(self, request: bytes) -> bytes:
        module, command, kind, motor = request[:4]
        if sum(request[:8]) & 0xFF != request[8]:
            status, answer = BAD_SUM, 0
        elif module != self._module:
            return b""  # meant for another module on the bus
        else:
            value = int.from_bytes(request[4:8], "big", signed=True)
            status, answer = self._do(command, kind, motor, value)
        body = bytes([HOST, self._module, status, command]) + answer.to_bytes(4, "big", signed=True)
        return body + bytes([sum(body) & 0xFF])

    def _do(self, command: int, kind: int, motor: int, value: int) -> tuple[int, int]:
        if command == _VERSION and kind == 1:
            return OK, (1140 << 16) | 0x0112
        if command in (_MST, _MVP, _GAP, _SAP, _ROR, _ROL) and motor >= len(self._axes):
            return BAD_VALUE, 0
        if command == _MST:
            self._axes[motor].halt()
            return OK, 0
        if command == _MVP:
            return self._move(motor, kind, value)
        if command == _GAP:
            return self._get(motor, kind)
        return BAD_COMMAND, 0

    def _move(self, motor: int, kind: int, value: int) -> tuple[int, int]:
        axis = self._axes[motor]
        if kind not in (0, 1):
            return BAD_TYPE, 0
        if axis.blocked:
            return NOT_NOW, 0
        target = value if kind == 0 else self._targets[motor] + value
        if not axis.move_to(target * self._nm):
            return BAD_VALUE, 0
        self._targets[motor] = target
        return OK, target

    def _get(self, motor: int, kind: int) -> tuple[int, int]:
        axis, target = self._axes[motor], self._targets[motor]
        position = axis.position_nm() // self._nm
        values = {
            0: target,
            1: position,
            3: (1000 if target > position else -1000) if axis.moving else 0,
            8: int(position == target),
            **self._parameters,
        }
        return (OK, values[kind]) if kind in values else (BAD_TYPE, 0)
