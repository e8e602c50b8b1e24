"""Recorded frames measured anew: by their own pixels, or by what the networks were shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from edge.appliance.record.inputs import SMALL
from edge.appliance.record.messages import PIXELS, Pieces
from edge.camera import Frame, PixelFormat
from edge.errors import ConfigError
from edge.latency import Lap
from edge.measure.focus_offset import OffsetSensor
from edge.measure.preprocess import Cell, Patches, Preprocessor
from edge.measure.sensor import CpuMeasurer, Measurement, Measurer

U8 = npt.NDArray[np.uint8]


class Again(Protocol):
    """Measures a recorded frame anew."""

    #: fields of a Measurement that must then be the same
    fields: tuple[str, ...]

    def measure(self, frame: Frame) -> Measurement | None:
        """None where what it takes for that is not in the record."""


class SeenAgain:
    """From the frame's own pixels."""

    fields = ("ranked", "patches", "estimate", "shift", "photometry")

    def __init__(self, sensor: Measurer, pieces: Pieces) -> None:
        self._sensor, self._pieces = sensor, pieces

    def measure(self, frame: Frame) -> Measurement | None:
        """See Again."""
        pixels = self._pieces.of(frame.frame_id).get(PIXELS)
        if pixels is None:
            return None
        return self._sensor.measure(replace(frame, pixels=pixels), Lap(lambda: 0))


class ShownAgain:
    """From what the networks were shown: not the estimate, which looks at the frame itself, too."""

    fields = ("ranked", "patches", "photometry")

    def __init__(self, sensor: Measurer, pieces: Pieces) -> None:
        """ConfigError where the networks do not run on the CPU."""
        if isinstance(sensor, OffsetSensor):
            sensor = sensor.inner
        if not isinstance(sensor, CpuMeasurer):
            raise ConfigError("--from inputs: models.backend must be cpu")
        self._given, self._pieces = _Given(sensor.preprocess), pieces
        self._sensor = replace(
            sensor, preprocess=self._given, defocus=sensor.defocus.through(self._given),
            plain=None, order=None,
        )  # fmt: skip

    def measure(self, frame: Frame) -> Measurement | None:
        """See Again."""
        self._given.inputs = self._pieces.of(frame.frame_id)
        try:
            return self._sensor.measure(frame, Lap(lambda: 0))
        except KeyError:  # its inputs are not there, or not all of them
            return None


class _Given(Preprocessor):
    def __init__(self, usual: Preprocessor) -> None:
        self.grid, self.pixels = usual.grid, usual.pixels
        self.inputs: dict[str, U8] = {}
        self._groups = 0

    def __call__(self, frame: Frame) -> Patches:
        self._groups = 0
        small = self.inputs[SMALL]
        return Patches(np.empty((0, 0, 3), np.uint8), PixelFormat.RGB8, small)

    def gather(self, patches: Patches, cells: Sequence[Cell]) -> U8:
        group = self.inputs[str(self._groups)]
        self._groups += 1
        if len(group) != len(cells):
            raise KeyError(str(self._groups))
        return group
