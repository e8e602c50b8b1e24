"""From the camera's values to 8 bits, by the depth that is known and never by the largest pixel.

10-, 12- and 14-bit cameras store their values right-aligned in 16 bits, and few files say so. A
scale guessed from the brightest pixel would make a dim picture bright, and differ from one picture
of a stack to the next. So the depth is what a person says, else what the file says, else the whole
16 bits where its values fill them; where none of these holds, the picture is refused.
"""

from __future__ import annotations

import json
import re

import numpy as np
import numpy.typing as npt

#: depths a camera may have; 9, 11, 13 and 15 exist in no camera, but cost nothing
DEPTHS = range(8, 17)
#: a camera of fewer bits cannot reach this value
_ONLY_16 = 1 << 14

_OME_BITS = re.compile(rb"<(?:\w+:)?Pixels\b[^>]{0,4000}?\bSignificantBits=\"(\d{1,2})\"")


class DepthUnknown(Exception):
    """A 16-bit picture whose camera's depth nobody said; the words follow "FILE: the image "."""


def stated_by_ome(description: bytes) -> int | None:
    """The SignificantBits of OME-XML, None where there are none."""
    match = _OME_BITS.search(description)
    bits = int(match[1]) if match else 0
    return bits if bits in DEPTHS else None


def stated_by_micro_manager(description: bytes) -> int | None:
    """The camera's BitDepth in Micro-Manager's JSON, None where there is none."""
    try:
        bits = int(json.loads(description.rstrip(b"\0"))["BitDepth"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return bits if bits in DEPTHS else None


def stated_by_largest(largest: int) -> int | None:
    """From TIFF's MaxSampleValue, which some writers fill in from the picture: only when it is the
    largest value of a depth."""
    return next((bits for bits in DEPTHS if largest == (1 << bits) - 1), None)


def depth_of(largest: int, stated: int | None) -> int:
    """Bits of the camera that wrote 16-bit values up to `largest`; `stated`: by a person or the
    file.

    DepthUnknown when nobody said it and fewer bits could have made them, or more than were said.
    """
    if stated is not None:
        if largest >> stated:
            raise DepthUnknown(f"has values up to {largest}, more than the {stated} bits it is of")
        return stated
    if largest >= _ONLY_16:
        return 16
    raise DepthUnknown(
        f"has 16 bits and values up to {largest}: a dim picture, or a camera of "
        f"{least_depth(largest)} to 14 bits; say which (--bits, or `bits` of manifest or camera)"
    )


def least_depth(largest: int) -> int:
    """The fewest bits of a usual camera that hold this value."""
    return next((b for b in (8, 10, 12, 14) if largest < 1 << b), 16)


def to_8_bit(image: npt.NDArray[np.generic], bits: int) -> npt.NDArray[np.uint8]:
    """The 8 highest of `bits` bits."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    return (image.astype(np.uint16, copy=False) >> (bits - 8)).astype(np.uint8)
