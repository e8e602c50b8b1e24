"""One line of the scan, out of the map of the whole slide: what tracking follows and adds to."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns

from edge.decide.focus_surface import Expected
from edge.wsi.focus_map import Anchor, FocusMap


class MapLine:
    """An edge.decide.focus_surface.Surface. Readings become anchors; the line is forgotten with
    `begin`, the map never: the lines behind are what makes the next one known."""

    def __init__(
        self, focus_map: FocusMap, y_um: float, clock: Callable[[], int] = monotonic_ns
    ) -> None:
        self._map, self._y_um, self._clock = focus_map, y_um, clock

    def begin(self, y_um: float) -> None:
        """Another line."""
        self._y_um = y_um

    @property
    def known(self) -> bool:
        """Whether the map has anchors enough to answer anywhere."""
        return len(self._map.anchors) >= self._map.limits.support

    def at(self, x_um: float) -> Expected:
        """The map's answer on this line; edge.wsi.focus_map.Unknown where it has none."""
        return self._map.at(x_um, self._y_um)

    def read(self, x_um: float, z_um: float, interval_um: float) -> bool:
        """A reading becomes an anchor; what it is worth, the map judges with all others. ValueError
        for what is not a number."""
        self._map.add(Anchor(x_um, self._y_um, z_um, interval_um, self._clock(), "tracking"))
        return True

    def forget(self) -> None:
        """Nothing: a map is of a slide, and another slide has another map."""
