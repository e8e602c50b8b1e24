"""Before the first frame: what is slow once is done once, on a picture that says nothing.

The first run of a network, of a thread pool or of a captured graph takes several times as long as
the next one. The first frame would be too late for it, and be dropped.
"""

from __future__ import annotations

import numpy as np

from edge.camera import Frame, PixelFormat
from edge.latency import Lap
from edge.measure.budget import GROUPS
from edge.measure.colour_order import PATCHES as ORDER_PATCHES
from edge.measure.focus_offset import OffsetSensor
from edge.measure.photometry import photometry_of
from edge.measure.preprocess import PAPER, CpuPreprocessor
from edge.measure.sensor import CpuMeasurer, Measurer

CAPTURES = 2  # on a GPU: the second frame of a kind is captured


def warm_up(sensor: Measurer) -> None:
    """Run each part of the way once, with every number of patches that is usual. Nothing is
    remembered: no budget learns from it, no alarm hears of it. EngineRejected as `measure`."""
    if isinstance(sensor, OffsetSensor):
        sensor = sensor.inner
    if isinstance(sensor, CpuMeasurer):
        _on_cpu(sensor)
        return
    frame = _noise(PAPER.crop_px)
    for _ in range(1 + CAPTURES):
        sensor.measure(frame, Lap())


def _on_cpu(sensor: CpuMeasurer) -> None:
    made_for = sensor.preprocess
    grid = made_for.grid if isinstance(made_for, CpuPreprocessor) else PAPER
    frame = _noise(grid.crop_px)
    patches = sensor.preprocess(frame)
    sensor.importance(patches)
    photometry_of(patches.small)
    cells = [(row, column) for row in range(grid.rows) for column in range(grid.columns)]
    for size in (*GROUPS, ORDER_PATCHES):
        sensor.defocus.again(sensor.preprocess.gather(patches, cells[:size]))
    if sensor.plain is not None:
        sensor.plain(frame, cells)


def _noise(shape: tuple[int, int]) -> Frame:
    pixels = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    return Frame(pixels, PixelFormat.RGB8, 0, 0, 0)
