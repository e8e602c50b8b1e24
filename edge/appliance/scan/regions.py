"""The regions that a person names on the command line, each with its own idea of what is sharp."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edge.errors import ConfigError
from edge.wsi.path import Field
from edge.wsi.regions import Box, Polygon, Region

MOST_OFFSET_UM = 10.0


@dataclass(frozen=True, slots=True)
class Offset:
    """A region that is to be focused `offset_um` above where it is sharpest."""

    region: Region
    offset_um: float = 0.0

    @property
    def box(self) -> Box:
        """See Region."""
        return self.region.box

    def content_um2(self, box: Box) -> float:
        """See Region."""
        return self.region.content_um2(box)


def read_regions(boxes: Sequence[str], polygons: Sequence[str]) -> tuple[Offset, ...]:
    """`x,y,width,height[,offset]` and `x,y,x,y,x,y,...`, um of the stage. ConfigError, one line,
    for anything else."""
    return tuple(map(_box, boxes)) + tuple(map(_polygon, polygons))


def _box(text: str) -> Offset:
    numbers = _numbers("--region", text)
    if len(numbers) not in (4, 5):
        raise ConfigError(f"--region {text[:60]} must be x,y,width,height or one number more")
    x, y, width, height, *offset = numbers
    if not (width > 0 and height > 0):
        raise ConfigError(f"--region {text[:60]}: width and height must be above 0")
    offset_um = offset[0] if offset else 0.0
    if not abs(offset_um) <= MOST_OFFSET_UM:
        raise ConfigError(f"--region {text[:60]}: {offset_um:g} um is more than {MOST_OFFSET_UM:g}")
    corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    return Offset(_made("--region", text, corners), offset_um)


def _polygon(text: str) -> Offset:
    numbers = _numbers("--polygon", text)
    if len(numbers) % 2:
        raise ConfigError(f"--polygon {text[:60]} must be pairs of x and y")
    return Offset(_made("--polygon", text, tuple(zip(numbers[::2], numbers[1::2], strict=True))))


def _made(option: str, text: str, corners: tuple[tuple[float, float], ...]) -> Polygon:
    try:
        return Polygon(corners)
    except ValueError as error:
        raise ConfigError(f"{option} {text[:60]}: {error}") from error


def _numbers(option: str, text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{option} {text[:60]} must be numbers with commas between") from error
    if not all(map(math.isfinite, numbers)):
        raise ConfigError(f"{option} {text[:60]} must be finite numbers")
    return numbers


class RegionOf:
    """Of each field, the offset of the region that claims most of it; 0 where none does."""

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = [r for r in regions if isinstance(r, Offset) and r.offset_um]
        self._all = list(regions)

    def offset_um(self, field: Field) -> float:
        """In um above where it is sharpest."""
        if not self._regions:
            return 0.0
        half = 200.0  # of what lies in the middle of the field
        box = Box(field.x_um - half, field.y_um - half, field.x_um + half, field.y_um + half)
        most = max(self._all, key=lambda region: region.content_um2(box))
        claims = most.content_um2(box) > 0 and isinstance(most, Offset)
        return most.offset_um if claims and isinstance(most, Offset) else 0.0
