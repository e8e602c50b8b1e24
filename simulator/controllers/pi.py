"""A PI controller with closed-loop axes that speaks GCS 2.0, from PI's GCS manual."""

from __future__ import annotations

from simulator.controllers.axis import SimulatedAxis
from simulator.controllers.lines import LineController

OK, UNKNOWN, SERVO_OFF, LIMITS, STOPPED, NO_AXIS, SYNTAX = 0, 2, 5, 7, 10, 15, 1
_FIXED = {
    "*IDN?": "(c)2026 Physik Instrumente (PI) GmbH & Co. KG, E-709.CRG, 0100000, 1.0",
    "CSV?": "2.0",
    "VER?": "FW: 1.0",
}


class SimulatedPi(LineController):
    """`axes`: names in the order of the mask; the last one is `axis`, the others do nothing, or
    are the `more` axes, in this order. `unit` is what PUN? says; the numbers on the wire are in it.
    """

    def __init__(
        self,
        axis: SimulatedAxis,
        axes: tuple[str, ...] = ("1",),
        unit: str = "UM",
        more: tuple[SimulatedAxis, ...] = (),
    ) -> None:
        super().__init__(b"\n")
        self.axis, self._axes, self._unit = axis, axes, unit
        self._moves = dict(zip(axes, (*more, axis), strict=True)) if more else {axes[-1]: axis}
        self._nm_per_unit = {"UM": 1000, "MM": 1_000_000}.get(unit, 1000)
        self.servo = self.referenced = True
        self.error = OK

    def restart(self) -> None:
        """Servo off, reference forgotten, and it counts from 0."""
        for axis in self._moves.values():
            axis.forget()
        self.servo = self.referenced = False
        self.error = OK

    def takes(self, byte: bytes) -> bool:
        return byte in b"\x05\x07\x08\x18"

    def single(self, byte: bytes) -> bytes | None:
        if byte == b"\x05":
            moving = (1 << self._axes.index(n) for n, axis in self._moves.items() if axis.moving)
            return b"%X\n" % sum(moving)
        if byte == b"\x07":
            return b"\xb1\n"
        if byte == b"\x18":
            self._halt()
        return b""

    def _halt(self) -> None:
        for axis in self._moves.values():
            axis.halt()
        self.error = STOPPED

    def answer(self, text: str) -> bytes:
        self.referenced |= self.axis.has_homed()
        words = text.split()
        command, arguments = words[0].upper(), words[1:]
        if command in _FIXED:
            return f"{_FIXED[command]}\n".encode()
        if command == "ERR?":
            error, self.error = self.error, OK
            return b"%d\n" % error
        if command == "SAI?":
            return (
                "".join(f"{a} \n" for a in self._axes[:-1]).encode()
                + f"{self._axes[-1]}\n".encode()
            )
        if command in ("STP", "HLT"):
            self._halt()
            return b""
        if command.endswith("?"):
            return self._query(command, arguments)
        if command == "FRF":
            self._find_reference(arguments)
        else:
            self._command(command, arguments)
        return b""

    def _find_reference(self, arguments: list[str]) -> None:
        """At the lower end; nothing counts before it is found."""
        if arguments != [self._axes[-1]]:
            self.error = NO_AXIS
        elif not self.servo or self.axis.blocked:
            self.error = SERVO_OFF
        else:
            self.referenced = False
            self.axis.home(self.axis.min_nm)

    def _query(self, command: str, arguments: list[str]) -> bytes:
        if command not in self._values(self.axis):
            self.error = UNKNOWN
            return b""
        names = arguments or list(self._axes)
        if not set(names) <= set(self._axes):
            self.error = NO_AXIS
            return b""
        lines = [f"{n}={self._values(self._moves.get(n, self.axis))[command]}" for n in names]
        return (" \n".join(lines) + "\n").encode("latin-1")

    def _values(self, axis: SimulatedAxis) -> dict[str, str]:
        return {
            "POS?": f"{axis.position_nm() / self._nm_per_unit:.7f}",
            "MOV?": f"{axis.target_nm / self._nm_per_unit:.7f}",
            "TMN?": f"{axis.min_nm / self._nm_per_unit:.7f}",
            "TMX?": f"{axis.max_nm / self._nm_per_unit:.7f}",
            "PUN?": self._unit,
            "SVO?": str(int(self.servo)),
            "ONT?": str(int(self.servo and not axis.moving)),
            "FRF?": str(int(self.referenced)),
        }

    def _command(self, command: str, arguments: list[str]) -> None:
        if command not in ("MOV", "SVO"):
            self.error = UNKNOWN
            return
        try:
            name, value = arguments[0], float(arguments[1])
        except (IndexError, ValueError):
            self.error = SYNTAX
            return
        axis = self._moves.get(name)
        if axis is None:
            self.error = NO_AXIS
        elif command == "SVO":
            self.servo = value != 0
        elif not self.servo or not self.referenced or axis.blocked:
            self.error = SERVO_OFF
        elif not axis.move_to(round(value * self._nm_per_unit)):
            self.error = LIMITS
