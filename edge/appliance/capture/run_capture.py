"""Fields of the plan, each through focus, labelled by how sharp its own pictures are (the paper's
section 2.1, by itself).

No network moves Z here: a person brought the first field into focus, and each stack is centred
where the labels of those around it say. So an instrument of which the networks know nothing can be
captured. RIN only tells the classes, so that not all stacks are of the same kind.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge.appliance.capture.stacks import Stack, StackFolder
from edge.appliance.scan.eye import InstrumentEye
from edge.appliance.scan.gates import Kept
from edge.camera import PixelFormat
from edge.errors import ConfigError
from edge.latency import Lap
from edge.measure.importance import Sparsity
from edge.measure.preprocess import developed
from edge.measure.raw_pixels import width_px
from edge.measure.sensor import Measurer
from edge.wsi.focus_map import Anchor, FocusMap, MapLimits, farthest_first
from edge.wsi.path import Field

U8 = npt.NDArray[np.uint8]
#: of heights and a reader of planes: where it is sharpest, or None and why not
Label = Callable[[Sequence[float], Callable[[int], U8]], tuple[float | None, str]]
LABEL_UM = 0.3  # within which a label is taken to lie
CLASSES = 3  # no class gets more than its share before the others were looked for


@dataclass(frozen=True, slots=True)
class Wish:
    """So many fields of so many planes, `step_um` apart."""

    fields: int
    planes: int
    step_um: float

    def heights_um(self, middle_um: float) -> tuple[float, ...]:
        """From the lowest to the highest."""
        half = (self.planes - 1) / 2
        return tuple(middle_um + (i - half) * self.step_um for i in range(self.planes))


@dataclass(slots=True)
class Capture:
    """`window_um`: lowest and highest plane that Z may reach; `told`: called after each field."""

    folder: StackFolder
    eye: InstrumentEye
    sensor: Measurer
    label: Label
    wish: Wish
    window_um: tuple[float, float]
    um_per_px: float
    told: Callable[[Stack], None] = lambda stack: None

    def run(self, fields: Sequence[Field], start_um: float) -> None:
        """Fields far apart first. Ends when there are enough stacks, or no fields left."""
        focus_map, z_um = FocusMap(limits=MapLimits(nearest=48)), start_um
        for stack in self.folder.done.values():
            z_um = self._learn(focus_map, stack, z_um)
        by_place = {(f.x_um, f.y_um): f for f in fields}
        order = [by_place[place] for place in farthest_first(by_place, len(by_place))]
        later: list[Field] = []
        for field in order:
            if self._enough:
                return
            if field.id not in self.folder.done and not self._visit(field, focus_map, z_um, True):
                later.append(field)
                continue
            z_um = self._learn(focus_map, self.folder.done[field.id], z_um, new=True)
        for field in later:  # of a class that has its share: rather these than none
            if self._enough:
                return
            self._visit(field, focus_map, z_um, False)
            z_um = self._learn(focus_map, self.folder.done[field.id], z_um, new=True)

    @property
    def _enough(self) -> bool:
        return len(self.folder.taken) >= self.wish.fields

    def _visit(self, field: Field, focus_map: FocusMap, z_um: float, choosy: bool) -> bool:
        """Take its stack; False when its class has its share already."""
        expected = focus_map.at(field.x_um, field.y_um)
        middle_um = expected.z_um if expected.interval_um < math.inf else z_um
        heights = self.wish.heights_um(middle_um)
        if not self.window_um[0] <= heights[0] <= heights[-1] <= self.window_um[1]:
            self._done(field, "", why="the stack would leave the window of Z")
            return True
        self.eye.take(field, middle_um)
        group = self._class()
        if group == Sparsity.BLANK.value:
            self._done(field, group, why="blank")
            return True
        share = math.ceil(self.wish.fields / CLASSES)
        if choosy and Counter(s.group for s in self.folder.taken)[group] >= share:
            return False
        reached = []
        for index, height in enumerate(heights):
            reached.append(self.eye.take(field, height))
            self.folder.keep_plane(field.id, index, png(self._kept))
        focus_um, why = self.label(reached, lambda i: read_png(self.folder, field.id, i))
        self._done(field, group, tuple(reached), focus_um, why)
        return True

    @property
    def _kept(self) -> Kept:
        kept = self.eye.kept
        assert kept is not None
        return kept

    def _class(self) -> str:
        return self.sensor.measure(self._kept.frame, Lap()).ranked.sparsity.value

    def _done(
        self,
        field: Field,
        group: str,
        heights: tuple[float, ...] = (),
        focus_um: float | None = None,
        why: str = "",
    ) -> None:
        stack = Stack(
            field.id, field.x_um, field.y_um, group, self.um_per_px, heights, focus_um, why
        )
        self.folder.finish(stack)
        self.told(stack)

    def _learn(self, focus_map: FocusMap, stack: Stack, z_um: float, new: bool = False) -> float:
        """A labelled stack tells where its neighbours lie."""
        if stack.focus_um is None:
            return z_um
        focus_map.add(Anchor(stack.x_um, stack.y_um, stack.focus_um, LABEL_UM, 0, "label"))
        if new:
            self.eye.trust(stack.focus_um)
        return stack.focus_um


def png(kept: Kept) -> bytes:
    """The whole frame without loss."""
    frame = kept.frame
    pixels, pixel_format = developed(frame, (0, 0), (frame.pixels.shape[0], width_px(frame)))
    if pixel_format is PixelFormat.RGB8:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    fine, data = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not fine:
        raise ConfigError(f"a frame of {frame.pixel_format.value} cannot be kept")
    return bytes(data)


def read_png(folder: StackFolder, field_id: int, index: int) -> U8:
    """A plane as (h, w, 3) uint8 RGB."""
    path = folder.plane(field_id, index)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR)
    if pixels is None:
        raise ConfigError(f"{path}: the picture is damaged")
    return np.ascontiguousarray(pixels[..., ::-1]).astype(np.uint8, copy=False)
