"""The messages of the axes under the slide, X and Y, and of the pulses for the camera.

A table of its own beside the Z axis' (firmware_bridge.messages), with a hash of its own that
XY_HELLO carries: who knows Z alone, host or firmware, speaks what it always spoke. X and Y are
moved together, in the session that HELLO opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from firmware_bridge.field_types import I32, U8, U16, U32, U64

#: Numbers both sides must agree on; part of the hash and of the C header.
XY_CONSTANTS = {
    "XY_STATUS_PERIOD_MS": 20,
    "TRIGGER_PERIOD_MS": 20,  # pulses come no closer, so that the line can tell of each
    "TRIGGER_WIDTH_US_MAX": 10_000,
}
XY_STATUS_PERIOD_MS = XY_CONSTANTS["XY_STATUS_PERIOD_MS"]
TRIGGER_PERIOD_MS = XY_CONSTANTS["TRIGGER_PERIOD_MS"]
TRIGGER_WIDTH_US_MAX = XY_CONSTANTS["TRIGGER_WIDTH_US_MAX"]


class XyReason(IntEnum):
    """Why something was refused, beside the words of `Reason`."""

    UNCONFIGURED = 32  # no XY_HELLO in this session
    Z_LATCHED = 33  # a latched Z holds the slide, too
    TRIGGER = 34  # the armed pulses are not all on the way, or closer than TRIGGER_PERIOD_MS


@dataclass(frozen=True, slots=True)
class XyHello:
    """Which table I speak, where the slide may go. Within the session that HELLO opened."""

    session: U32
    table_hash: U32
    x_min_nm: I32
    x_max_nm: I32
    y_min_nm: I32
    y_max_nm: I32
    speed_nm_s: U32  # 0 = the firmware's own
    settle_ms: U16


@dataclass(frozen=True, slots=True)
class XyMove:
    """Both axes at once, absolute and numbered on its own; pulses that were armed for this number
    come on its way."""

    session: U32
    move_id: U32  # grows by one within a session, starts at 1
    x_nm: I32
    y_nm: I32
    assumed_x_nm: I32
    assumed_y_nm: I32
    tolerance_nm: U32
    speed_nm_s: U32  # 0 = that of the session


@dataclass(frozen=True, slots=True)
class XyClear:
    """Leave the latched stop number `latch_count` of both axes."""

    session: U32
    latch_count: U16


@dataclass(frozen=True, slots=True)
class TriggerArm:
    """Pulses at X = start + n pitch, n = 0 to count - 1, on the way of a move that is to come."""

    session: U32
    move_id: U32
    start_nm: I32
    pitch_nm: I32  # has the sign of the way
    count: U32
    width_us: U16


@dataclass(frozen=True, slots=True)
class XyHelloAck:
    """Answer to XY_HELLO: `result` is a Reason; what is now in force."""

    result: U8
    nm_per_step: U16
    hard_x_min_nm: I32
    hard_x_max_nm: I32
    hard_y_min_nm: I32
    hard_y_max_nm: I32
    x_min_nm: I32
    x_max_nm: I32
    y_min_nm: I32
    y_max_nm: I32
    speed_nm_s: U32
    accel_um_s2: U32
    settle_ms: U16


@dataclass(frozen=True, slots=True)
class XyAccepted:
    """The move is under way (or was, when this answers a copy); rounded to whole steps."""

    move_id: U32
    x_nm: I32
    y_nm: I32


@dataclass(frozen=True, slots=True)
class XyRefused:
    """The move was refused for good. Neither axis moved."""

    move_id: U32
    reason: U8  # a Reason or an XyReason
    x_nm: I32
    y_nm: I32
    last_move_id: U32


@dataclass(frozen=True, slots=True)
class XyDone:
    """Both axes are at rest, not yet settled; `pulses`: how many the move has given."""

    move_id: U32
    x_nm: I32
    y_nm: I32
    time_us: U64
    pulses: U32
    result: U8


@dataclass(frozen=True, slots=True)
class XyStatus:
    """Streamed every XY_STATUS_PERIOD_MS after XY_HELLO, and at once on a change."""

    time_us: U64
    settled_us: U64  # when both came to rest and settled; 0 = have not moved since boot
    x_nm: I32
    y_nm: I32
    session: U32
    last_move_id: U32
    pulses: U32  # of the last move, so far
    latch_count: U16
    flags: U8
    latch_x: U8
    latch_y: U8
    last_result: U8


@dataclass(frozen=True, slots=True)
class XyCleared:
    """Answer to XY_CLEAR: the latches that remain."""

    latch_x: U8
    latch_y: U8
    latch_count: U16


@dataclass(frozen=True, slots=True)
class TriggerArmed:
    """Answer to TRIGGER_ARM: `reason` is OK where the pulses wait for their move."""

    move_id: U32
    reason: U8


@dataclass(frozen=True, slots=True)
class Triggered:
    """A pulse was given: its number from 0 on, and the step of X that it came with."""

    count: U32
    time_us: U64
    position_nm: I32


XyMessage = (
    XyHello | XyMove | XyClear | TriggerArm | XyHelloAck | XyAccepted | XyRefused | XyDone
    | XyStatus | XyCleared | TriggerArmed | Triggered
)  # fmt: skip

#: type code -> message; as that of the Z axis with 0x10 added, where there is one alike
XY_TABLE: dict[int, type[Any]] = {
    0x11: XyHello, 0x13: XyMove, 0x15: XyClear, 0x17: TriggerArm,
    0x91: XyHelloAck, 0x93: XyAccepted, 0x94: XyRefused, 0x95: XyDone, 0x96: XyStatus,
    0x98: XyCleared, 0x9A: TriggerArmed, 0x9B: Triggered,
}  # fmt: skip
XY_ENUMS: tuple[type[IntEnum], ...] = (XyReason,)
