"""Calibrating an instrument by moving and looking: small moves up, down and up again.

Nothing is known of the sign, so every move is small, absolute, inside the guard's window, and
followed by a look; what does not fit stops it, with the stage brought back to where it stood. The
networks are the ruler; that they and the stage are not wrong together is seen by a second one that
knows no sign: the picture must be sharpest where the networks say focus is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge.appliance.calibrate.fit import (
    EVEN_95,
    Line,
    Look,
    fit_line,
    interval_factor,
    linear_range_um,
    refined,
    sharpest_um,
)
from edge.camera import Frame
from edge.errors import CameraLost, CameraStalled, SparseFocusError
from edge.guard import Guard
from edge.latency import Lap
from edge.measure.aggregate import FocusEstimate, NoFocus
from edge.measure.sensor import Measurer
from edge.measure.sharpness import sharpness
from firmware_bridge.stage import Stage

STEP_UM = 1.5  # between two looks
UP, DOWN, AGAIN = 7, 9, 5  # looks of the three ways
TAKE_UP_UM = 6.0  # of play, before the first look
START_UM, FAR_UM = 12.0, 24.0  # of defocus: to begin with, and never more
FINE_UM = 0.4
FINE = 4  # looks on each side of focus
FAR_LOOKS_UM = (-18.0, -12.0, -6.0, 6.0, 12.0, 18.0)
LEAST_SCALE, MOST_SCALE = 0.2, 5.0  # um per unit: beyond it the config has another unit
MOST_SCATTER_UM = 0.8
MOST_OFFSET_UM = 1.5  # a focus measure may well peak a um off where contrast is best
WAIT_S = 10.0
TRIES = 4  # frames at one place, until one can be read
FRAMES = 60  # to wait for one that was exposed at rest
MOST_OFF_UM = STEP_UM  # between where the stage is and where it says: its looks tell nothing beyond


class CalibrationRefused(SparseFocusError):
    """The instrument cannot be calibrated here and now; the stage is where it was."""


@dataclass(frozen=True, slots=True)
class DriveCalibration:
    """What was measured. `focus_direction` as the config has it; `um_per_unit` > 0: um of focus for
    a commanded um; `play_um` in commanded um; `zero_um`: what the networks read at the sharpest
    picture, told and not applied; `focus_offset_um`: what `loop.focus_offset_um` would have to be
    for the loop to rest there; intervals are 95 % half-widths."""

    focus_direction: int
    um_per_unit: float
    um_per_unit_95: float
    play_um: float
    play_95_um: float
    linear_range_um: float
    zero_um: float
    focus_offset_um: float
    focus_offset_95_um: float
    scatter_um: float
    interval_factor: float
    reference_um: float  # the stage's position where the networks read 0
    off_um: float  # how far the stage may be from where it says, um of the stage
    looks: tuple[Look, ...]


@dataclass(slots=True)
class DriveCalibrator:
    """Moves and looks. `say` is called with a line for people after each look."""

    stage: Stage
    guard: Guard
    sensor: Measurer
    next_frame: Callable[[float], Frame]
    settle_ms: float
    say: Callable[[str], None] = lambda _: None
    looks: list[Look] = field(default_factory=list)
    off_um: float = 0.0  # how far the stage may be from where it says, as far as was seen

    def run(self) -> DriveCalibration:
        """CalibrationRefused with a reason; errors of camera, guard and stage pass through. The
        stage is brought back to where it stood unless the error is its own."""
        start_um = self.stage.status().z_um
        self.off_um = self.stage.resolution_um / 2
        try:
            return self._run(start_um)
        except ValueError as error:
            self._to(start_um)
            raise CalibrationRefused(str(error)) from error
        except (CalibrationRefused, CameraStalled):
            self._to(start_um)
            raise

    def _run(self, start_um: float) -> DriveCalibration:
        first = self._look("first")
        if abs(first.defocus_um) > START_UM:
            raise CalibrationRefused(
                f"{first.defocus_um:+.1f} um out of focus: bring it within {START_UM:g} um first"
            )
        line = self._three_travels(start_um)
        direction = 1 if line.um_per_unit > 0 else -1
        scale = abs(line.um_per_unit)
        self._believe(line, scale)
        focus_um = line.zero_um / line.um_per_unit
        apart_um = max(FINE_UM / scale, 2.0 * self.off_um)  # or many would tell the same place
        fine = [self._at(focus_um + n * apart_um, "fine", line, scale)
                for n in range(-FINE, FINE + 1)]  # fmt: skip
        far = [self._at(focus_um + d / scale, "far", line, scale) for d in FAR_LOOKS_UM]
        travels = [look for look in self.looks if look.part in ("up", "down", "again")]
        reach_um = linear_range_um([*far, *fine], line, self.off_um)
        near = [look for look in far if abs(look.defocus_um) <= reach_um + STEP_UM]
        line = refined(line, travels, [*fine, *near], self.off_um)
        scale, focus_um = abs(line.um_per_unit), line.zero_um / line.um_per_unit
        sharpest = sharpest_um(fine)
        zero_um = float(line.defocus_at(sharpest))
        self._sharpen(fine, far)
        if abs(zero_um) > MOST_OFFSET_UM:
            raise CalibrationRefused(
                f"the networks read {zero_um:+.2f} um at the sharpest picture: other optics?"
            )
        self._to(focus_um - TAKE_UP_UM)
        self._to(focus_um)
        return DriveCalibration(
            focus_direction=direction,
            um_per_unit=scale,
            um_per_unit_95=line.um_per_unit_95,
            play_um=line.play_um,
            play_95_um=line.play_95_um,
            linear_range_um=reach_um,
            zero_um=zero_um,
            focus_offset_um=-zero_um,
            focus_offset_95_um=math.hypot(
                1.96 * line.scatter_um / math.sqrt(len(fine)), EVEN_95 * scale * self.off_um
            ),
            scatter_um=line.scatter_um,
            interval_factor=interval_factor(travels, line, line.play_um, self.off_um),
            reference_um=focus_um,
            off_um=self.off_um,
            looks=tuple(self.looks),
        )

    def _three_travels(self, start_um: float) -> Line:
        """Up, down and up again from the start, a look at every stop."""
        low = start_um - STEP_UM * (UP - 1) / 2
        self._to(low - TAKE_UP_UM)
        up = [low + STEP_UM * n for n in range(UP)]
        down = [up[-1] - STEP_UM * (n + 1) for n in range(DOWN)]
        again = [down[-1] + STEP_UM * (n + 1) for n in range(AGAIN)]
        looks = []
        for part, stops in (("up", up), ("down", down), ("again", again)):
            for z_um in stops:
                self._to(z_um)
                looks.append(self._look(part))
            self._moves(part, looks)
        return fit_line(looks, self.off_um)

    def _moves(self, part: str, looks: Sequence[Look]) -> None:
        """After the first way: the picture must have answered."""
        if part != "up":
            return
        change_um = looks[-1].defocus_um - looks[0].defocus_um
        if abs(change_um) < LEAST_SCALE * abs(looks[-1].z_um - looks[0].z_um):
            travel_um = looks[-1].z_um - looks[0].z_um
            raise CalibrationRefused(
                f"{travel_um:.1f} um of travel changed the focus by {change_um:+.1f} um: "
                "the stage does not move the objective, or its unit is not um"
            )

    def _believe(self, line: Line, scale: float) -> None:
        if self.off_um > MOST_OFF_UM:
            raise CalibrationRefused(
                f"the stage may be {self.off_um:.2g} um from where it says; {MOST_OFF_UM:g} is the "
                "most: its reports are too coarse, or it does not go where it is sent"
            )
        if not LEAST_SCALE <= scale <= MOST_SCALE:
            raise CalibrationRefused(
                f"a commanded um moves the focus by {scale:.3g} um; {LEAST_SCALE:g} to "
                f"{MOST_SCALE:g} can be believed: check the driver's steps"
            )
        if line.scatter_um > MOST_SCATTER_UM:
            raise CalibrationRefused(
                f"looks scatter by {line.scatter_um:.2f} um about a line, {MOST_SCATTER_UM:g} is "
                "the most: vibration, a drifting stage, or a field that is not flat"
            )

    @staticmethod
    def _sharpen(fine: Sequence[Look], far: Sequence[Look]) -> None:
        """Pictures near the networks' focus must be sharper than those on both sides."""
        best = max(look.sharpness for look in fine)
        if not all(best > 1.05 * look.sharpness for look in far):
            raise CalibrationRefused(
                "the picture is not sharpest where the networks say focus is: no calibration"
            )

    def _at(self, z_um: float, part: str, line: Line, scale: float) -> Look:
        """A look at a place that is reached coming up, whatever the play."""
        below = z_um - (line.play_um + 1.0 / scale)
        if self.stage.status().z_um > below:
            self._to(below)
        self._to(z_um)
        return self._look(part)

    def _to(self, z_um: float) -> None:
        """Move by the guard's leave and wait until the axis has settled."""
        far = abs(self.stage.status().z_um - z_um) > self.stage.resolution_um
        if far:
            self.guard.send_by_hand(z_um)
        at_um = self.stage.wait(WAIT_S).z_um
        if far:
            self.off_um = max(self.off_um, abs(at_um - z_um))

    def _look(self, part: str) -> Look:
        frame, estimate = self._readable()
        z_um = self.stage.status().z_um
        if not isinstance(estimate, FocusEstimate):
            why = estimate.reason.value
            raise CalibrationRefused(f"nothing to measure at z = {z_um:.1f} um: {why}")
        if not abs(estimate.defocus_um) <= FAR_UM:
            raise CalibrationRefused(
                f"{estimate.defocus_um:+.1f} um out of focus at z = {z_um:.1f} um, {FAR_UM:g} is "
                "the most: nothing of this was expected"
            )
        look = Look(z_um, estimate.defocus_um, estimate.interval_um, sharpness(frame), part)
        self.looks.append(look)
        self.say(f"{part}: z {z_um:.2f} um, defocus {look.defocus_um:+.2f} um")
        return look

    def _readable(self) -> tuple[Frame, FocusEstimate | NoFocus]:
        """A frame that tells a defocus, or the last of a few that do not: one that is dark, or does
        not come, says nothing about the stage."""
        for again in reversed(range(TRIES)):
            try:
                frame = self._frame_at_rest()
            except CameraLost:
                raise
            except CameraStalled:
                if not again:
                    raise
                continue
            estimate = self.sensor.measure(frame, Lap()).estimate
            if isinstance(estimate, FocusEstimate):
                break
        return frame, estimate

    def _frame_at_rest(self) -> Frame:
        """A frame whose exposure began after the axis had settled."""
        settled_ns = self.stage.status().settled_ns
        if settled_ns is None:
            raise CalibrationRefused("the stage does not settle")
        since_ns = settled_ns + round(self.settle_ms * 1e6)
        for _ in range(FRAMES):
            frame = self.next_frame(WAIT_S)
            if frame.exposure_start_ns >= since_ns:
                return frame
        raise CalibrationRefused("no frame was exposed after the stage had settled")
