"""A slide and an objective of plain numbers under the guard of XY."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edge.errors import MoveRefused
from edge.guard import Guard
from edge.state import RunState
from edge.wsi.regions import Box
from edge.wsi.xy_guard import XYGuard, XYLimits
from firmware_bridge.stage import StageStatus
from simulator.xy_stage import SimulatedXYStage
from tests.support.fake_microscope import LIMITS, MS, Clock, FakeStage

WINDOW = Box(-500.0, -500.0, 12_000.0, 12_000.0)
UP_UM, FOCUS_UM = 100.0, 20.0


class PatientZ(FakeStage):
    """Waits in the clock's time."""

    def wait(self, timeout_s: float) -> StageStatus:
        self.clock.now_ns += int((self.travel_ms + self.settle_ms) * MS) + 1
        return self.status()


class Bench:
    """Slide, Z and both guards on one clock; specimen is 0 to 10 mm each way."""

    def __init__(self, up: int | None = 1, z_um: float = FOCUS_UM, **z_more: float) -> None:
        self.clock = Clock()
        self.z = PatientZ(self.clock, z_um=z_um, **z_more)  # type: ignore[arg-type]
        self.xy = SimulatedXYStage(
            (-1e6, -1e6, 1e6, 1e6), clock=self.clock, sleep=self.sleep, at_um=(1000.0, 1000.0)
        )
        self.state = RunState()
        self.state.ready()
        self.z_guard = Guard(LIMITS, self.z, self.state, self.clock)
        limits = XYLimits(WINDOW, UP_UM * (up or 1), up, near_um=1500.0, max_smear_um=0.2)
        self.guard = XYGuard(
            limits,
            self.xy,
            self.z,
            lambda: self.state.may_move,
            self.z_guard.send_by_hand,
            lambda x, y: 0 <= x <= 10_000 and 0 <= y <= 10_000,
        )

    def sleep(self, seconds: float) -> None:
        self.clock.now_ns += round(seconds * 1e9)

    def send(self, x_um: float, y_um: float) -> None:
        self.guard.send(x_um, y_um)
        self.xy.wait(100.0)

    def refused(self, call: Callable[[], object]) -> str:
        """The reason; the slide did not move."""
        before = self.xy.moves
        with pytest.raises(MoveRefused) as refused:
            call()
        assert self.xy.moves == before
        assert self.guard.refused[refused.value.reason] > 0
        return refused.value.reason
