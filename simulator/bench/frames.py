"""The frames that are measured on: real size, rendered once, then shown in turn."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edge.camera import Camera, Frame, PixelFormat
from simulator.microscope import Microscope

U8 = npt.NDArray[np.uint8]

#: k -> the field it is meant for (paper section 4.4)
FIELDS = {3: ("cell", "ex-sparse"), 9: ("cell", "sparse"), 31: ("tissue", "dense")}
#: objective above and below focus, so that the moves of two frames in a row cancel
OFFSETS_UM = (-4.0, 4.0)
EXPOSURE_NS = 4_000_000


@dataclass(frozen=True, slots=True)
class Pictures:
    """(2048, 2448, 3) uint8 RGB by k, each seen at OFFSETS_UM."""

    by_k: dict[int, tuple[U8, ...]]

    @property
    def all(self) -> list[U8]:
        """Every picture once."""
        return [picture for each in self.by_k.values() for picture in each]


def render(seed: int) -> Pictures:
    """A few seconds a picture."""
    microscope = Microscope(seed)
    by_k = {}
    for number, (k, (kind, sparsity)) in enumerate(FIELDS.items()):
        truth = microscope.load_field(kind, sparsity, number, slide=number)
        by_k[k] = tuple(microscope.picture(truth.z_focus_um + off) for off in OFFSETS_UM)
    return Pictures(by_k)


class ShownCamera(Camera):
    """Hands out `pixels`, exposed just now."""

    def __init__(self, pixels: U8) -> None:
        self.pixels = pixels
        self._frame_id = 0

    def next(self, timeout_s: float) -> Frame:
        self._frame_id += 1
        end = time.monotonic_ns()
        return Frame(self.pixels, PixelFormat.RGB8, self._frame_id, end - EXPOSURE_NS, end)

    def close(self) -> None:
        pass
