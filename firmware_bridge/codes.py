"""The protocol's constants and code words; part of the message table and of its hash."""

from __future__ import annotations

from enum import IntEnum, IntFlag

from firmware_bridge.framing import MAX_PAYLOAD

#: Numbers both sides must agree on; part of the hash and of the C header.
CONSTANTS = {
    "PROTOCOL_VERSION": 1,
    "MAX_PAYLOAD": MAX_PAYLOAD,
    "STATUS_PERIOD_MS": 20,
    "WATCHDOG_MS": 190,  # + 100 ms to brake from top speed: at rest within 300 ms of silence
    "SESSION_ALIVE_MS": 1000,
}
PROTOCOL_VERSION = CONSTANTS["PROTOCOL_VERSION"]
STATUS_PERIOD_MS = CONSTANTS["STATUS_PERIOD_MS"]
WATCHDOG_MS = CONSTANTS["WATCHDOG_MS"]
SESSION_ALIVE_MS = CONSTANTS["SESSION_ALIVE_MS"]


class Reason(IntEnum):
    """Why something was refused."""

    OK = 0
    VERSION = 1  # another protocol version
    HASH = 2  # another message table
    NO_SESSION = 3  # no handshake since boot
    OTHER_SESSION = 4  # another host holds the axis
    WINDOW = 5  # target, or the dip past it that takes up backlash, is outside the window
    ASSUMED_DIFFERS = 6  # the axis is not where the host believes
    LATCHED = 7  # a latched stop waits for CLEAR
    STALE = 8  # older than the last move
    REUSED_ID = 9  # the number of the last move with other contents
    BUSY = 10  # not while the axis moves
    CONFIG = 11  # speed, settle time or backlash out of range
    MALFORMED = 12  # payload length does not fit the type
    UNKNOWN_TYPE = 13
    LIMIT = 14  # the limit switch at that end is pressed


class Latch(IntEnum):
    """Why the axis refuses to move until CLEAR."""

    NONE = 0
    SAFE_STOP = 1  # the watchdog: the host fell silent during a move
    STOPPED = 2  # a STOP arrived
    LIMIT = 3  # the axis ran into a limit switch: its position is in doubt


class Result(IntEnum):
    """How the last move stands."""

    NONE = 0  # there was none in this session
    MOVING = 1
    REACHED = 2
    STOPPED = 3
    SUPERSEDED = 4
    WATCHDOG = 5
    LIMIT = 6


class Flag(IntFlag):
    """Bits of Status.flags."""

    MOVING = 1
    SETTLED = 2
    ENCODER = 4  # encoder_nm is measured; without it, it repeats commanded_nm
