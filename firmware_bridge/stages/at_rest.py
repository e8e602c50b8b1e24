"""A stage that rests at 0 for ever: asks the controller what it would do, and moves nothing."""

from __future__ import annotations

from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import Stage, StageStatus, ZAt


class StageAtRest(Stage):
    """Its position is known exactly and every move is refused."""

    z_min_um = 0.0
    z_max_um = 0.0
    resolution_um = 0.0

    def status(self) -> StageStatus:
        """At rest since before anybody looked."""
        return StageStatus(z_um=0.0, moving=False, settled_ns=0, latched=None, time_ns=0)

    def z_at(self, time_ns: int) -> ZAt:
        """Always 0."""
        return ZAt(0.0, 0.0)

    def move_to(self, target_um: float, assumed_um: float) -> int:
        """StageRefused: there is nothing to move."""
        raise StageRefused("no-stage", "there is no stage here")

    def wait(self, timeout_s: float) -> StageStatus:
        """At rest."""
        return self.status()

    def stop(self) -> None:
        """Nothing moves."""

    def clear(self) -> None:
        """Nothing is latched."""

    def close(self) -> None:
        """Nothing is open."""
