"""The slide's name from its label: a barcode that zxing-cpp reads (extra `macro`)."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

_MOST_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class SlideName:
    """`text`: what the barcode says, None = not read; `reason`: why not, or which kind of code."""

    text: str | None
    reason: str


def read_label(picture: U8, label_px: tuple[slice, slice] | None) -> SlideName:
    """Read the barcode of (h, w, 3) uint8 RGB, within the label or, without one, anywhere.

    Nothing is guessed: two codes that say different things are none. A missing library is a reason
    and no error, for a scan needs no name.
    """
    try:
        import zxingcpp
    except ImportError:
        return SlideName(None, "zxing-cpp is not installed (extra `macro`)")
    part = picture if label_px is None else picture[label_px]
    grey = cv2.cvtColor(np.ascontiguousarray(part), cv2.COLOR_RGB2GRAY)
    codes = {code.text: str(code.format) for code in zxingcpp.read_barcodes(grey) if code.valid}
    codes = {text: kind for text, kind in codes.items() if text.strip()}
    if not codes:
        return SlideName(None, "no barcode was read")
    if len(codes) > 1:
        return SlideName(None, f"{len(codes)} barcodes that differ")
    text, kind = next(iter(codes.items()))
    if len(text) > _MOST_CHARACTERS or not text.isprintable():
        return SlideName(None, f"the {kind} does not hold a name")
    return SlideName(text, kind)
