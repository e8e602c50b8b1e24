"""The options that all polled stages share, and their limits."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from firmware_bridge.errors import StageRefused

MOST = 10_000.0
SETTLE_MS = 30
TOLERANCE_UM = 1.0


@dataclass(frozen=True, slots=True)
class MotionOptions:
    """How a polled stage judges motion; um and ms."""

    settle_ms: float = SETTLE_MS  # from the first reading at rest until the axis counts as settled
    assumed_tolerance_um: float = TOLERANCE_UM  # how far off `assumed_um` of a move may be
    arrival_um: float = 0.5  # how near to its target a move must end
    still_um: float = 0.1  # smaller changes at rest are servo noise
    poll_ms: float = 50.0  # how often the controller is asked
    #: a person vouches that the controller counts from where the window means it
    referenced: bool = False
    legs: bool = True  # a long move goes in legs, each so long as the axis makes in 0.2 s

    def check(self, z_min_um: float, z_max_um: float) -> None:
        """StageRefused("CONFIG") for what is not a number, out of range, or no window."""
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(field.default, bool):
                if not isinstance(value, bool):
                    raise StageRefused("CONFIG", f"{field.name} = {value!r} must be true or false")
            elif not 0 <= value <= MOST:
                raise StageRefused("CONFIG", f"{field.name} = {value} must be 0 to {MOST:g}")
        if not -math.inf < z_min_um < z_max_um < math.inf:
            raise StageRefused("CONFIG", f"z_min_um = {z_min_um} must be below z_max_um {z_max_um}")
