"""The axis in C and its model, told the same and compared at every tick."""

from __future__ import annotations

from dataclasses import replace

from tests.support.motion_core import Limits, MotionCore
from tests.support.motion_model import MotionModel, nearest

USUAL = Limits()
TOP, BOTTOM = 2**31 - 1, -(2**31)
ODD_STEP = Limits(-1_000_000, 1_000_000, 37, 300_000, 1_000_000)
HIGH = Limits(TOP - 4_000_000, TOP - 100, 50, 2_000_000, 20_000_000)
LOW = Limits(BOTTOM + 100, BOTTOM + 4_000_000, 64, 2_000_000, 20_000_000)
WIDE = Limits(BOTTOM, TOP, 50, 2_000_000, 20_000_000)
FAST = Limits(-2_000_000_000, 2_000_000_000, 1_000, 2_000_000_000, 2_000_000_000)
SLOW = Limits(-1_000, 1_000, 1, 40, 3_000)  # an acceleration that is rounded up to the smallest
AXES = (USUAL, ODD_STEP, HIGH, LOW, FAST, SLOW)


class Twins:
    """Core and model side by side; every answer of both is compared."""

    def __init__(self, limits: Limits, start_nm: int, **settings: int) -> None:
        self.limits = limits
        self.core, self.model = MotionCore(limits, start_nm), MotionModel(limits, start_nm)
        self.same_settings()
        self.configure(z_min_nm=limits.hard_min_nm, z_max_nm=limits.hard_max_nm,
                       speed_nm_s=limits.speed_nm_s, **settings)  # fmt: skip

    def configure(self, **changes: int) -> bool:
        wanted = replace(self.model.settings, **changes)
        taken = self.core.configure(wanted)
        assert taken == self.model.configure(wanted), wanted
        self.same_settings()
        return taken

    def same_settings(self) -> None:
        core, model = self.core, self.model
        assert core.settings == model.settings
        assert core.state.speed_q8 == model.settings.speed_nm_s * 256 // 1000
        assert core.state.accel_q8 == model.accel
        self.same()

    def same(self) -> None:
        state, model = self.core.state, self.model
        assert (
            state.position_q8, state.velocity_q8, state.approach_q8, state.phase, state.goal_nm,
            state.target_nm, state.settle_ticks, self.core.position_nm, self.core.moves(),
        ) == (
            model.place, model.velocity, model.approach, model.phase, model.goal_nm,
            model.target_nm, model.settle, model.position_nm, model.moves(),
        )  # fmt: skip

    def asked(self, target_nm: int) -> bool:
        """The questions about a target; True when it may be moved to."""
        core, model = self.core, self.model
        assert core.allows(target_nm) == model.allows(target_nm), target_nm
        assert core.descends(target_nm) == model.descends(target_nm), target_nm
        assert core.ascends(target_nm) == model.ascends(target_nm), target_nm
        return model.allows(target_nm)

    def start(self, target_nm: int) -> bool:
        rounded = nearest(target_nm, self.limits.nm_per_step)
        assert self.core.round_nm(target_nm) == rounded
        if not (self.asked(target_nm) and self.asked(rounded)):
            return False
        self.core.start(rounded)
        self.model.start(rounded)
        self.same()
        return True

    def ticks(self, count: int) -> None:
        for _ in range(count):
            event = self.core.tick()
            assert event == self.model.tick()
            self.same()
            if self.model.moves():
                for since_us in (0, 333, 1000):
                    there = self.core.between_nm(since_us)
                    assert there == self.model.between_nm(since_us)

    def rest(self, most: int = 200_000) -> None:
        """To the end, and a little longer."""
        while self.model.phase and most:
            self.ticks(1)
            most -= 1
        assert most, "it never comes to rest"
        self.ticks(3)

    def brake(self) -> None:
        self.core.brake()
        self.model.brake()
        self.same()

    def halt(self) -> None:
        self.core.halt()
        self.model.halt()
        self.same()
