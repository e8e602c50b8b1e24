"""Trinamic modules that speak TMCL (TMCL reference manual): 9 bytes each way with a checksum.

Microsteps per full step are read (parameter 140); what a full step is in um depends on screw and
gear and is demanded. A module counts from 0 at power-up and has no travel of its own to tell: the
window is the config's, and the zero is where somebody referenced it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

from firmware_bridge.errors import StageRefused
from firmware_bridge.stages.line_stage import LineStage
from firmware_bridge.stages.polled import Identity
from firmware_bridge.stages.rest_detector import Reading
from firmware_bridge.stages.step_rounding import nearest_step

_REQUEST = struct.Struct(">BBBBi")  # module, command, type, motor, value
_REPLY = struct.Struct(">BBBBi")  # host, module, status, command, value
LENGTH = _REQUEST.size + 1
OK = 100


class Command(IntEnum):
    """Those that this driver uses."""

    MST = 3  # stop the motor
    MVP = 4  # move to a position; type 0 = absolute
    GAP = 6  # get an axis parameter
    VERSION = 136


class Parameter(IntEnum):
    """Axis parameters for GAP."""

    POSITION = 1
    SPEED = 3
    MICROSTEPS = 140  # as a power of two


ERRORS = {
    1: ("COMMAND", "the checksum was wrong"),
    2: ("COMMAND", "the module does not know the command"),
    3: ("COMMAND", "the module does not know the type"),
    4: ("WINDOW", "the module does not take the value"),
    5: ("LATCHED", "the configuration memory is locked"),
    6: ("LATCHED", "the command is not available now"),
}


def request(module: int, command: int, kind: int, motor: int, value: int) -> bytes:
    """The nine bytes of a request, with their sum."""
    body = _REQUEST.pack(module, command, kind, motor, value)
    return body + bytes([sum(body) & 0xFF])


class TmclStage(LineStage):
    """One motor of one module."""

    def __init__(
        self,
        *,
        port: str,
        full_step_um: float,
        module: int = 1,
        motor: int = 0,
        baudrate: int = 9600,
        **motion: Any,
    ) -> None:
        """`full_step_um`: travel of one full step of the motor, from screw and gear."""
        if not 0 < full_step_um <= 1000:
            raise StageRefused("CONFIG", f"full_step_um = {full_step_um} must be above 0")
        super().__init__("TMCL", port, baudrate, **motion)
        self._module, self._motor, self._full_step_um = module, motor, full_step_um
        self._um_per_step = full_step_um
        self._begin()

    def _identify(self) -> Identity:
        version = self._ask(Command.VERSION, 1) & 0xFFFF_FFFF
        microsteps = self._ask(Command.GAP, Parameter.MICROSTEPS)
        if not 0 <= microsteps <= 8:
            raise StageRefused("CONFIG", f"microstep resolution {microsteps} is not 0..8")
        self._um_per_step = self._full_step_um / 2**microsteps
        name = f"TMCM-{version >> 16} {version >> 8 & 0xFF}.{version & 0xFF}"
        return Identity(name, self._um_per_step, None)

    def _read(self) -> Reading:
        moving = self._ask(Command.GAP, Parameter.SPEED) != 0
        position = self._ask(Command.GAP, Parameter.POSITION)
        return Reading(position * self._um_per_step, moving)

    def _go(self, target_um: float) -> None:
        steps = nearest_step(target_um, self._um_per_step, self.z_min_um, self.z_max_um)
        if not -(2**31) <= steps < 2**31:
            raise StageRefused("WINDOW", f"{target_um:.3f} um does not fit the module's counter")
        self._ask(Command.MVP, 0, steps)

    def _halt(self) -> None:
        self._ask(Command.MST, 0)

    def _halt_wire(self) -> bytes:
        return request(self._module, Command.MST, 0, self._motor, 0)

    def _ask(self, command: Command, kind: int, value: int = 0) -> int:
        def take(arrived: bytearray) -> int | None:
            while len(arrived) >= LENGTH:
                reply = bytes(arrived[:LENGTH])
                if sum(reply[:-1]) & 0xFF != reply[-1] or reply[1] != self._module:
                    del arrived[0]  # out of step: look for the next that adds up
                    continue
                del arrived[:LENGTH]
                _, _, status, number, answer = _REPLY.unpack(reply[:-1])
                if status == 1:
                    return None  # damaged on the way out: the request is sent again
                if number != command:
                    continue
                if status != OK:
                    reason, sentence = ERRORS.get(status, ("FAILED", "see the module's manual"))
                    raise StageRefused(reason, f"{command.name}: {sentence} (status {status})")
                return int(answer)
            return None

        return self._line.ask(request(self._module, command, kind, self._motor, value), take)
