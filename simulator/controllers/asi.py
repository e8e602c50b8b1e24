"""An ASI MS-2000 focus axis with soft limits; the wire is `firmware_bridge.asi_server`."""

from __future__ import annotations

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
