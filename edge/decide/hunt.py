"""The moves of one field, and when they are enough.

Near focus a network's gain and bias are as large as what it measures, so that one look and the
next may disagree for ever. Small moves are damped by what the last two readings showed, a secant
through them, and where readings of both sides, or of none, go on contradicting each other, focus
is where they do: no fault of the stage, and nothing that another move would better.
"""

from __future__ import annotations

from edge.decide.conduct import NEAR_UM, Judged
from edge.decide.debts import PATIENCE
from edge.decide.decision import Hold, InFocus, Plan

DISPUTES = 2  # small moves in a row that the reading did not answer: it knows no better


class Hunt:
    """`max_shots` moves without reaching focus; nobody sees a difference within `sharp_um`."""

    def __init__(self, max_shots: int, sharp_um: float, near_um: float = NEAR_UM) -> None:
        self._max_shots, self._sharp_um, self._near_um = max_shots, sharp_um, near_um
        self.begin_anew()

    def begin_anew(self) -> None:
        """Focus was found, or another field begins: all moves are allowed again."""
        self._shots = 0
        self._disputes = 0
        self._gain = 1.0  # of the reading, as the last two showed it
        self._sides: set[bool] = set()  # of focus, on which small moves began
        self._unsure_um = 0.0  # readings disagree with themselves by this: no small moves
        self._frames, self._side = 0, False  # in a row that read the same side since then

    def sent(self) -> None:
        """A move was made."""
        self._shots += 1

    def heard(self, judged: Judged) -> None:
        """What was read after it. Motion lost in the play is no shot."""
        self._gain = judged.gain
        if judged.lost:
            self._shots = max(0, self._shots - judged.moves)
        else:
            self._disputes = self._disputes + 1 if judged.disputed else 0

    def travel_um(self, defocus_um: float) -> float:
        """How far to move for a reading; it is taken for the beginning of a move."""
        if abs(defocus_um) <= self._near_um:
            self._sides.add(defocus_um > 0)
        return defocus_um / self._gain

    def end(self, defocus_um: float, guess: bool = False) -> Plan | None:
        """How the hunt ends at this reading, or None: another move is allowed. `guess`: zero is
        within its interval, or within that of the last two readings together."""
        far_um = abs(defocus_um)
        if self._unsure_um:
            self._frames = self._frames + 1 if (defocus_um > 0) is self._side else 1
            self._side = defocus_um > 0
            if far_um <= self._unsure_um and self._frames <= PATIENCE:
                return InFocus("readings-disagree")
            self.begin_anew()  # farther off than they disagree, or they agree by now
        over = self._shots >= self._max_shots
        hunted = self._disputes >= DISPUTES or (over and len(self._sides) == 2)
        if far_um <= self._near_um and hunted:
            self._unsure_um = max(far_um, self._sharp_um)
            return InFocus("readings-disagree")
        if over and far_um <= self._sharp_um:
            return InFocus("within-depth-of-field")
        if over and guess:
            return InFocus("within-interval")
        return self._enough() if over else None

    def _enough(self) -> Hold | None:
        """No more moves for a while; then the field is begun anew."""
        self._frames += 1
        if self._frames <= PATIENCE:
            return Hold("max-shots", enough=True)
        self.begin_anew()
        return None
