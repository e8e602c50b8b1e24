"""How the stage has behaved: what every frame after a move says for it or against it.

Only what is seen counts. A move that the next reading contradicts is a strike; two in a row end
in a shutdown, an answer as predicted wipes them out. What is within the noise is kept until the
next move, and both are judged together. A glass that did not follow after a reversal is play, and
a reading that disagrees with itself near focus, where the sign has been confirmed, is the
reading's fault: neither is a strike. A frame that shows nothing never comes here.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge.decide.debts import PATIENCE
from edge.decide.evidence import CERTAIN, Change, Finding, Reading, averaged, same
from edge.decide.play import MOST_PLAY_UM, Play
from edge.decide.reading_scale import ReadingScale

STRIKES = 2
SIGN = "focus sign contradicts the calibration"
#: within this of focus a network's own bias and gain are as large as what it measures
NEAR_UM = 3.0
#: of a stage that was never seen to follow: so much of one move, or of several, may be play
UNPROVEN_UM = 8.0


@dataclass(frozen=True, slots=True)
class Judged:
    """What one reading after a move says. `shutdown` is the reason for one, or empty."""

    finding: Finding
    struck: bool = False
    lost: bool = False  # in the play
    settled: bool = False  # with the reading before it, the move did what it should
    disputed: bool = False  # near focus, the reading disagrees with itself
    gain: float = 1.0  # um of reading per um of travel, near focus; 1 where that is not known
    moves: int = 1  # that were judged together
    shutdown: str = ""


@dataclass(frozen=True, slots=True)
class _Span:
    """The reading before moves of which the last reading alone did not decide."""

    first: Reading
    last: Reading
    undecided: int  # moves that earned no strike


class Conduct:
    """`direction` = +1 when a rising z raises the objective, -1 when it lowers it. Not thread-safe.

    What belongs to the stage outlasts a field: strikes, the sign, the play. `scale`: what readings
    are worth; all are given as they were read. `near_um`: as NEAR_UM, of this instrument;
    `no_play`: the drive ends every move from one side.
    """

    def __init__(
        self,
        direction: int,
        scale: ReadingScale | None = None,
        near_um: float = NEAR_UM,
        no_play: bool = False,
    ) -> None:
        self._direction, self._near_um, self._no_play = direction, near_um, no_play
        self.scale = scale or ReadingScale()
        self.restart()

    def restart(self) -> None:
        """As new: no strikes, a sign that no move has confirmed, a play that is not known."""
        self.strikes = 0
        self.sign_confirmed = False
        self._unjudged = 0  # moves in a row, one a field, after which no frame was seen
        self._readable = 0  # frames since they are too many
        self.scale.restart()
        self._play = Play()
        self._lost_moves = 0  # in a row
        self._dead: set[bool] = set()  # directions in which more than any play was lost
        self.new_field()

    def new_field(self, unjudged: bool = False) -> None:
        """Readings of the last field are compared with nothing of this one. `unjudged`: its last
        move was not seen after."""
        self._unjudged += unjudged
        self._span: _Span | None = None
        self._stuck: tuple[bool, float] | None = None  # upwards or not, and what was lost (um)

    def moved_by_another(self) -> None:
        """A hand, or another program, moved the stage: where its play is taken up is not known."""
        self._span = None
        self._play.forget()
        self._stuck = None
        self._dead.clear()

    def judge(self, before: Reading, after: Reading, ended: bool = False) -> Judged:
        """A move for which `before` was the reason, and what was read after it. `ended`: the stage
        reports the place where the move should end; only then it tells what a reading is worth."""
        self._unjudged = self._readable = 0
        may_be_lost_um = self._play.may_lose_um(before.z_um, after.z_um)
        judged = self._judged(before, after)
        if ended and not (judged.struck or judged.disputed):  # what was lost shows no change
            raw = Change.between(before, after, self._direction)
            self.scale.learn(raw, 0.0 if self._no_play else may_be_lost_um)
        return judged

    def _judged(self, before: Reading, after: Reading) -> Judged:
        span, self._span = self._span, None
        if span is not None and not same(span.last, before):
            span = None  # something else moved the glass, or the specimen, between the two
        change = self._change(before, after)
        finding, first, moves = change.finding, before, 1
        if change.engaged:
            self._follows(before, after)
        if span is not None:
            joint = self._change(span.first, after)
            if joint.finding is Finding.AGREES:
                self.strikes, self.sign_confirmed = 0, True
                return Judged(finding, settled=True)
            tells_more = finding is Finding.NOTHING or joint.finding is Finding.OPPOSITE
            if tells_more and joint.finding in (Finding.SHORT, Finding.OPPOSITE):
                finding, change, first = joint.finding, joint, span.first
                moves += span.undecided
        if finding is Finding.NOTHING:
            started, undecided = (span.first, span.undecided) if span else (before, 0)
            self._span = _Span(started, after, undecided + 1)
            return Judged(finding)
        farthest_um = max(abs(first.defocus_um), abs(after.defocus_um))
        near = farthest_um / self.scale.value <= self._near_um
        if change.followed or finding is Finding.AGREES:
            self.sign_confirmed = True
        if finding in (Finding.AGREES, Finding.OVERSHOT):
            self.strikes = 0 if finding is Finding.AGREES else self.strikes
            return Judged(finding, gain=change.gain(near), moves=moves)
        # what went the wrong way is neither motionless nor engaged: nothing excuses it
        if self._excused(first, after, change):
            if change.engaged:
                return Judged(finding, moves=moves)
            return self._lost(first, after, moves)
        if lost_um := self._stuck_by(first, after, change):
            return Judged(finding, lost=True, moves=moves, shutdown=self._both_ways_dead(lost_um))
        if self.sign_confirmed and (near or change.unlike_a_move):
            return Judged(finding, disputed=True, moves=moves)
        self._span = _Span(first, after, 0)
        count = 1 if self.sign_confirmed else moves
        return Judged(finding, struck=True, moves=moves, shutdown=self.strike(finding, count))

    def returned(self, origin: Reading | None, away: Reading, back: Reading) -> Judged:
        """A roll-back to where `origin` was read, from `away`, and what is read there now.

        It shows the same two places once more. That proves a wrong sign where no move has
        confirmed it; where one has, it is the readings that contradict each other.
        """
        self._span = None
        if self.sign_confirmed and origin is not None and same(origin, back):
            return Judged(Finding.NOTHING)
        if origin is not None and not self.sign_confirmed:
            back = averaged(origin, back)
        change = self._change(away, back)
        finding = change.finding
        if change.engaged:
            self._follows(away, back)
        self.sign_confirmed = self.sign_confirmed or change.followed
        excused = self.sign_confirmed and self._excused(away, back, change)
        if finding in (Finding.OPPOSITE, Finding.SHORT) and not excused:
            return Judged(finding, struck=True, shutdown=self.strike(finding))
        return Judged(finding)

    def strike(self, finding: Finding, moves: int = 1) -> str:
        """Count `moves` against the stage; the reason for a shutdown, or ""."""
        self.strikes += moves
        if self.strikes < STRIKES:
            return ""
        if finding is Finding.OPPOSITE:
            return f"{SIGN}: {self.strikes} moves in a row went the wrong way"
        return f"{self.strikes} moves in a row did not do what was predicted ({finding.value})"

    def unproven(self) -> bool:
        """Whether another move must wait: the sign was never confirmed, and frames failed after the
        last moves, field by field. Where they come again, one move may be tried once more."""
        if self.sign_confirmed or self._unjudged < STRIKES:
            return False
        self._readable += 1
        if self._readable <= PATIENCE:
            return True
        self._unjudged, self._readable = STRIKES - 1, 0
        return False

    def _change(self, before: Reading, after: Reading) -> Change:
        """Between two readings, in um of travel."""
        return Change.between(self.scale.worth(before), self.scale.worth(after), self._direction)

    def stuck_um(self, upwards: bool) -> float:
        """Motion that was lost in this direction, more than any play; 0 when that way is free."""
        return self._stuck[1] if self._stuck and self._stuck[0] is upwards else 0.0

    def _follows(self, before: Reading, after: Reading) -> None:
        self._play.followed(before.z_um, after.z_um)
        self._lost_moves, self._stuck = 0, None
        self._dead.clear()

    def _excused(self, before: Reading, after: Reading, change: Change) -> bool:
        """Whether play explains that so little was seen."""
        if not (change.motionless or change.engaged):
            return False
        most = MOST_PLAY_UM if self.sign_confirmed else UNPROVEN_UM
        may_um = min(self._play.may_lose_um(before.z_um, after.z_um), most)
        must_um = change.travel_um - may_um
        return change.right_um >= must_um - max(CERTAIN * change.noise_um, 0.5 * must_um)

    def _lost(self, before: Reading, after: Reading, moves: int) -> Judged:
        self._play.lost(before.z_um, after.z_um)
        self._lost_moves += moves
        if self.sign_confirmed:
            return Judged(Finding.SHORT, lost=True, moves=moves)
        if self._lost_moves >= STRIKES and self._play.lost_um >= UNPROVEN_UM:
            return Judged(Finding.SHORT, struck=True, shutdown=self.strike(Finding.SHORT))
        self.strikes = max(self.strikes, 1)
        return Judged(Finding.SHORT, struck=True, lost=True, moves=moves)

    def _stuck_by(self, before: Reading, after: Reading, change: Change) -> float:
        """How much was lost where that is more than any play: that way is closed until another
        field. Else 0."""
        if not change.motionless:
            return 0.0
        self._play.lost(before.z_um, after.z_um)
        lost_um = self._play.lost_um
        if not (self.sign_confirmed and self._lost_moves and lost_um > MOST_PLAY_UM):
            return 0.0
        upwards = after.z_um > before.z_um
        self._stuck = upwards, lost_um
        self._dead.add(upwards)
        self._play.forget()  # the other way it all begins anew
        self._lost_moves = 0
        return lost_um

    def _both_ways_dead(self, lost_um: float) -> str:
        if len(self._dead) < 2:
            return ""
        return f"the glass follows in neither direction: {lost_um:.1f} um were lost"
