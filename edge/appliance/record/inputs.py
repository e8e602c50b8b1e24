"""What the networks are shown: copied on the way.

Between a frame's pixels and the networks stands the preprocessor; a wrapper round it sees the RIN's
picture and every group of patches that the DPN got. On the CPU only: a GPU keeps them to itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from edge.camera import Frame
from edge.measure.focus_offset import OffsetSensor
from edge.measure.preprocess import Cell, Patches, Preprocessor
from edge.measure.sensor import CpuMeasurer, Measurer

U8 = npt.NDArray[np.uint8]
SMALL = "small"  # the RIN's picture; the DPN's groups are called "0", "1", ...
#: hears what a network was shown of a frame: its name, and a copy
Hear = Callable[[Frame, str, U8], None]


def heard(sensor: Measurer, hear: Hear) -> Measurer | None:
    """The same estimator, with somebody who hears what its networks are shown; None where that
    cannot be had."""
    if isinstance(sensor, OffsetSensor):
        inner = heard(sensor.inner, hear)
        return None if inner is None else replace(sensor, inner=inner)
    if not isinstance(sensor, CpuMeasurer):
        return None
    listening = _Seen(sensor.preprocess, hear)
    return replace(sensor, preprocess=listening, defocus=sensor.defocus.through(listening))


class _Seen(Preprocessor):
    def __init__(self, inner: Preprocessor, hear: Hear) -> None:
        self.inner, self._hear = inner, hear
        self.grid, self.pixels = inner.grid, inner.pixels
        self._frame: Frame | None = None
        self._groups = 0

    def __call__(self, frame: Frame) -> Patches:
        patches = self.inner(frame)
        self._frame, self._groups = frame, 0
        self._hear(frame, SMALL, patches.small.copy())
        return patches

    def gather(self, patches: Patches, cells: Sequence[Cell]) -> U8:
        group = self.inner.gather(patches, cells)
        assert self._frame is not None
        self._hear(self._frame, str(self._groups), group.copy())
        self._groups += 1
        return group
