"""How far apart the rows of a frame lie in memory, where nobody but the frame's size says it.

Drivers pad rows to some power of two (a Jetson's video input: 64 or 256 bytes). A pitch that is
assumed shears the picture, and a sheared picture is measured like any other.
"""

from __future__ import annotations

MOST_ALIGNED = 4096


def pitch_of(size: int, row: int, height: int) -> int | None:
    """Bytes from row to row of a frame of `size` bytes whose rows hold `row` bytes: the one padded
    length that fills the frame exactly. None when there is none: what the bytes are is unknown."""
    if height < 1 or size % height:
        return None
    pitch, align = size // height, 1
    while align <= MOST_ALIGNED:
        if -(-row // align) * align == pitch:
            return pitch
        align *= 2
    return None
