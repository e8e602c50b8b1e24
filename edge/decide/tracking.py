"""Following focus while the slide moves: the controller of a continuous scan.

The frame's defocus belongs to z and x at mid-exposure; it tells where the focus surface is there.
The target is where the surface will be at the first exposure by which a move sent now is made
(docs/decisions/0006). Every reading is also a judgement: what the way since the last reading did is
compared with what it should have done, and two in a row that went wrong end in a shutdown. Where
frames are missed, the slide may have risen by as much as the way; what one pair of readings cannot
tell then is summed up (edge.decide.drive_evidence), and two corrections that led away from focus
are not followed by a third before the stage was seen at rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic_ns
from typing import Protocol

from edge.decide.conduct import SIGN, STRIKES
from edge.decide.decision import Hold, InFocus, Move, Plan, Predict, Shutdown
from edge.decide.drive_evidence import DOUBT, STEEPEST_UM_PER_MM, DriveEvidence
from edge.decide.evidence import Finding, Reading, compare
from edge.decide.focus_surface import Expected, FocusSurface, Surface, SurfaceNoise
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.settings import JUDGE_UM, LEAD_MS, PREDICT_UM, SCAN_DEADBAND_UM, SCAN_INTERVAL_UM
from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import Stage

#: a stage that moved less between two readings was at rest
REST_UM = 0.1
AWAY = "unproven: the corrections led away from focus; looking at rest before another"
#: readings of a stage at rest after which the slope is known, and another correction tells much
LOOKS_AT_REST = 3
LEAST_GAIN = 0.2  # of its way, by which a correction must have come nearer to focus
#: nearer to focus, that it is farther off than before says nothing
FAR_UM = 1.5


class ScanPath(Protocol):
    """Where along the scan the objective stands."""

    def x_um(self, time_ns: int) -> float:
        """Position along the scan at a moment (host's monotonic clock), past or near future."""
        ...


@dataclass(frozen=True, slots=True)
class SteadyScan:
    """A stage that moves at one speed; only differences along one line are ever used."""

    speed_um_s: float

    def x_um(self, time_ns: int) -> float:
        """See ScanPath."""
        return self.speed_um_s * time_ns / 1e9


@dataclass(frozen=True, slots=True)
class TrackingSettings:
    """`focus_direction` as in ControllerSettings.

    period_ms: between exposures; lead_ms: from a plan until its small move is made; max_step_um: a
    longer way is gone in several moves; predict_um: over blank fields the surface is followed while
    it is known this well; judge_um: smaller ways between two readings prove nothing.
    """

    focus_direction: int
    period_ms: float
    max_step_um: float
    lead_ms: float = LEAD_MS
    deadband_um: float = SCAN_DEADBAND_UM
    max_interval_um: float = SCAN_INTERVAL_UM
    predict_um: float = PREDICT_UM
    judge_um: float = JUDGE_UM
    feed_forward: bool = True
    noise: SurfaceNoise = field(default_factory=SurfaceNoise)


class TrackingController:
    """Proposes, like edge.decide.controller.Controller; one per loop, not thread-safe."""

    def __init__(
        self,
        settings: TrackingSettings,
        path: ScanPath,
        clock: Callable[[], int] = monotonic_ns,
        surface: Surface | None = None,
    ) -> None:
        """Without a `surface`, that of the line alone."""
        self._settings, self._path, self._clock = settings, path, clock
        self.surface: Surface = FocusSurface(settings.noise) if surface is None else surface
        self._drive = DriveEvidence(settings.focus_direction)
        self.restart()

    def restart(self) -> None:
        """As new: no strikes, and nothing known of the surface."""
        self.strikes = 0
        self._away = 0  # corrections in a row that led away from focus
        self._drive.restart()
        self.last_finding: Finding | None = None
        self.new_field()

    @property
    def scale(self) -> None:
        """Not followed while the slide moves."""
        return None

    def new_field(self) -> None:
        """Another scan line: the surface is found anew. Strikes stay with the stage."""
        self.surface.forget()
        self._drive.new_line()
        self._before: tuple[Reading, float] | None = None  # the last reading, and its x
        self._anchor: Reading  # since which a correction is looked at; from the first on
        self._rested = 0  # readings at rest since the last correction

    def sent(self, sent_ns: int) -> None:
        """Nothing to note: where the stage was at each exposure is asked of the stage."""

    def plan(self, estimate: FocusEstimate | NoFocus, stage: Stage) -> Plan:
        """Decide on one frame. StageUncertain and LinkLost pass through: position unknown."""
        self.last_finding = None
        try:
            at = stage.z_at(estimate.exposure_mid_ns)
        except StageRefused as refused:
            return Hold(refused.reason)
        x_um = self._path.x_um(estimate.exposure_mid_ns)
        if not (math.isfinite(at.z_um) and at.uncertainty_um <= self._settings.max_interval_um):
            return Hold("position-uncertain")
        if isinstance(estimate, NoFocus):
            if estimate.reason is Reason.OUTSIDE_RANGE:  # seen, and not where the surface is
                return Hold(estimate.reason.value)
            return self._blind(estimate.reason.value, stage, estimate.exposure_mid_ns)
        interval = math.hypot(estimate.interval_um, at.uncertainty_um)
        if not (math.isfinite(estimate.defocus_um) and math.isfinite(interval)):
            return self._blind("uncertain", stage, estimate.exposure_mid_ns)
        now = Reading(at.z_um, estimate.defocus_um, interval)
        drive = self._drive.read(x_um, now.z_um, now.defocus_um, interval)
        focus_um = at.z_um + self._settings.focus_direction * estimate.defocus_um
        if interval > self._settings.max_interval_um:
            if drive:
                return self._convicted(drive)
            if not abs(focus_um - self.surface.at(x_um).z_um) <= interval:
                return Hold("uncertain")
            return self._blind("uncertain", stage, estimate.exposure_mid_ns)
        shutdown = self._judge(now, x_um)
        if shutdown is not None:
            return shutdown
        if drive:
            return self._convicted(drive)
        self.surface.read(x_um, focus_um, interval)
        ahead = Expected(focus_um, interval)
        if self._settings.feed_forward:
            expected = self.surface.at(self._next_x_um(estimate.exposure_mid_ns))
            if expected.interval_um <= self._settings.max_interval_um:
                ahead = expected  # else it is the slope that is not known yet
        return self._aim(ahead, stage)

    def _convicted(self, why: str) -> Shutdown:
        self.strikes = STRIKES
        return Shutdown(why)

    def _aim(self, ahead: Expected, stage: Stage) -> Plan:
        status = stage.status()
        travel_um = ahead.z_um - status.z_um
        if abs(travel_um) <= self._settings.deadband_um:
            return InFocus()
        if self._away >= STRIKES:
            return Hold(AWAY)
        return Move(self._within_a_step(status.z_um, travel_um), status.z_um, "track")

    def _within_a_step(self, z_um: float, travel_um: float) -> float:
        most = self._settings.max_step_um
        return z_um + min(max(travel_um, -most), most)

    def _blind(self, why: str, stage: Stage, mid_ns: int) -> Plan:
        """Nothing to see: the surface says where focus is, as long as it is sure enough."""
        if not (self._settings.feed_forward and self.surface.known):
            return Hold(why)
        ahead = self.surface.at(self._next_x_um(mid_ns))
        if not ahead.interval_um <= self._settings.predict_um:
            return Hold(f"{why}, and the surface is not known")
        status = stage.status()
        travel_um = ahead.z_um - status.z_um
        if abs(travel_um) <= self._settings.deadband_um:
            return InFocus(f"predicted: {why}")
        if self._away >= STRIKES:
            return Hold(AWAY)
        target_um = self._within_a_step(status.z_um, travel_um)
        return Predict(target_um, status.z_um, f"predict: {why}")

    def _next_x_um(self, mid_ns: int) -> float:
        """Along the scan at the middle of the first exposure by which a move sent now is made."""
        made_ms = (self._clock() - mid_ns) / 1e6 + self._settings.lead_ms
        periods = max(1, math.ceil(made_ms / self._settings.period_ms))
        return self._path.x_um(mid_ns + round(periods * self._settings.period_ms * 1e6))

    def _watch(self, before: Reading, now: Reading, same_place: bool) -> None:
        """Count the corrections in a row after which focus is farther off than it was. A reading of
        the stage at rest ends the row: it shows what the surface does by itself."""
        anchor = self._anchor
        if abs(now.z_um - before.z_um) < REST_UM:
            if not same_place:  # the same frame once more shows nothing new
                self._anchor, self._rested = now, self._rested + 1
                if self._drive.doubt <= DOUBT or self._rested >= LOOKS_AT_REST:
                    self._away = 0
        elif abs(now.z_um - anchor.z_um) >= self._settings.judge_um:
            travel_um, far_um = abs(now.z_um - anchor.z_um), abs(now.defocus_um)
            away = far_um > max(FAR_UM, abs(anchor.defocus_um) - LEAST_GAIN * travel_um)
            self._anchor, self._rested = now, 0
            self._away = self._away + 1 if away else 0

    def _judge(self, now: Reading, x_um: float) -> Shutdown | None:
        """Whether the way since the last reading did what it should have done.

        What the surface rose between the two fields is not known, only how much it can be: the rise
        that explains most is taken, so that a tilt is never held against the sign.
        """
        last, self._before = self._before, (now, x_um)
        if last is None:
            self._anchor = now
            return None
        before, before_x_um = last
        self._watch(before, now, same_place=x_um == before_x_um)
        moved_um = self._settings.focus_direction * (now.z_um - before.z_um)
        if abs(moved_um) < self._settings.judge_um:
            return None
        most_um = STEEPEST_UM_PER_MM * abs(x_um - before_x_um) / 1e3
        residual_um = now.defocus_um - before.defocus_um + moved_um
        excused = now.defocus_um - min(max(residual_um, -most_um), most_um)
        level = Reading(now.z_um, excused, now.interval_um)
        finding = self.last_finding = compare(before, level, self._settings.focus_direction)
        if finding is Finding.AGREES:
            self.strikes = 0
        if finding is not Finding.OPPOSITE:
            return None
        self.strikes += 1
        if self.strikes < STRIKES:
            return None
        return Shutdown(f"{SIGN}: {STRIKES} corrections in a row went the wrong way")
