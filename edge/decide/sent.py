"""A move that was sent, and what the reading before it predicts of the place where it leads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edge.decide.controller_settings import ControllerSettings
from edge.decide.evidence import CERTAIN, Reading
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason

FINE = 0.5  # of the deadband: what two readings together tell is worth a move from there on


@dataclass(frozen=True, slots=True)
class Sent:
    """A move under judgement. `before` is None when it left a place where nothing was readable.

    `origin`: of a roll-back, what was read before at the place where it leads. `guess`: made near
    focus by a reading whose interval holds zero as well. `fine`: made by two readings together,
    the one that led to its start among them. `led_by_um`: the interval of what it follows all the
    way; None where it does not.
    """

    before: Reading | None
    from_um: float
    target_um: float
    verify: bool
    rollback: bool = False
    origin: Reading | None = None
    guess: bool = False
    fine: bool = False
    led_by_um: float | None = None


def together(
    led_here: Sent | None, read_um: float, interval_um: float, settings: ControllerSettings
) -> tuple[float, float, bool]:
    """What this reading and the one that led here say together of how far focus is, and the
    interval of both, um: near focus each errs by as much as it measures, and the first said 0.
    Weighted by certainty; the reading alone where the two contradict each other.

    The last: whether a first correction by both may be made, which is worth a move sooner than
    one by a single reading is (`FINE`). Not after a guess: that was one already.
    """
    if led_here is None or led_here.led_by_um is None or not abs(read_um) <= settings.near_um:
        return read_um, interval_um, False
    led_by_um = led_here.led_by_um
    both_um = math.hypot(led_by_um, interval_um)
    if not 0.0 < abs(read_um) <= CERTAIN * both_um:
        return read_um, interval_um, False
    first = not (led_here.fine or led_here.guess)
    return read_um * (led_by_um / both_um) ** 2, led_by_um * interval_um / both_um, first


def as_predicted(
    last: Sent, estimate: FocusEstimate | NoFocus, z_um: float, settings: ControllerSettings,
    true_um: Callable[[float], float],
) -> bool:  # fmt: skip
    """Whether a frame outside the training, or one whose patches disagree, which by itself would
    tell nothing, shows the focus that the reading before the move put here. `true_um`: a reading
    in um that the glass moves."""
    before = last.before
    if before is None or last.rollback or not isinstance(estimate, NoFocus):
        return False
    if estimate.reason not in (Reason.OUTSIDE_TRAINING, Reason.PATCHES_DISAGREE):
        return False
    left_um = true_um(before.defocus_um) - settings.focus_direction * (z_um - before.z_um)
    here_um = true_um(estimate.rejected_um)
    both_um = math.hypot(before.interval_um, estimate.interval_um)
    near = abs(here_um) <= settings.near_um  # False for what is not a number
    return near and max(abs(left_um), abs(here_um - left_um)) <= both_um
