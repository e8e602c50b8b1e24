"""The last seconds of STATUS: where the axis was at a moment of the firmware's clock."""

from __future__ import annotations

from bisect import bisect_right

from firmware_bridge.codes import STATUS_PERIOD_MS
from firmware_bridge.messages import Flag, Status

KEEP = 512  # at one per 20 ms: about 10 s


def position_nm(status: Status) -> int:
    """Measured where there is an encoder, else commanded."""
    return status.encoder_nm if status.flags & Flag.ENCODER else status.commanded_nm


class StatusHistory:
    """A ring of STATUS in firmware time. Not thread-safe: the client locks."""

    def __init__(self) -> None:
        self._times: list[int] = []
        self._entries: list[Status] = []

    def append(self, status: Status) -> None:
        """Keep `status`; an older one than the newest is ignored."""
        if self._times and status.time_us <= self._times[-1]:
            if status.time_us == self._times[-1]:  # two within one tick: the second knows more
                self._entries[-1] = status
            return
        self._times.append(status.time_us)
        self._entries.append(status)
        if len(self._times) > 2 * KEEP:  # drop in bulk, not one by one
            del self._times[:KEEP], self._entries[:KEEP]

    @property
    def newest(self) -> Status | None:
        return self._entries[-1] if self._entries else None

    def covers(self, firmware_us: float) -> bool:
        """True between the oldest and the newest STATUS."""
        return bool(self._times) and self._times[0] <= firmware_us <= self._times[-1]

    def no_earlier(self, firmware_us: float, time_width_us: float) -> float:
        """`firmware_us`, or the time of the oldest STATUS where that may be the same moment: a time
        that went to the host's clock and came back is off by as much as the clocks are."""
        if self._times and 0 < self._times[0] - firmware_us <= time_width_us:
            return self._times[0]
        return firmware_us

    def at(self, firmware_us: float, time_width_us: float) -> tuple[float, float]:
        """(position, half-width) in nm, by a straight line between the neighbours.

        The half-width adds the clock's (`time_width_us` at the local speed) and the bend that a
        straight line misses: for a constant acceleration that is at most dv * dt / 4, with dv the
        change of speed against the neighbouring stretch. Between two reports of rest at one place
        there is no bend: no move can begin without a report of its own. Needs `covers`.
        """
        right = min(bisect_right(self._times, firmware_us), len(self._times) - 1)
        left = max(right - 1, 0)
        start_us, end_us = self._times[left], self._times[right]
        start_nm = position_nm(self._entries[left])
        speed = self._speed(left)
        if self._rests(left, right):
            return start_nm + speed * (firmware_us - start_us), abs(speed) * time_width_us
        # Before the oldest stretch the axis may have been at rest: that bends the line most.
        near = [self._speed(left - 1) if left > 0 else 0.0]
        if left + 2 < len(self._times):
            near.append(self._speed(left + 1))
        bend = max(abs(speed - other) for other in near) * (end_us - start_us) / 4
        fastest = max(abs(value) for value in (speed, *near))
        position = start_nm + speed * (firmware_us - start_us)
        return position, bend + fastest * time_width_us

    def _rests(self, left: int, right: int) -> bool:
        """Whether the axis stood still from one entry to the next: at rest at the first, and at
        the second in the same place, still at rest or about to begin a move.

        Every move begins with a STATUS. Had that one been lost, the next one while moving would
        come a period after it, so the two would be farther apart than a period.
        """
        a, b = self._entries[left], self._entries[right]
        if a.flags & Flag.MOVING or a.commanded_nm != b.commanded_nm:
            return False
        if not b.flags & Flag.MOVING:
            return a.last_move_id == b.last_move_id
        begins = b.last_move_id == a.last_move_id + 1
        return begins and b.time_us - a.time_us <= 1000 * (STATUS_PERIOD_MS + 1)

    def _speed(self, left: int) -> float:
        """nm per us between entry `left` and the next."""
        right = min(left + 1, len(self._times) - 1)
        time_us = self._times[right] - self._times[left]
        if time_us == 0:
            return 0.0
        travel_nm = position_nm(self._entries[right]) - position_nm(self._entries[left])
        return travel_nm / time_us
