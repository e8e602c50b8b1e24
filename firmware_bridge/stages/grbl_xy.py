"""X and Y of a GRBL board: one jog moves both, stop-and-go.

Two jogs would queue, one after the other, and a board that jogs is busy for every axis. So Y gets
ready first and rides on the jog of X. A jog is one leg: legs of two axes end at two times, and both
would be sent for each. GRBL has no pulses by position: no sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from firmware_bridge.errors import StageError, StageRefused
from firmware_bridge.stages.grbl import GrblStage
from firmware_bridge.stages.shared_line import SharedLine
from firmware_bridge.stages.two_axes import TwoAxes, Window
from firmware_bridge.xy_stage import allowed


class GrblX(GrblStage):
    """The axis that sends the jog, with what rides on it."""

    axis = "X"
    rider = ""  # word of the other axis

    def _go(self, target_um: float) -> None:
        self._jog(self.word(target_um) + self.rider)


class GrblY(GrblStage):
    """The axis that rides: it watches where it goes and sends nothing."""

    axis = "Y"

    def _go(self, target_um: float) -> None:
        """The jog is sent by X."""

    @contextmanager
    def riding(self, y_um: float, assumed_um: float) -> Iterator[str]:
        """Ready to go to `y_um` with the jog that is sent inside: its word for Y. Nobody looks
        meanwhile, who would see an axis that does not stir. Refused, it rests as before."""
        with self._changed:
            rested_ns = self._rest.since_ns
            self.move_to(y_um, assumed_um)
            try:
                yield self.word(y_um)
            except StageRefused:
                self._legs.drop()
                self._rest.withdraw(rested_ns)
                raise


class GrblXY(TwoAxes):
    """The XY contract, stop-and-go."""

    def __init__(self, x: GrblX, y: GrblY, tolerance_um: float = 1.0) -> None:
        """As TwoAxes."""
        super().__init__(x, y, tolerance_um)
        self._sender, self._rider = x, y

    def move_to(self, x_um: float, y_um: float, assumed: tuple[float, float]) -> int:
        allowed(self, x_um, y_um, assumed, self._tolerance_um)
        with self._rider.riding(y_um, assumed[1]) as word:
            self._sender.rider = word
            try:
                self._sender.move_to(x_um, assumed[0])
            finally:
                self._sender.rider = ""
        self._moves += 1
        return self._moves


def open_grbl_xy(
    *, port: str, window_um: Window, speed_um_s: float, baudrate: int = 115_200, **motion: Any
) -> GrblXY:
    """`window_um`: (x_min, y_min, x_max, y_max) in machine coordinates, which a homed board counts
    from -travel to 0; `speed_um_s`: along the way. As GrblStage."""
    if motion.pop("legs", False):
        raise StageRefused("CONFIG", "a jog of X and Y is one leg: legs must be false")
    line = SharedLine(port, baudrate)
    opened: list[GrblStage] = []
    try:
        for number, driver in enumerate((GrblX, GrblY)):
            stage = driver(
                port=port, baudrate=baudrate, speed_um_s=speed_um_s, open_link=line.open_link,
                z_min_um=window_um[number], z_max_um=window_um[number + 2], legs=False, **motion,
            )  # fmt: skip
            opened.append(stage)
    except StageError:
        for stage in opened:
            stage.close()
        line.close()
        raise
    x, y = opened
    assert isinstance(x, GrblX)
    assert isinstance(y, GrblY)
    return GrblXY(x, y, float(motion.get("assumed_tolerance_um", 1.0)))
