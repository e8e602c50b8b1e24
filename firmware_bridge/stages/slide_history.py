"""The last seconds of XY_STATUS: where the slide was at a moment of the firmware's clock."""

from __future__ import annotations

from firmware_bridge.history import StatusHistory
from firmware_bridge.messages import Flag, Status
from firmware_bridge.messages_xy import XyStatus


class SlideHistory:
    """Each axis as a Z axis is kept. Not thread-safe: the client locks."""

    def __init__(self) -> None:
        self._x, self._y = StatusHistory(), StatusHistory()
        self.newest: XyStatus | None = None

    def append(self, status: XyStatus) -> None:
        """Keep it; an older one than the newest is ignored."""
        if self.newest is not None and status.time_us < self.newest.time_us:
            return
        self.newest = status
        self._x.append(_as_axis(status, status.x_nm))
        self._y.append(_as_axis(status, status.y_nm))

    def at(
        self, firmware_us: float, width_us: float, awaited_id: int
    ) -> tuple[tuple[float, float], float] | None:
        """((x, y), half-width) in nm; None where it is not known, or not yet.

        At rest it is known on beyond the newest: nobody but this session starts a move, and
        `awaited_id` is the newest that it may have started.
        """
        newest = self.newest
        if newest is None:
            return None
        rests = not newest.flags & Flag.MOVING and newest.last_move_id >= awaited_id
        if firmware_us > newest.time_us and rests:
            return (newest.x_nm, newest.y_nm), 0.0
        firmware_us = self._x.no_earlier(firmware_us, width_us)
        if not self._x.covers(firmware_us):
            return None
        x_nm, x_half_nm = self._x.at(firmware_us, width_us)
        y_nm, y_half_nm = self._y.at(firmware_us, width_us)
        return (x_nm, y_nm), max(x_half_nm, y_half_nm)


def _as_axis(status: XyStatus, place_nm: int) -> Status:
    return Status(
        time_us=status.time_us, settled_us=status.settled_us, commanded_nm=place_nm,
        encoder_nm=place_nm, session=status.session, boot_id=0,
        last_move_id=status.last_move_id, crc_errors=0, latch_count=status.latch_count,
        flags=status.flags, latch=0, last_result=status.last_result,
    )  # fmt: skip
