"""Pictures as they are to be looked at: the orientation that TIFF and EXIF name 1 to 8."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: turned about the diagonal first; then upside down; then mirrored left to right (TIFF 6.0, p. 36)
_STEPS = {
    1: (False, False, False), 2: (False, False, True), 3: (False, True, True),
    4: (False, True, False), 5: (True, False, False), 6: (True, False, True),
    7: (True, True, True), 8: (True, True, False),
}  # fmt: skip


def upright(image: npt.NDArray[np.generic], orientation: int) -> npt.NDArray[np.generic]:
    """`image` (h, w[, c]) turned and mirrored; an orientation that does not exist is 1."""
    transpose, flip, mirror = _STEPS.get(orientation, _STEPS[1])
    if transpose:
        image = image.swapaxes(0, 1)
    if flip:
        image = image[::-1]
    if mirror:
        image = image[:, ::-1]
    return np.ascontiguousarray(image)
