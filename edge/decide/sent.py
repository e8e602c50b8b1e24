"""A move that was sent, and what the reading before it predicts of the place where it leads."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from edge.decide.controller_settings import ControllerSettings
from edge.decide.evidence import Reading
from edge.measure.aggregate import FocusEstimate, NoFocus, Reason


@dataclass(frozen=True, slots=True)
class Sent:
    """A move under judgement. `before` is None when it left a place where nothing was readable.

    `origin`: of a roll-back, what was read before at the place where it leads. `guess`: made near
    focus by a reading whose interval holds zero as well. `led_by_um`: the interval of the reading
    that it follows all the way; None where it does not.
    """

    before: Reading | None
    from_um: float
    target_um: float
    verify: bool
    rollback: bool = False
    origin: Reading | None = None
    guess: bool = False
    led_by_um: float | None = None


def here_together(led_here: Sent | None, read_um: float, interval_um: float,
                  settings: ControllerSettings) -> bool:  # fmt: skip
    """Whether the reading that led here and this one, weighted by their certainty, put focus here:
    within both intervals together, or no farther off than anybody sees."""
    led_by_um = None if led_here is None else led_here.led_by_um
    if led_by_um is None or abs(read_um) > settings.near_um:
        return False
    both_um = math.hypot(led_by_um, interval_um)
    together_um = abs(read_um) * (led_by_um / both_um) ** 2
    return together_um <= max(led_by_um * interval_um / both_um, settings.sharp_um)


def as_predicted(
    last: Sent, estimate: FocusEstimate | NoFocus, z_um: float, settings: ControllerSettings,
    true_um: Callable[[float], float],
) -> bool:  # fmt: skip
    """Whether a frame outside the training, which by itself would tell nothing, shows the focus
    that the reading before the move put here. `true_um`: a reading in um that the glass moves."""
    before = last.before
    if before is None or last.rollback or not isinstance(estimate, NoFocus):
        return False
    if estimate.reason is not Reason.OUTSIDE_TRAINING:
        return False
    left_um = true_um(before.defocus_um) - settings.focus_direction * (z_um - before.z_um)
    here_um = true_um(estimate.rejected_um)
    both_um = math.hypot(before.interval_um, estimate.interval_um)
    near = abs(here_um) <= settings.near_um  # False for what is not a number
    return near and max(abs(left_um), abs(here_um - left_um)) <= both_um
