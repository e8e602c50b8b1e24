"""How long a scan takes, before it begins and while it runs: arithmetic on stage and exposure.

Stop-and-go: move, settle, focus, expose, field by field. Continuous: lines at one speed with a
trigger at each field, and a turn between two of them. Nothing is measured here; the same numbers
stand in the config, and a scan compares itself with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edge.wsi.path import Field, Line, ScanPlan


@dataclass(frozen=True, slots=True)
class AxisMotion:
    """A stage axis that speeds up, runs and slows down evenly. ValueError for none."""

    speed_um_s: float
    acceleration_um_s2: float

    def __post_init__(self) -> None:
        if not (0 < self.speed_um_s < math.inf and 0 < self.acceleration_um_s2 < math.inf):
            raise ValueError(f"{self} does not move")

    @property
    def ramp_s(self) -> float:
        """From rest to full speed."""
        return self.speed_um_s / self.acceleration_um_s2

    def seconds(self, travel_um: float) -> float:
        """From rest to rest over a way, without settling."""
        length_um = abs(travel_um)
        if length_um >= self.speed_um_s * self.ramp_s:
            return length_um / self.speed_um_s + self.ramp_s
        return 2.0 * math.sqrt(length_um / self.acceleration_um_s2)


class Pace(Protocol):
    """What predicts a scan."""

    def steps_s(self, plan: ScanPlan) -> tuple[float, ...]:
        """Seconds of each field, in the plan's order, the way to it included."""
        ...


@dataclass(frozen=True, slots=True)
class StopAndGo:
    """`focus_s`: measuring and moving Z; `exposure_s`: of the kept frame. The transfer and the
    writing of a frame go on while the stage moves to the next field."""

    x: AxisMotion
    y: AxisMotion
    settle_s: float
    focus_s: float
    exposure_s: float

    def steps_s(self, plan: ScanPlan) -> tuple[float, ...]:
        """See Pace; the stage is taken to stand at the first field."""
        at_rest_s = self.settle_s + self.focus_s + self.exposure_s
        before: Field | None = None
        steps = []
        for field in plan:
            way_s = 0.0 if before is None else self._way_s(before, field)
            steps.append(way_s + at_rest_s)
            before = field
        return tuple(steps)

    def _way_s(self, before: Field, field: Field) -> float:
        """Both axes at once; settling follows every move."""
        x_s = self.x.seconds(field.x_um - before.x_um)
        return max(x_s, self.y.seconds(field.y_um - before.y_um))


@dataclass(frozen=True, slots=True)
class Continuous:
    """`speed_um_s`: of a line, reached before its first field and kept to the end of its last;
    `settle_s`: at the end of a turn."""

    x: AxisMotion
    y: AxisMotion
    speed_um_s: float
    settle_s: float

    def __post_init__(self) -> None:
        if not 0 < self.speed_um_s <= self.x.speed_um_s:
            raise ValueError(
                f"a line's speed of {self.speed_um_s} um/s is not up to {self.x.speed_um_s}"
            )

    def steps_s(self, plan: ScanPlan) -> tuple[float, ...]:
        """See Pace; a line's seconds are shared evenly by its fields."""
        steps: list[float] = []
        before: Line | None = None
        for line in plan.lines():
            way_s = self.line_s(line, plan.grid.pitch_x_um)
            way_s += self._ramp_s if before is None else self.turn_s(before, line)
            steps += [way_s / len(line.fields)] * len(line.fields)
            before = line
        return tuple(steps)

    @property
    def _ramp_s(self) -> float:
        return self.speed_um_s / self.x.acceleration_um_s2

    def line_s(self, line: Line, pitch_um: float) -> float:
        """At speed, over all of its fields."""
        return len(line.fields) * pitch_um / self.speed_um_s

    def turn_s(self, before: Line, after: Line) -> float:
        """Slow down, turn and speed up while Y steps; an X that must go elsewhere goes there."""
        last, first = before.fields[-1], after.fields[0]
        x_s = 2.0 * self._ramp_s
        offset_um = first.x_um - last.x_um
        if before.direction == after.direction or abs(offset_um) > 0:
            x_s += self.x.seconds(offset_um)
        return max(x_s, self.y.seconds(first.y_um - last.y_um)) + self.settle_s


def fastest_um_s(
    pitch_um: float, frames_per_s: float, um_per_px: float, strobe_s: float, smear_px: float
) -> float:
    """The most a line's speed may be: one frame a field, and no more smear than `smear_px`.

    Smear is the way of the slide within the strobe (or the exposure, without one).
    """
    return min(pitch_um * frames_per_s, smear_px * um_per_px / strobe_s)


def remaining_s(steps_s: Sequence[float], done: int, elapsed_s: float) -> float:
    """Seconds still to come: the plan's, scaled by how the first `done` fields kept to it.

    The plan counts as five fields' worth of evidence, so that one slow field at the start does not
    promise hours. ValueError for more fields than there are, or no time.
    """
    if not (0 <= done <= len(steps_s) and 0 <= elapsed_s < math.inf):
        raise ValueError(f"{done} of {len(steps_s)} fields in {elapsed_s} s")
    planned_s, left_s = math.fsum(steps_s[:done]), math.fsum(steps_s[done:])
    weight_s = 5.0 * (planned_s + left_s) / max(1, len(steps_s))
    if not planned_s + weight_s > 0:
        return 0.0
    return left_s * (elapsed_s + weight_s) / (planned_s + weight_s)
