"""The firmware's axis alone (motion.c), driven tick by tick from Python."""

from __future__ import annotations

import ctypes
from dataclasses import astuple, dataclass
from pathlib import Path

from tests.support.virtual_board import build_virtual

AT_REST, MOVING, BRAKING, SETTLING = range(4)
NO_EVENT, TURNED, ARRIVED, SETTLED = range(4)


@dataclass(frozen=True)
class Limits:
    """struct af_axis_limits: nm, nm/s, nm/s2."""

    hard_min_nm: int = 0
    hard_max_nm: int = 10_000_000
    nm_per_step: int = 50
    speed_nm_s: int = 2_000_000
    accel_nm_s2: int = 20_000_000


@dataclass(frozen=True)
class Settings:
    """struct af_axis_settings: nm, nm/s, ms."""

    z_min_nm: int = 0
    z_max_nm: int = 10_000_000
    backlash_nm: int = 0
    speed_nm_s: int = 2_000_000
    settle_ms: int = 0


class _Limits(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in Limits.__dataclass_fields__]


class _Settings(ctypes.Structure):
    _fields_ = [(name, ctypes.c_int32) for name in Settings.__dataclass_fields__]


class _Motion(ctypes.Structure):
    _fields_ = [
        ("limits", _Limits), ("settings", _Settings), ("phase", ctypes.c_int),
        ("position_q8", ctypes.c_int64), ("velocity_q8", ctypes.c_int32),
        ("accel_q8", ctypes.c_int32), ("speed_q8", ctypes.c_int32), ("goal_nm", ctypes.c_int32),
        ("target_nm", ctypes.c_int32), ("approach_q8", ctypes.c_int64),
        ("settle_ticks", ctypes.c_int32),
    ]  # fmt: skip


class MotionCore:
    """One axis; the methods are af_motion_*."""

    def __init__(self, limits: Limits, start_nm: int, library: Path | None = None) -> None:
        core = self._core = ctypes.CDLL(str(library or build_virtual()))
        for name in ("configure", "moves", "allows", "descends", "ascends"):
            getattr(core, f"af_motion_{name}").restype = ctypes.c_bool
        other = (77,) * len(_Motion._fields_[2:])  # nothing may be left of what was there before
        self.state = _Motion(_Limits(), _Settings(*5 * [77]), *other)
        self._at = ctypes.byref(self.state)
        core.af_motion_init(self._at, ctypes.byref(_Limits(*astuple(limits))), start_nm)

    def configure(self, settings: Settings) -> bool:
        wanted = _Settings(*astuple(settings))
        return bool(self._core.af_motion_configure(self._at, ctypes.byref(wanted)))

    def start(self, target_nm: int) -> None:
        self._core.af_motion_start(self._at, target_nm)

    def brake(self) -> None:
        self._core.af_motion_brake(self._at)

    def halt(self) -> None:
        self._core.af_motion_halt(self._at)

    def tick(self) -> int:
        return int(self._core.af_motion_tick(self._at))

    def moves(self) -> bool:
        return bool(self._core.af_motion_moves(self._at))

    def allows(self, target_nm: int) -> bool:
        return bool(self._core.af_motion_allows(self._at, ctypes.c_int64(target_nm)))

    def descends(self, target_nm: int) -> bool:
        return bool(self._core.af_motion_descends(self._at, ctypes.c_int64(target_nm)))

    def ascends(self, target_nm: int) -> bool:
        return bool(self._core.af_motion_ascends(self._at, ctypes.c_int64(target_nm)))

    def round_nm(self, position_nm: int) -> int:
        return int(self._core.af_motion_round_nm(self._at, ctypes.c_int64(position_nm)))

    def between_nm(self, since_us: int) -> int:
        return int(self._core.af_motion_between_nm(self._at, since_us))

    @property
    def settings(self) -> Settings:
        """Those in force."""
        return Settings(*(getattr(self.state.settings, name) for name, _ in _Settings._fields_))

    @property
    def position_nm(self) -> int:
        return int(self._core.af_motion_position_nm(self._at))
