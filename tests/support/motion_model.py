"""What motion.h promises, written a second time in Python: whole numbers of any size, sums instead
of formulas. The firmware's motion must agree with it at every tick.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from functools import cache

from tests.support.motion_core import (
    ARRIVED,
    AT_REST,
    BRAKING,
    MOVING,
    NO_EVENT,
    SETTLED,
    SETTLING,
    TURNED,
    Limits,
    Settings,
)

Q8 = 256


@cache
def way_to_rest(speed: int, accel: int) -> int:
    """speed + (speed - accel) + ... while it is above none."""
    return sum(range(speed, 0, -accel))


def nearest(value: int, unit: int) -> int:
    """The nearest multiple; halves go up."""
    return (2 * value + unit) // (2 * unit) * unit if unit % 2 == 0 else (
        (value + unit // 2) // unit * unit
    )  # fmt: skip


@dataclass
class MotionModel:
    """One axis, in nm * 256 and ticks."""

    limits: Limits
    start_nm: int

    def __post_init__(self) -> None:
        self.accel = max(1, self.limits.accel_nm_s2 * Q8 // 1_000_000)
        self.settings = Settings(self.limits.hard_min_nm, self.limits.hard_max_nm, 0,
                                 self.limits.speed_nm_s, 0)  # fmt: skip
        self.phase, self.velocity, self.approach, self.settle = AT_REST, 0, 0, 0
        self.target_nm = self.goal_nm = nearest(self.start_nm, self.limits.nm_per_step)
        self.place = self.target_nm * Q8

    @property
    def up(self) -> int:
        """The way on which every move ends: +1 or -1."""
        return -1 if self.settings.backlash_nm < 0 else 1

    @property
    def position_nm(self) -> int:
        return nearest(self.place, self.limits.nm_per_step * Q8) // Q8

    def moves(self) -> bool:
        return self.phase in (MOVING, BRAKING)

    def configure(self, wanted: Settings) -> bool:
        hard = self.limits
        if not (
            hard.hard_min_nm <= wanted.z_min_nm < wanted.z_max_nm <= hard.hard_max_nm
            and wanted.settle_ms >= 0
            and 0 < wanted.speed_nm_s <= hard.speed_nm_s
            and not self.moves()
        ):
            return False
        before = self.up
        dip_nm = nearest(wanted.backlash_nm, hard.nm_per_step)
        self.settings = replace(wanted, backlash_nm=dip_nm)
        self.approach = 0 if self.up != before else min(self.approach, abs(dip_nm) * Q8)
        return True

    def rest(self) -> int:
        """Where it would stand if it braked from now on."""
        way = way_to_rest(max(0, abs(self.velocity) - self.accel), self.accel)
        return self.place + (way if self.velocity > 0 else -way)

    def dips(self, target_nm: int) -> bool:
        """Whether the way to the target turns: it would end from the wrong side, or too short."""
        dip = abs(self.settings.backlash_nm) * Q8
        ahead = (target_nm * Q8 - self.rest()) * self.up
        return dip > 0 and (ahead < 0 or self.approach + ahead < dip)

    def allows(self, target_nm: int) -> bool:
        turn_nm = target_nm - (self.settings.backlash_nm if self.dips(target_nm) else 0)
        low, high = self.settings.z_min_nm, self.settings.z_max_nm
        return low <= target_nm <= high and low <= turn_nm <= high

    def descends(self, target_nm: int) -> bool:
        return target_nm * Q8 < self.place or (self.up > 0 and self.dips(target_nm))

    def ascends(self, target_nm: int) -> bool:
        return target_nm * Q8 > self.place or (self.up < 0 and self.dips(target_nm))

    def start(self, target_nm: int) -> None:
        dip_nm = self.settings.backlash_nm if self.dips(target_nm) else 0
        self.goal_nm, self.target_nm, self.phase = target_nm - dip_nm, target_nm, MOVING

    def brake(self) -> None:
        if self.phase == MOVING:
            self.phase = BRAKING

    def halt(self) -> None:
        if self.moves():
            self.velocity, self.phase = 0, BRAKING

    def between_nm(self, since_us: int) -> int:
        way = abs(self.velocity) * since_us // 1000 * (1 if self.velocity >= 0 else -1)
        return nearest(self.place + way, Q8) // Q8

    def tick(self) -> int:
        if self.phase == AT_REST:
            return NO_EVENT
        if self.phase == SETTLING:
            if self.settle:
                self.settle -= 1
                return NO_EVENT
            self.phase = AT_REST
            return SETTLED
        self.velocity = self._slower() if self.phase == BRAKING else self._towards_goal()
        self.place += self.velocity
        along = self.velocity * self.up
        dip = abs(self.settings.backlash_nm) * Q8
        self.approach = 0 if along < 0 else min(dip, self.approach + along)
        return self._event()

    def _slower(self) -> int:
        sign = 1 if self.velocity > 0 else -1
        return sign * max(0, abs(self.velocity) - self.accel)

    def _towards_goal(self) -> int:
        """The fastest speed from which it can still stop at the goal."""
        way = self.goal_nm * Q8 - self.place
        sign = 1 if way >= 0 else -1
        speed, a = self.velocity * sign, self.accel
        if speed < 0:
            return sign * min(0, speed + a)
        limit = self.settings.speed_nm_s * Q8 // 1000
        slowest = max(0, speed - a)
        choices = range(slowest, max(slowest, min(speed + a, limit)) + 1)
        fit = bisect_right(choices, abs(way), key=lambda v: way_to_rest(v, a))
        return sign * choices[max(0, fit - 1)]

    def _event(self) -> int:
        if self.velocity:
            return NO_EVENT
        if self.phase == MOVING:
            if self.place != self.goal_nm * Q8:
                return NO_EVENT
            if self.goal_nm != self.target_nm:
                self.goal_nm = self.target_nm
                return TURNED
        self.target_nm = self.goal_nm = self.position_nm
        self.place = self.target_nm * Q8
        self.settle, self.phase = self.settings.settle_ms, SETTLING
        return ARRIVED
