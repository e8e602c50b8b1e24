"""The message table of the binary protocol's Z axis, and the codec made from it and from XY's.

The dataclasses below *are* the table: field order and widths give the payload layout (packed,
little-endian), `TABLE` gives the type codes. The same table writes the firmware's header
(`python -m firmware_bridge.c_header`) and its hash travels in the handshake, so that
two sides built from different tables refuse to move anything. The axes under the slide have a
table and a hash of their own (firmware_bridge.messages_xy): this one stays as old hosts know it.

Positions are nm (i32), positive = objective up. Times are the firmware's own clock, us since boot.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, fields
from enum import IntEnum, IntFlag
from typing import Any, get_type_hints

from firmware_bridge.codes import CONSTANTS, Flag, Latch, Reason, Result
from firmware_bridge.codes import PROTOCOL_VERSION as PROTOCOL_VERSION
from firmware_bridge.codes import SESSION_ALIVE_MS as SESSION_ALIVE_MS
from firmware_bridge.codes import STATUS_PERIOD_MS as STATUS_PERIOD_MS
from firmware_bridge.codes import WATCHDOG_MS as WATCHDOG_MS
from firmware_bridge.field_types import I32, STRUCT_CODE, U8, U16, U32, U64
from firmware_bridge.messages_xy import XY_CONSTANTS, XY_ENUMS, XY_TABLE, XyMessage


@dataclass(frozen=True, slots=True)
class Hello:
    """Open a session: who I am, which table I speak, where the axis may go."""

    session: U32
    protocol: U8
    table_hash: U32
    z_min_nm: I32
    z_max_nm: I32
    backlash_nm: I32  # > 0: moves end coming up by this much, dipping first; < 0: coming down
    speed_nm_s: U32  # 0 = the firmware's own
    settle_ms: U16


@dataclass(frozen=True, slots=True)
class Sync:
    """Keeps the session alive and asks for the firmware's time."""

    session: U32
    token: U32


@dataclass(frozen=True, slots=True)
class Move:
    """Absolute and numbered: a copy (same number) is answered again, never made twice."""

    session: U32
    move_id: U32  # grows by one within a session, starts at 1
    target_nm: I32
    assumed_nm: I32  # where the host believes the axis is
    tolerance_nm: U32


@dataclass(frozen=True, slots=True)
class Stop:
    """Decelerate now and latch. Obeyed whoever sends it."""

    session: U32


@dataclass(frozen=True, slots=True)
class Clear:
    """Leave the latched stop number `latch_count`; a late copy cannot clear a newer one."""

    session: U32
    latch_count: U16


@dataclass(frozen=True, slots=True)
class Bye:
    """End the session, so that the next host need not wait until it counts as dead."""

    session: U32


@dataclass(frozen=True, slots=True)
class HelloAck:
    """Answer to HELLO: `result` is a Reason; window, speed and times are those now in force."""

    result: U8
    protocol: U8
    table_hash: U32
    boot_id: U32
    device_id: U16
    nm_per_step: U16
    hard_min_nm: I32
    hard_max_nm: I32
    z_min_nm: I32
    z_max_nm: I32
    backlash_nm: I32
    speed_nm_s: U32
    settle_ms: U16
    time_us: U64


@dataclass(frozen=True, slots=True)
class SyncAck:
    """Answer to SYNC: firmware time at which it arrived."""

    token: U32
    time_us: U64


@dataclass(frozen=True, slots=True)
class Accepted:
    """The move is under way (or was, when this answers a copy)."""

    move_id: U32
    target_nm: I32  # rounded to whole steps


@dataclass(frozen=True, slots=True)
class Refused:
    """The move was refused for good: the same number stays refused. Nothing moved."""

    move_id: U32
    reason: U8
    position_nm: I32
    last_move_id: U32


@dataclass(frozen=True, slots=True)
class Done:
    """The move ended: the axis is at rest (not yet settled) unless `result` is SUPERSEDED."""

    move_id: U32
    position_nm: I32
    time_us: U64
    result: U8


@dataclass(frozen=True, slots=True)
class Status:
    """Streamed every STATUS_PERIOD_MS while a session is alive, and at once on a change."""

    time_us: U64
    settled_us: U64  # when the axis last came to rest and settled; 0 = has not moved since boot
    commanded_nm: I32
    encoder_nm: I32
    session: U32
    boot_id: U32
    last_move_id: U32
    crc_errors: U32  # damaged frames received since boot
    latch_count: U16  # latched stops since boot
    flags: U8
    latch: U8
    last_result: U8


@dataclass(frozen=True, slots=True)
class Stopping:
    """Answer to STOP: braking has begun, or the axis was at rest. DONE follows if it moved."""

    position_nm: I32
    time_us: U64


@dataclass(frozen=True, slots=True)
class Cleared:
    """Answer to CLEAR: the latch that remains (0 = none)."""

    latch: U8
    latch_count: U16


@dataclass(frozen=True, slots=True)
class ByeAck:
    """The session is over."""

    session: U32


@dataclass(frozen=True, slots=True)
class Nack:
    """A sound frame that cannot be served; `boot_id` tells a restart from a busy axis."""

    of_type: U8
    reason: U8
    boot_id: U32


@dataclass(frozen=True, slots=True)
class Exposure:
    """The camera's strobe went off: where the axis was when it went on and when it went off."""

    start_us: U64
    end_us: U64
    start_nm: I32
    end_nm: I32
    count: U32  # exposures since boot, so that a lost event is noticed


Message = (
    Hello | Sync | Move | Stop | Clear | Bye | HelloAck | SyncAck | Accepted | Refused | Done
    | Status | Stopping | Cleared | ByeAck | Nack | Exposure | XyMessage
)  # fmt: skip

#: type code -> message; below 0x80 host to firmware, above firmware to host
TABLE: dict[int, type[Any]] = {
    0x01: Hello, 0x02: Sync, 0x03: Move, 0x04: Stop, 0x05: Clear, 0x06: Bye,
    0x81: HelloAck, 0x82: SyncAck, 0x83: Accepted, 0x84: Refused, 0x85: Done, 0x86: Status,
    0x87: Stopping, 0x88: Cleared, 0x89: ByeAck, 0x8A: Nack, 0x8B: Exposure,
}  # fmt: skip
ENUMS: tuple[type[IntEnum] | type[IntFlag], ...] = (Reason, Latch, Result, Flag)


class MessageError(ValueError):
    """A whole frame whose type or payload length is not in the table."""


def layout(message: type[Any]) -> list[tuple[str, str]]:
    """(field name, wire type) in payload order."""
    hints = get_type_hints(message, include_extras=True)
    return [(field.name, hints[field.name].__metadata__[0]) for field in fields(message)]


def _as_text(
    constants: Mapping[str, int],
    enums: Iterable[type[IntEnum] | type[IntFlag]],
    table: Mapping[int, type[Any]],
) -> str:
    lines = [f"const {name} {value}" for name, value in constants.items()]
    for enum in enums:
        lines += [f"enum {enum.__name__}.{item.name} {int(item)}" for item in enum]
    for code, message in table.items():
        body = " ".join(f"{name}:{wire}" for name, wire in layout(message))
        lines.append(f"message {message.__name__} {code:#04x} {body}")
    return "\n".join(lines) + "\n"


def canonical_table() -> str:
    """The table as text: what both sides must have in common, nothing else."""
    return _as_text(CONSTANTS, ENUMS, TABLE)


def canonical_xy_table() -> str:
    """As `canonical_table`, of the axes under the slide."""
    return _as_text(XY_CONSTANTS, XY_ENUMS, XY_TABLE)


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little")


TABLE_HASH = _hash(canonical_table())
XY_TABLE_HASH = _hash(canonical_xy_table())
_EVERY = {**TABLE, **XY_TABLE}
CODES: dict[type[Any], int] = {message: code for code, message in _EVERY.items()}
_STRUCTS = {
    message: struct.Struct("<" + "".join(STRUCT_CODE[wire] for _, wire in layout(message)))
    for message in _EVERY.values()
}


def payload_length(message: type[Any]) -> int:
    """Bytes on the wire."""
    return _STRUCTS[message].size


def encode(message: Message) -> tuple[int, bytes]:
    """(type code, payload); struct.error when a value does not fit its field."""
    return CODES[type(message)], _STRUCTS[type(message)].pack(*astuple(message))


def decode(code: int, payload: bytes) -> Message:
    """The message; MessageError for an unknown type or a length that does not fit it."""
    message = _EVERY.get(code)
    if message is None:
        raise MessageError(f"unknown message type {code:#04x}")
    layout_struct = _STRUCTS[message]
    if len(payload) != layout_struct.size:
        raise MessageError(f"{message.__name__} has {layout_struct.size} bytes, not {len(payload)}")
    decoded: Message = message(*layout_struct.unpack(payload))
    return decoded
