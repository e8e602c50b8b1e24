"""From an estimate to a proposal: deadband, confidence, verification, roll-back.

The target is z at mid-exposure plus the defocus, never z now: the defocus belongs to the moment
of its exposure. Every move is checked against what the next readable frame shows, and what that
says about the stage is weighed in edge.decide.conduct: a wrong focus sign is found within two
moves of the glass (H3, H7 of the safety case). A frame that shows nothing is looked at again.
"""

from __future__ import annotations

import math

from edge.decide.conduct import SIGN, Conduct, Judged
from edge.decide.controller_settings import ControllerSettings
from edge.decide.debts import Debts, Owed, place_um
from edge.decide.decision import Hold, InFocus, LookAgain, Move, Plan, Shutdown
from edge.decide.evidence import Finding, Reading, improved
from edge.decide.hunt import Hunt
from edge.decide.reading_scale import ReadingScale, Scale
from edge.decide.sent import FINE, Sent, as_predicted, together
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason
from firmware_bridge.errors import StageRefused
from firmware_bridge.stage import Stage, StageStatus

START_NS = 500_000_000  # a stage that has not stirred this long after a move will not

#: frames that show nothing after a large move, before it is taken back; and how many where the
#: return is to tell something, because no move has confirmed the sign yet
LOOKS, LOOKS_UNPROVEN = 5, 24


class Controller:
    """Proposes; one per loop, not thread-safe."""

    def __init__(self, settings: ControllerSettings) -> None:
        self._settings = settings
        self.offset_um = settings.offset_um  # that estimates carry (edge.measure.focus_offset)
        self._sent_ns = 0
        self._place_um: float | None = None  # where the stage was left
        self._scale = ReadingScale(
            settings.reading_scale, settings.reading_scale_95, settings.axial_unit
        )
        self._conduct = Conduct(
            settings.focus_direction, self._scale, settings.near_um, settings.no_play
        )
        self._hunt = Hunt(settings.max_shots, settings.sharp_um, settings.near_um)
        self.restart()

    def restart(self) -> None:
        """As new: no strikes, and a sign that no move has confirmed."""
        self._last: Sent | None = None
        self._conduct.restart()
        self.last_finding: Finding | None = None
        self.new_field()

    def new_field(self) -> None:
        """Forget what was seen at the last XY position. Strikes stay: they belong to the stage, and
        so does a move that no frame was seen after."""
        pending = self._last is not None and not self._last.rollback
        self._conduct.new_field(unjudged=pending)
        self._last = None
        self._proposed: Sent | None = None
        self._begin_here()

    def _begin_here(self) -> None:
        self._led_here: Sent | None = None  # the last move to where the glass stands
        self._debts: Debts[Sent] = Debts()
        self._looks = 0  # at frames that show nothing, after the last move
        self._hunt.begin_anew()

    def _moved_by_another(self) -> None:
        """A hand on the knob, or another program: what was owed belongs to another place. A move
        under judgement is judged by the reported z nevertheless, as long as the sign is unproven.
        """
        self._conduct.moved_by_another()
        if self.sign_confirmed:
            self._last = None
        self._begin_here()

    @property
    def strikes(self) -> int:
        """Moves in a row that did not do what was predicted."""
        return self._conduct.strikes

    @property
    def scale(self) -> Scale:
        """What a reading is worth, as far as the moves have told (edge.decide.reading_scale)."""
        return self._scale.summary

    @property
    def sign_confirmed(self) -> bool:
        """Whether a move did what was predicted since the start, or since a person restarted."""
        return self._conduct.sign_confirmed

    @sign_confirmed.setter
    def sign_confirmed(self, confirmed: bool) -> None:
        self._conduct.sign_confirmed = confirmed

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
        if not (math.isfinite(at.z_um) and at.uncertainty_um <= self._settings.max_interval_um):
            return Hold("position-uncertain")
        now = self._reading(estimate, at.z_um, at.uncertainty_um)
        slack_um = place_um(stage.resolution_um, at.uncertainty_um)
        if self._place_um is not None and abs(at.z_um - self._place_um) > slack_um:
            self._moved_by_another()
        self._place_um = at.z_um
        owed = self._debts.due(at.z_um, slack_um, estimate.exposure_mid_ns, now is not None)
        if owed is not None:
            return self._propose(owed, status, "roll-back")
        self._last = self._debts.released(self._last)
        verdict = self._judge(estimate, now, at.z_um, slack_um, status)
        if verdict is not None:
            return verdict
        if isinstance(estimate, NoFocus):
            return Hold(estimate.reason.value)
        return self._aim(estimate, at.z_um, at.uncertainty_um, status)

    def sent(self, sent_ns: int) -> None:
        """The guard sent the last proposal: from now on it is under judgement."""
        self._last, self._proposed = self._proposed, None
        assert self._last is not None
        self._led_here, self._place_um = self._last, self._last.target_um
        self._debts.paid(self._last.target_um)
        self._looks = 0
        self._sent_ns = sent_ns
        self._hunt.sent()

    def _unsettled(self, exposure_start_ns: int, status: StageStatus) -> bool:
        if status.moving or status.settled_ns is None:
            return True
        if not exposure_start_ns >= max(
            status.settled_ns + self._settings.settle_ns, self._sent_ns
        ):
            return True
        # Accepted, but the last report may be from before the axis began to move.
        stirred = status.settled_ns >= self._sent_ns
        return not stirred and exposure_start_ns < self._sent_ns + START_NS

    def _aim(self, estimate: FocusEstimate, z_um: float, z_half_um: float, s: StageStatus) -> Plan:
        strange = self._settings.hold_outside and estimate.outside
        if strange and not (self._led_here or self._scale.known):
            return Hold(f"{Reason.OUTSIDE_TRAINING.value}: {estimate.outside}")
        d, limits = self._true_um(estimate.defocus_um), self._settings
        interval = math.hypot(estimate.interval_um / self._scale.value, z_half_um)
        if not (math.isfinite(d) and interval <= limits.max_interval_um):
            return Hold("uncertain")
        d, interval, fine = together(self._led_here, d, interval, limits)
        if abs(d) <= limits.deadband_um * (FINE if fine else 1.0):
            self._debts.in_focus()
            self._hunt.begin_anew()
            return InFocus()
        if not interval <= abs(d):  # which way is not known
            guessed = self.sign_confirmed and interval <= limits.near_um
            if abs(d) <= limits.sharp_um and not (fine and guessed):  # and need not be
                self._hunt.begin_anew()
                return InFocus("within-depth-of-field")
            if not guessed:
                return Hold("uncertain")
            if self._led_here and self._led_here.guess:  # no other move would be a better one
                return InFocus("within-interval")
        guess = not interval <= abs(d)
        large = abs(d) > limits.verify_above_um
        if large and self._debts.forbids_large():
            return Hold("rolled-back", enough=True)
        end = self._hunt.end(d, guess)
        if end is not None:
            return end
        wanted_um = self._hunt.travel_um(d)
        step_um = self._within_a_step(wanted_um)
        travel_um = limits.focus_direction * step_um
        stuck_um = self._conduct.stuck_um(upwards=travel_um > 0)
        if stuck_um:
            play = f"play: {stuck_um:.1f} um of motion after a reversal moved nothing"
            return Hold(play, enough=True)
        if self._conduct.unproven():
            return Hold("unproven: no frame was seen after the last moves", enough=True)
        raw = math.hypot(estimate.interval_um, z_half_um)
        reading = Reading(z_um, estimate.defocus_um, raw, estimate.exposure_mid_ns)
        move = Sent(
            reading, z_um, z_um + travel_um, verify=large, guess=guess, fine=fine,
            led_by_um=interval if step_um == wanted_um else None,
        )  # fmt: skip
        reason = "likely-defocus" if guess else "large-defocus" if large else "defocus"
        return self._propose(move, s, reason)

    def _true_um(self, read_um: float) -> float:
        """A reading in um that the glass must move; the user's offset is in these already."""
        value, offset_um = self._scale.value, self.offset_um
        return read_um if value == 1.0 else (read_um - offset_um) / value + offset_um

    def _within_a_step(self, travel_um: float) -> float:
        most_um = self._settings.max_step_um
        return min(max(travel_um, -most_um), most_um)

    def _propose(self, move: Sent, status: StageStatus, reason: str) -> Move:
        self._proposed = move
        return Move(move.target_um, status.z_um, reason, move.verify)

    def _judge(
        self,
        estimate: FocusEstimate | NoFocus,
        now: Reading | None,
        z_um: float,
        slack_um: float,
        s: StageStatus,
    ) -> Plan | None:
        """What this frame says about the last move; None when planning may go on."""
        last = self._last
        if last is None:
            return None
        if now is None:
            trusted = self.sign_confirmed  # such a frame says nothing about the stage
            if trusted and as_predicted(last, estimate, z_um, self._settings, self._true_um):
                self._last = None
                return InFocus("as-predicted")
            return self._blind(last, _why(estimate), z_um, slack_um, s, estimate.exposure_mid_ns)
        self._last = None
        if last.before is None:
            return self._after_blind_return()
        if last.rollback:
            judged = self._conduct.returned(last.origin, last.before, now)
        else:
            ended = abs(z_um - last.target_um) <= slack_um and isinstance(estimate, FocusEstimate)
            judged = self._conduct.judge(last.before, now, ended)
        self.last_finding = judged.finding
        if judged.shutdown:
            return Shutdown(judged.shutdown)
        self._hunt.heard(judged)
        if judged.settled or judged.lost or last.rollback:
            return None
        if (last.verify or isinstance(estimate, NoFocus)) and not improved(last.before, now):
            return self._take_back(last, now, judged, s)
        return None

    def _reading(
        self, estimate: FocusEstimate | NoFocus, z_um: float, z_half_um: float
    ) -> Reading | None:
        """A defocus good enough to judge a move by. An estimate outside the range is: it may be
        far off in size, but a move that leads there was not a good one."""
        if isinstance(estimate, FocusEstimate):
            d = estimate.defocus_um
            limit = self._settings.max_interval_um
        else:
            d, limit = estimate.rejected_um, math.inf
            if estimate.reason is not Reason.OUTSIDE_RANGE:
                return None
        interval = math.hypot(estimate.interval_um, z_half_um)
        if not (math.isfinite(d) and interval <= limit):
            return None
        return Reading(z_um, d, interval, estimate.exposure_mid_ns)

    def _take_back(self, last: Sent, now: Reading, judged: Judged, s: StageStatus) -> Plan:
        """A large move got worse, or a move left the range: return to where it started."""
        shutdown = "" if judged.struck else self._conduct.strike(judged.finding)
        if shutdown:
            return Shutdown(shutdown)
        back = Sent(now, now.z_um, last.from_um, False, rollback=True, origin=last.before)
        self._debts.owe(Owed(back, now.z_um, now.time_ns))
        return self._propose(back, s, f"roll-back: {judged.finding.value}")

    def _blind(
        self, last: Sent, why: str, z_um: float, slack_um: float, s: StageStatus, time_ns: int
    ) -> Plan | None:
        """Nothing can be read after a move: that says nothing about the stage. Look again; where
        still nothing is seen after a large move, go back to where something was."""
        self._looks += 1
        if last.before is None:  # it was blindness that led here
            self._debts.blind_here_too()
        most = LOOKS if self.sign_confirmed or not last.verify else LOOKS_UNPROVEN
        if self._looks < most:
            return LookAgain(f"look-again: {why}")
        if not last.verify or abs(z_um - last.target_um) > slack_um:
            return None
        self._last = None
        back = Sent(None, z_um, last.from_um, False, rollback=True)
        self._debts.owe(Owed(back, z_um, time_ns, blind=last))
        return self._propose(back, s, "roll-back: unreadable")

    def _after_blind_return(self) -> Shutdown | None:
        """Readable where we came from, unreadable for long where focus was predicted. With a sign
        that no move has ever confirmed this is a witness against it; where nothing could be read
        here either, it was the light."""
        if self.sign_confirmed or not self._debts.blind_there_only:
            return None
        return Shutdown(f"{SIGN}: nothing to read where it predicted focus, and here there is")


def _why(estimate: FocusEstimate | NoFocus) -> str:
    return estimate.reason.value if isinstance(estimate, NoFocus) else "uncertain"
