"""Whether a controller still counts from where it did, judged from readings alone. Pure.

A controller that restarts counts from 0, or from what it last remembered, while the glass stays
where it was: its numbers then mean another place and a window guards nothing. Not every controller
says that it restarted, but the numbers do: at rest no command explains a change, and a hand on the
knob takes its time. A hand is believed, up to what a hand can do; what it cannot do is a doubt.
"""

from __future__ import annotations

import math

from firmware_bridge.stages.rest_detector import Reading

HAND_UM = 8.0  # what a flick at the fine knob does between two readings, however close they are
HAND_UM_S = 400.0  # two turns of a fine knob (200 um each) a second
HAND_S = 0.5  # for longer than this without a reading nothing more is allowed
STRAY_UM = 50.0  # a controller's own dip or overshoot beside the way of a move
TURNING_NS = 1_000_000_000  # a hand seen this long ago may still be turning


class Origin:
    """Feed it every reading that was believed; ask it about each before that."""

    def __init__(self, still_um: float, step_um: float, poll_s: float = 0.05) -> None:
        """`still_um`: smaller changes are servo noise; `step_um`: nearer to 0 than this is 0;
        `poll_s`: between two readings, where nothing holds the host up."""
        self._still_um, self._step_um = still_um, step_um
        self._most_s = min(max(2 * poll_s, 0.1), HAND_S)
        self._last = Reading(math.nan, False)
        self._last_ns = self._turned_ns = 0
        self._turned_um = 0.0  # by a hand, when it was last seen
        self._start_um: float | None = None  # where the move under way began

    def begin(self) -> None:
        """A move is about to be sent."""
        self._start_um = self._last.z_um

    def note(self, reading: Reading, now_ns: int, target_um: float | None) -> None:
        """Take in a reading that is believed; `target_um` None = no move is under way."""
        travel_um = reading.z_um - self._last.z_um
        if target_um is None and abs(travel_um) > self._still_um:
            self._turned_um, self._turned_ns = travel_um, now_ns
        self._last, self._last_ns = reading, now_ns

    def lost(self, reading: Reading, now_ns: int, target_um: float | None) -> str:
        """Why the controller cannot count from where it did, "" = it can."""
        last_um, travel_um = self._last.z_um, reading.z_um - self._last.z_um
        if math.isnan(last_um) or abs(travel_um) <= self._still_um or reading.moving:
            return ""
        jump = f"the position jumped from {last_um:.3f} to {reading.z_um:.3f} um"
        lost = "the controller may have restarted and counts from elsewhere: find the origin again"
        if abs(reading.z_um) <= self._step_um and not self._may_be_zero(
            now_ns, travel_um, target_um
        ):
            return f"{jump}, exactly 0: {lost}"
        if target_um is not None or self._last.moving:
            return ""
        gone_s = min((now_ns - self._last_ns) / 1e9, self._most_s)
        if abs(travel_um) > HAND_UM + HAND_UM_S * gone_s:
            return f"{jump} at rest, too fast for a hand: {lost}"
        return ""

    def strayed(self, reading: Reading, target_um: float | None) -> str:
        """Why it cannot be on its way to `target_um`, "" = it can."""
        last_um = self._last.z_um
        if target_um is None or math.isnan(last_um):
            return ""
        low_um, high_um = min(last_um, target_um), max(last_um, target_um)
        if low_um - STRAY_UM <= reading.z_um <= high_um + STRAY_UM:
            return ""
        return f"sent from {last_um:.3f} to {target_um:.3f} um it is at {reading.z_um:.3f} um"

    def _may_be_zero(self, now_ns: int, travel_um: float, target_um: float | None) -> bool:
        """True when resting at 0 is where a move, or a hand that was seen turning, leads."""
        if target_um is not None:
            ends = (target_um, self._start_um if self._start_um is not None else math.nan)
            return any(abs(end) <= STRAY_UM / 10 for end in ends)
        turning = now_ns - self._turned_ns <= TURNING_NS and self._turned_um * travel_um > 0
        return self._last.moving or (
            turning and abs(travel_um) <= 2 * abs(self._turned_um) + self._still_um
        )
