"""What the networks said of each frame of a field, beside what was true of it.

The loop looks at a field from wherever it starts, then from near its focus: its frames show one
shot, the near range, and whether one look and the next agree.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge.appliance.report.focus_record import FieldRecord
from edge.measure.aggregate import FocusEstimate, NoFocus

#: below it a wrong direction costs nothing; and what counts as near focus
DIRECTION_UM, NEAR_UM = 1.0, 3.0


@dataclass(frozen=True, slots=True)
class Look:
    """One frame. `true_um`: best focus less the objective's height; `defocus_um` +- `interval_um`
    what was read, both None where there was no answer; `reason` why, or the decision's."""

    true_um: float
    defocus_um: float | None
    interval_um: float | None
    reason: str

    @property
    def error_um(self) -> float:
        """Read less true; NaN without an answer."""
        return math.nan if self.defocus_um is None else self.defocus_um - self.true_um

    @property
    def holds(self) -> bool:
        """Whether the truth lies within the interval; False without an answer."""
        return self.interval_um is not None and abs(self.error_um) <= self.interval_um


def looks_of(record: FieldRecord) -> tuple[Look, ...]:
    """The frames of one field that were measured, in their order; none of a blank field."""
    if record.z_focus_um is None:
        return ()
    looks = []
    for outcome, height in zip(record.outcomes, record.heights_um, strict=True):
        if height is None:
            continue
        estimate, true = outcome.estimate, record.z_focus_um - height
        if isinstance(estimate, FocusEstimate):
            answer = (estimate.defocus_um, estimate.interval_um, outcome.reason)
            looks.append(Look(true, *answer))
        elif isinstance(estimate, NoFocus):
            looks.append(Look(true, None, None, estimate.reason.value))
    return tuple(looks)


def summary(fields: Sequence[Sequence[Look]]) -> dict[str, Any]:
    """Of the first looks: answered, mean error, direction and interval; of all looks: the interval
    near focus, and the share of pairs of one field that lie within each other's intervals. Shares
    are None where nothing can be counted."""
    first = [looks[0] for looks in fields if looks]
    answered = [look for look in first if look.defocus_um is not None]
    every = [look for looks in fields for look in looks if look.defocus_um is not None]
    pairs = [pair for looks in fields for pair in itertools.combinations(looks, 2)]
    both = [(a, b) for a, b in pairs if a.defocus_um is not None and b.defocus_um is not None]
    far = [look for look in answered if abs(look.true_um) >= DIRECTION_UM]
    return {
        "fields": len(first),
        "answered": _share([look.defocus_um is not None for look in first]),
        "error_um": _mean([abs(look.error_um) for look in answered]),
        "direction": _share([(look.defocus_um or 0.0) * look.true_um > 0 for look in far]),
        "holds": _share([look.holds for look in answered]),
        "holds_near": _share([k.holds for k in every if abs(k.true_um) <= NEAR_UM]),
        "near": sum(abs(look.true_um) <= NEAR_UM for look in every),
        "agree": _share([agree(a, b) for a, b in both]),
        "pairs": len(both),
    }


def agree(one: Look, other: Look) -> bool:
    """Whether two answers name the same focus within both their intervals, added in squares."""
    assert one.interval_um is not None
    assert other.interval_um is not None
    return abs(one.error_um - other.error_um) <= math.hypot(one.interval_um, other.interval_um)


HEAD = (
    f"{'group':<18}{'first':>7}{'answered %':>12}{'error':>8}{'direction %':>13}{'holds %':>9}"
    f"{'near':>7}{'holds %':>9}{'pairs':>7}{'agree %':>9}"
)


def line(group: str, summary: dict[str, Any]) -> str:
    """A row under `HEAD`; errors in um."""
    percent = {
        name: "-" if summary[name] is None else f"{100 * summary[name]:.1f}"
        for name in ("answered", "direction", "holds", "holds_near", "agree")
    }
    error = "-" if summary["error_um"] is None else f"{summary['error_um']:.2f}"
    return (
        f"{group:<18}{summary['fields']:>7}{percent['answered']:>12}{error:>8}"
        f"{percent['direction']:>13}{percent['holds']:>9}{summary['near']:>7}"
        f"{percent['holds_near']:>9}{summary['pairs']:>7}{percent['agree']:>9}"
    )


def _share(hits: Sequence[bool]) -> float | None:
    return sum(hits) / len(hits) if hits else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
