"""How a field ended, for whoever reads the slide: sharp, in doubt, blurred, empty or lost."""

from __future__ import annotations

from enum import Enum

from edge.wsi.walk import Answer


class Grade(str, Enum):
    """SHARP: within half the depth of field with all that is uncertain; BLURRED: beyond it with all
    of that; DOUBT: between, or not measured; EMPTY: nothing there; LOST: no frame."""

    SHARP = "SHARP"
    DOUBT = "DOUBT"
    BLURRED = "BLURRED"
    EMPTY = "EMPTY"
    LOST = "LOST"


def grade_of(
    answer: Answer, defocus_um: float | None, interval_um: float | None, half_depth_um: float
) -> Grade:
    """Of a field that was taken `defocus_um` from its focus, known within `interval_um`; None =
    nobody knows."""
    if answer is Answer.BLANK:
        return Grade.EMPTY
    if defocus_um is None or interval_um is None:
        return Grade.DOUBT
    if abs(defocus_um) + interval_um <= half_depth_um:
        return Grade.SHARP
    return Grade.BLURRED if abs(defocus_um) - interval_um > half_depth_um else Grade.DOUBT
