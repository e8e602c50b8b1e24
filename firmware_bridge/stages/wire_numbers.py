"""Numbers of a stage in um as the binary protocol has them: whole nm."""

from __future__ import annotations

import math

from firmware_bridge.errors import StageRefused

_NM_MAX = 2**31 - 1


def nm(value_um: float, name: str) -> int:
    """um -> whole nm; StageRefused for NaN, infinities and what does not fit the wire."""
    if not (math.isfinite(value_um) and abs(value_um) <= _NM_MAX / 1e3):
        raise StageRefused("NOT_FINITE", f"{name} = {value_um}")
    return round(value_um * 1e3)


def size_nm(value_um: float, name: str) -> int:
    """As `nm`, for what cannot be negative."""
    size = nm(value_um, name)
    if size < 0:
        raise StageRefused("CONFIG", f"{name} = {value_um} is negative")
    return size


def speed_nm_s(speed_um_s: float) -> int:
    """As `size_nm`; on the wire 0 says "as fast as it goes", so nothing may round to it."""
    speed = size_nm(speed_um_s, "speed_um_s")
    if speed == 0:
        raise StageRefused("CONFIG", f"speed_um_s = {speed_um_s} must be 0.001 or more")
    return speed
