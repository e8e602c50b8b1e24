"""Play of the focus drive: a motor that turns and a glass that does not, after a reversal.

A nut with play loses motion until it is pushed again: as much as the play, and never more. Where
the glass was last seen to follow, the nut was pushed; from there back, motion may be lost.
"""

from __future__ import annotations

import math

#: no focus drive has more; what calibration looks for (edge.appliance.calibrate)
MOST_PLAY_UM = 12.0


class Play:
    """Where moves may be lost. All in the stage's z, um."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Nothing was seen to follow yet: any move may be lost, but not more than the play."""
        self._low_um, self._high_um = -math.inf, math.inf
        self._least_um, self._most_um = math.inf, -math.inf  # where the motor was, unanswered

    @property
    def lost_um(self) -> float:
        """How far the motor went since the glass followed; the play is at least this."""
        return max(0.0, self._most_um - self._least_um)

    def may_lose_um(self, from_um: float, to_um: float) -> float:
        """How much of a move may not reach the glass."""
        low, high = sorted((from_um, to_um))
        inside = min(high, self._high_um) - max(low, self._low_um)
        return min(max(0.0, inside), MOST_PLAY_UM)

    def followed(self, from_um: float, to_um: float) -> None:
        """The glass followed: at the end of this move the nut is pushed."""
        self.forget()
        if to_um > from_um:
            self._low_um, self._high_um = to_um - MOST_PLAY_UM, to_um
        else:
            self._low_um, self._high_um = to_um, to_um + MOST_PLAY_UM

    def lost(self, from_um: float, to_um: float) -> None:
        """The glass did not follow: the nut is somewhere within the play."""
        low, high = sorted((from_um, to_um))
        self._least_um, self._most_um = min(self._least_um, low), max(self._most_um, high)
        self._low_um = max(self._low_um, self._most_um - MOST_PLAY_UM)
        self._high_um = min(self._high_um, self._least_um + MOST_PLAY_UM)
