"""From an estimate to a proposal: deadband, confidence, verification, roll-back, strikes.

The target is z at mid-exposure plus the defocus, never z now: the defocus belongs to the moment
of its exposure. Every move is checked against what the next readable frame shows. Two moves in
a row that do not do what was predicted end in a shutdown, so a wrong focus sign is found within
two moves of the glass (H3, H7 of the safety case).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge.decide.decision import Hold, InFocus, Move, Plan, Shutdown
from edge.decide.evidence import Finding, Reading, compare, improved
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from edge.settings import MAX_INTERVAL_UM, MAX_SHOTS, SETTLE_MS, VERIFY_ABOVE_UM
from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import Stage, StageStatus

STRIKES = 2
START_NS = 500_000_000  # a stage that has not stirred this long after a move will not

SIGN = "focus sign contradicts the calibration"


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """`focus_direction`: +1 when a rising z raises the objective, -1 when it lowers it, 0 when
    it was not calibrated (then the guard refuses every move)."""

    focus_direction: int
    deadband_um: float
    sharp_um: float = 0.0  # half the depth of field: closer than this nobody sees a difference
    verify_above_um: float = VERIFY_ABOVE_UM
    max_interval_um: float = MAX_INTERVAL_UM
    settle_ns: int = round(SETTLE_MS * 1e6)
    max_shots: int = MAX_SHOTS


@dataclass(frozen=True, slots=True)
class _Sent:
    """A move under judgement. `before` is None when it left a place where nothing was readable."""

    before: Reading | None
    from_um: float
    target_um: float
    verify: bool
    rollback: bool = False


class Controller:
    """Proposes; one per loop, not thread-safe."""

    def __init__(self, settings: ControllerSettings) -> None:
        self._set = settings
        self._sent_ns = 0
        self.restart()

    def restart(self) -> None:
        """As new: no strikes, and a sign that no move has confirmed."""
        self.strikes = 0
        self.sign_confirmed = False
        self.last_finding: Finding | None = None
        self.new_field()

    def new_field(self) -> None:
        """Forget what was seen at the last XY position. Strikes stay: they belong to the stage."""
        self._last: _Sent | None = None
        self._proposed: _Sent | None = None
        self._owed: _Sent | None = None  # a roll-back that was refused
        self._doubted: Reading | None = None  # before a move that earned a strike
        self._shots = 0
        self._rolled_back = False

    def plan(self, estimate: FocusEstimate | NoFocus, stage: Stage) -> Plan:
        """Decide on one frame. StageUncertain and LinkLost pass through: position unknown."""
        self._proposed, self.last_finding = None, None
        status = stage.status()
        if self._unsettled(estimate.exposure_start_ns, status):
            return Hold("unsettled")
        try:
            at = stage.z_at(estimate.exposure_mid_ns)
        except StageRefused as refused:
            return Hold(refused.reason)
        if not (math.isfinite(at.z_um) and at.uncertainty_um <= self._set.max_interval_um):
            return Hold("position-uncertain")
        if self._owed is not None:
            return self._propose(self._owed, status, "roll-back")
        verdict = self._judge(estimate, at.z_um, at.uncertainty_um, status)
        if verdict is not None:
            return verdict
        if isinstance(estimate, NoFocus):
            return Hold(estimate.reason.value)
        return self._aim(estimate, at.z_um, at.uncertainty_um, status)

    def sent(self, sent_ns: int) -> None:
        """The guard sent the last proposal: from now on it is under judgement."""
        self._last, self._proposed, self._owed = self._proposed, None, None
        self._sent_ns = sent_ns
        self._shots += 1

    def _unsettled(self, exposure_start_ns: int, status: StageStatus) -> bool:
        if status.moving or status.settled_ns is None:
            return True
        if not exposure_start_ns >= max(status.settled_ns + self._set.settle_ns, self._sent_ns):
            return True
        # Accepted, but the last report may be from before the axis began to move.
        stirred = status.settled_ns >= self._sent_ns
        return not stirred and exposure_start_ns < self._sent_ns + START_NS

    def _aim(self, estimate: FocusEstimate, z_um: float, z_half_um: float, s: StageStatus) -> Plan:
        d, limits = estimate.defocus_um, self._set
        interval = math.hypot(estimate.interval_um, z_half_um)
        if not (math.isfinite(d) and interval <= self._set.max_interval_um):
            return Hold("uncertain")
        if abs(d) <= limits.deadband_um:
            self._shots = 0
            return InFocus()
        if not interval <= abs(d):  # which way is not known
            if abs(d) <= limits.sharp_um:  # and need not be
                self._shots = 0
                return InFocus("within-depth-of-field")
            return Hold("uncertain")
        large = abs(d) > limits.verify_above_um
        if large and self._rolled_back:
            return Hold("rolled-back")
        if self._shots >= limits.max_shots:
            return Hold("max-shots")
        target = z_um + limits.focus_direction * d
        move = _Sent(Reading(z_um, d, interval), z_um, target, verify=large)
        return self._propose(move, s, "large-defocus" if large else "defocus")

    def _propose(self, move: _Sent, status: StageStatus, reason: str) -> Move:
        self._proposed = move
        return Move(move.target_um, status.z_um, reason, move.verify)

    def _judge(
        self, estimate: FocusEstimate | NoFocus, z_um: float, z_half_um: float, s: StageStatus
    ) -> Plan | None:
        """What this frame says about the last move; None when planning may go on."""
        last = self._last
        if last is None:
            return None
        now = self._reading(estimate, z_um, z_half_um)
        if now is None:
            return self._roll_back(last, None, z_um, s, "unreadable") if last.verify else None
        self._last = None
        if last.before is None:
            return self._after_blind_return()
        finding = self.last_finding = compare(last.before, now, self._set.focus_direction)
        if self._one_reading_lied(last, now):
            return None
        judged = last.verify or (isinstance(estimate, NoFocus) and not last.rollback)
        worse = judged and not improved(last.before, now)
        if worse:
            return self._roll_back(last, now, z_um, s, finding.value)
        if finding is Finding.AGREES:
            self.sign_confirmed = True
            self.strikes = 0 if not last.rollback else self.strikes
        harmless = finding in (Finding.AGREES, Finding.UNCLEAR)
        if harmless or (last.rollback and finding is Finding.OVERSHOT):
            return None
        self._doubted = last.before
        return self._strike(finding)

    def _one_reading_lied(self, last: _Sent, now: Reading) -> bool:
        """Whether the last two moves together did what they should: then the reading between
        them, which earned a strike and aimed the second move, was wrong, and not the stage."""
        earlier, self._doubted = self._doubted, None
        if last.rollback or earlier is None:
            return False
        if compare(earlier, now, self._set.focus_direction) is not Finding.AGREES:
            return False
        self.strikes, self.sign_confirmed = 0, True
        return True

    def _reading(
        self, estimate: FocusEstimate | NoFocus, z_um: float, z_half_um: float
    ) -> Reading | None:
        """A defocus good enough to judge a move by. An estimate outside the range is: it may be
        far off in size, but a move that leads there was not a good one."""
        if isinstance(estimate, FocusEstimate):
            d = estimate.defocus_um
            limit = self._set.max_interval_um
        else:
            d, limit = estimate.rejected_um, math.inf
            if estimate.reason is not Reason.OUTSIDE_RANGE:
                return None
        interval = math.hypot(estimate.interval_um, z_half_um)
        if not (math.isfinite(d) and interval <= limit):
            return None
        return Reading(z_um, d, interval)

    def _strike(self, finding: Finding) -> Shutdown | None:
        self.strikes += 1
        if self.strikes < STRIKES:
            return None
        if finding is Finding.CONTRADICTS:
            return Shutdown(f"{SIGN}: {STRIKES} moves in a row went the wrong way")
        return Shutdown(f"{STRIKES} moves in a row did not do what was predicted ({finding.value})")

    def _roll_back(
        self, last: _Sent, now: Reading | None, z_um: float, status: StageStatus, why: str
    ) -> Plan:
        """A large move got worse, or a move left the range: return to where it started."""
        self._last, self._rolled_back = None, True
        finding = self.last_finding or Finding.SHORT
        shutdown = self._strike(finding)
        if shutdown is not None:
            return shutdown
        self._owed = _Sent(now, z_um, last.from_um, verify=False, rollback=True)
        return self._propose(self._owed, status, f"roll-back: {why}")

    def _after_blind_return(self) -> Shutdown | None:
        """Readable where we came from, unreadable where focus was predicted. With a sign that
        no move has ever confirmed this is the second witness against it."""
        if self.sign_confirmed:
            return None
        return self._strike(Finding.CONTRADICTS)
