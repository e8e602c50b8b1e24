"""Which frame shows which field of a line: pulses of the stage against frames of the camera.

A line is safe only while both sides count alike. Where they do not, a field without its frame is
LOST; it never gets its neighbour's. Frames are told apart by the camera's own counter, and where
the clocks are good enough by time, too: a pulse that the camera did not take shifts its counter,
and only time shows after which field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from edge.camera import EveryFrame, Numbered
from firmware_bridge.xy_stage import Triggered


class Loss(str, Enum):
    """Why a field of the line has no frame."""

    NO_PULSE = "no-pulse"  # the stage did not give it: stopped before, or never there
    NO_FRAME = "no-frame"  # not exposed, or lost on its way
    OVERFLOW = "overflow"  # it came, and there was no room for it
    UNSURE = "unsure"  # counts disagree, and time cannot tell which field a frame shows


@dataclass(frozen=True, slots=True)
class Line:
    """What is known when a line has ended.

    `planned`: fields of the line; `given`: pulses that the stage says it gave; `pulses`: those of
    which it told; `frames`: in the order of arrival, with copies and late ones; `before`: the
    camera's counter before the line, None = not known; `overflowed`: counters of frames without
    room; `delay_ns`: from pulse to exposure; `period_ns`: between two pulses, at least.
    """

    planned: int
    given: int
    pulses: Sequence[Triggered]
    frames: Sequence[Numbered]
    before: int | None
    period_ns: int
    overflowed: Sequence[int] = ()
    broken: str | None = None
    delay_ns: int = 0


@dataclass(frozen=True, slots=True)
class Matched:
    """`fields[n]`: the frame of field n, or why there is none. `copies`: frames that came twice;
    `strangers`: frames of no pulse of this line."""

    fields: tuple[Numbered | Loss, ...]
    copies: int = 0
    strangers: int = 0

    @property
    def lost(self) -> dict[int, Loss]:
        """Field -> why it must be taken again."""
        return {n: one for n, one in enumerate(self.fields) if isinstance(one, Loss)}


def after_line(
    every: EveryFrame, frames: Sequence[Numbered], planned: int, given: int,
    pulses: Sequence[Triggered], period_ns: int, delay_ns: int = 0,
) -> Line:  # fmt: skip
    """A Line of what a camera kept."""
    return Line(
        planned, given, pulses, frames, every.before, period_ns, every.overflowed, every.broken,
        delay_ns,
    )  # fmt: skip


def match(line: Line) -> Matched:
    """Give each field its frame, or say why it has none."""
    kept: dict[int, Numbered] = {}
    copies = 0
    for frame in line.frames:
        copies += int(frame.counter in kept)
        kept.setdefault(frame.counter, frame)
    stale = [c for c in kept if line.before is not None and c <= line.before]
    for counter in stale:
        del kept[counter]
    by_field = _by_time(line, kept)
    if by_field is None:
        by_field = _by_count(line, kept)
    if by_field is None:
        unsure = tuple(
            Loss.UNSURE if n < line.given else Loss.NO_PULSE for n in range(line.planned)
        )
        return Matched(unsure, copies, len(stale))
    strangers = len(stale) + sum(1 for c in kept if c not in set(by_field.values()))
    return Matched(
        tuple(_field(line, kept, by_field.get(n), n) for n in range(line.planned)),
        copies,
        strangers,
    )


def _field(line: Line, kept: dict[int, Numbered], counter: int | None, n: int) -> Numbered | Loss:
    if counter is not None and counter in kept:
        return kept[counter]
    told = {pulse.count for pulse in line.pulses}
    if n not in told and (n >= line.given or len(told) == line.given):
        return Loss.NO_PULSE
    return Loss.OVERFLOW if counter in set(line.overflowed) else Loss.NO_FRAME


def _by_time(line: Line, kept: dict[int, Numbered]) -> dict[int, int] | None:
    """Field -> counter by the moment of its exposure. None where the clocks are too coarse, or
    where time and counter contradict each other."""
    times = {pulse.count: pulse.time_ns for pulse in line.pulses}
    if len(times) < line.given or len(times) != len(line.pulses):
        return None  # a pulse of which nobody told the time
    slack_ns = line.period_ns // 2
    if any(2 * one.frame.time_uncertainty_ns >= line.period_ns for one in kept.values()):
        return None
    pairs: dict[int, int] = {}
    for counter in sorted(kept):
        frame = kept[counter].frame
        near = slack_ns - frame.time_uncertainty_ns
        fits = [
            n
            for n, time_ns in times.items()
            if n < line.planned and abs(frame.exposure_start_ns - line.delay_ns - time_ns) < near
        ]
        if len(fits) != 1 or fits[0] in pairs:
            return None  # of no pulse, or of one that has its frame
        pairs[fits[0]] = counter
    for (n, counter), (later, its) in pairwise(sorted(pairs.items())):
        if not 0 < its - counter <= later - n:
            return None  # more exposures than pulses between the two, or out of order
    if pairs and line.before is not None:
        n, counter = min(pairs.items())
        if counter - line.before - 1 > n:
            return None  # exposed before the first pulse
    return pairs | _overflowed(line, pairs)


def _overflowed(line: Line, pairs: dict[int, int]) -> dict[int, int]:
    """Frames without room have no time, and their counter tells the field while it fits."""
    shifts = {counter - n for n, counter in pairs.items()}
    if len(shifts) != 1:
        return {}
    (first,) = shifts
    return {c - first: c for c in line.overflowed if 0 <= c - first < line.given}


def _by_count(line: Line, kept: dict[int, Numbered]) -> dict[int, int] | None:
    """Field -> counter by counting alone: only where the camera counted exactly the pulses that
    were given, from a counter that is known to be the one before the line, and where no pulse is
    missing among those that were told: it never came, and what follows would be shifted."""
    counters = {*kept, *line.overflowed}
    if any(pulse.count >= line.given for pulse in line.pulses):
        return None
    if line.before is None or line.broken is not None or not counters:
        return None
    if max(counters) - line.before != line.given:
        return None
    return {counter - line.before - 1: counter for counter in counters}
