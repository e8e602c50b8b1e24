"""A missing frame is a lost field and never a shifted one."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest

from edge.camera import Frame, Numbered, PixelFormat
from edge.wsi.line_match import Line, Loss, match
from firmware_bridge.xy_stage import Trigger, Triggered
from simulator.xy_stage import SimulatedXYStage

PERIOD = 68_000_000  # ns between fields of 749 um at 11 mm/s
PIXELS = np.zeros((1, 1), np.uint8)


def frame(counter: int, start_ns: int, uncertainty_ns: int = 100_000) -> Numbered:
    return Numbered(
        counter,
        Frame(PIXELS, PixelFormat.MONO8, counter, start_ns, start_ns + 15_000, uncertainty_ns),
    )


def pulse(n: int) -> Triggered:
    return Triggered(n, n * PERIOD, 749.0 * n)


def a_line(count: int = 8, first: int = 101, uncertainty_ns: int = 100_000) -> Line:
    """All as it should be; frame n of it starts 2 ms after pulse n."""
    return Line(
        planned=count, given=count, pulses=[pulse(n) for n in range(count)],
        frames=[frame(first + n, n * PERIOD + 2_000_000, uncertainty_ns) for n in range(count)],
        before=first - 1, period_ns=PERIOD, delay_ns=2_000_000,
    )  # fmt: skip


def shown(line: Line) -> list[int | Loss]:
    """Per field: which exposure (by its time) its frame is, or why there is none."""
    fields = match(line).fields
    assert len(fields) == line.planned
    return [
        one if isinstance(one, Loss) else (one.frame.exposure_start_ns - 2_000_000) // PERIOD
        for one in fields
    ]


COARSE = 10**9  # a clock that cannot tell one field from the next
CLOCKS = pytest.mark.parametrize("uncertainty_ns", [100_000, COARSE])


@CLOCKS
def test_a_whole_line(uncertainty_ns: int) -> None:
    assert shown(a_line(uncertainty_ns=uncertainty_ns)) == list(range(8))


@CLOCKS
@pytest.mark.parametrize("missing", [0, 3])
def test_a_frame_lost_on_its_way_is_that_field_and_no_other(
    missing: int, uncertainty_ns: int
) -> None:
    line = a_line(uncertainty_ns=uncertainty_ns)
    left = [one for n, one in enumerate(line.frames) if n != missing]
    wanted: list[int | Loss] = list(range(8))
    wanted[missing] = Loss.NO_FRAME
    assert shown(replace(line, frames=left)) == wanted


def test_the_last_frame_missing_needs_a_clock() -> None:
    """Without one it may as well be that the camera took no notice of an earlier pulse."""
    line = a_line()
    assert shown(replace(line, frames=line.frames[:-1])) == [*range(7), Loss.NO_FRAME]
    line = a_line(uncertainty_ns=COARSE)
    assert shown(replace(line, frames=line.frames[:-1])) == [Loss.UNSURE] * 8


def test_a_pulse_that_the_camera_did_not_take_shifts_its_counter_and_no_field() -> None:
    line = a_line()
    late = [replace(one, counter=one.counter - (n > 3)) for n, one in enumerate(line.frames)]
    del late[3]
    assert shown(replace(line, frames=late)) == [0, 1, 2, Loss.NO_FRAME, 4, 5, 6, 7]
    line = a_line(uncertainty_ns=COARSE)
    late = [replace(one, counter=one.counter - (n > 3)) for n, one in enumerate(line.frames)]
    del late[3]
    assert shown(replace(line, frames=late)) == [Loss.UNSURE] * 8


@CLOCKS
def test_copies_and_late_frames(uncertainty_ns: int) -> None:
    line = a_line(uncertainty_ns=uncertainty_ns)
    frames = [*line.frames[1:4], line.frames[2], line.frames[0], *line.frames[4:], line.frames[7]]
    matched = match(replace(line, frames=frames))
    assert shown(replace(line, frames=frames)) == list(range(8))
    assert (matched.copies, matched.strangers) == (2, 0)
    stale = frame(100, -5_000_000_000, uncertainty_ns)  # of before the line, come late
    matched = match(replace(line, frames=[stale, *line.frames]))
    assert (matched.lost, matched.strangers) == ({}, 1)


@CLOCKS
def test_no_room_is_told_from_lost(uncertainty_ns: int) -> None:
    line = a_line(uncertainty_ns=uncertainty_ns)
    left = replace(line, frames=line.frames[:5], overflowed=[106, 107, 108])
    assert shown(left) == [0, 1, 2, 3, 4, *[Loss.OVERFLOW] * 3]


@CLOCKS
def test_a_line_that_was_stopped(uncertainty_ns: int) -> None:
    line = a_line(uncertainty_ns=uncertainty_ns)
    left = replace(line, given=5, pulses=line.pulses[:5], frames=line.frames[:5])
    assert shown(left) == [0, 1, 2, 3, 4, *[Loss.NO_PULSE] * 3]


@CLOCKS
def test_an_exposure_without_a_pulse_makes_all_of_it_unsure(uncertainty_ns: int) -> None:
    line = a_line(uncertainty_ns=uncertainty_ns)
    late = [replace(one, counter=one.counter + (n > 3)) for n, one in enumerate(line.frames)]
    between = frame(105, 3 * PERIOD + PERIOD // 2 + 2_000_000, uncertainty_ns)
    for frames in (late, [*late, between]):
        assert shown(replace(line, frames=frames)) == [Loss.UNSURE] * 8


def test_a_pulse_of_which_nobody_told_is_counted_all_the_same() -> None:
    """TRIGGERED was lost on the line; the board's count says that the pulse was given."""
    line = a_line()
    assert shown(replace(line, pulses=[*line.pulses[:3], *line.pulses[4:]])) == list(range(8))


def test_nothing_known_before_the_line() -> None:
    line = replace(a_line(), before=None)
    assert shown(line) == list(range(8))  # by time
    line = replace(a_line(uncertainty_ns=COARSE), before=None)
    assert shown(line) == [Loss.UNSURE] * 8


def test_a_camera_that_was_lost_in_mid_line() -> None:
    line = a_line()
    left = replace(line, frames=line.frames[:4], broken="unplugged")
    assert shown(left) == [0, 1, 2, 3, *[Loss.NO_FRAME] * 4]
    line = a_line(uncertainty_ns=COARSE)
    left = replace(line, frames=line.frames[:4], broken="unplugged")
    assert shown(left) == [Loss.UNSURE] * 8


def test_whatever_is_lost_no_field_gets_anothers_frame() -> None:
    """At random: pulses not taken, frames lost, doubled, late, without room; both clocks."""
    dice = random.Random(5)
    lost = 0
    for _ in range(2_000):
        uncertainty = dice.choice((100_000, COARSE))
        count, counter, frames, overflowed = dice.randrange(1, 12), 100, [], []
        for n in range(count):
            if dice.random() < 0.06:
                continue  # not taken
            counter += 1
            one = frame(counter, n * PERIOD + 2_000_000, uncertainty)
            roll = dice.random()
            if roll < 0.06:
                continue
            if roll < 0.1:
                overflowed.append(counter)
                continue
            frames += [one] * dice.choice((1, 1, 1, 2))
        dice.shuffle(frames)
        line = replace(a_line(count), frames=frames, overflowed=overflowed)
        for n, one in enumerate(shown(line)):
            assert one == n or isinstance(one, Loss), (n, one)
            lost += isinstance(one, Loss)
    assert lost > 500


def test_a_line_of_the_twin_whose_pulses_do_not_all_come() -> None:
    """The twin's sweep, a camera that exposes at each pulse that came, one frame lost."""
    now_ns = [0]

    def sleep(seconds: float) -> None:
        now_ns[0] += round(seconds * 1e9)

    stage = SimulatedXYStage((0, 0, 30_000, 30_000), (1_000, 5_000), clock=lambda: now_ns[0],
                             sleep=sleep)  # fmt: skip
    stage.lost_pulses = frozenset({2})
    stage.sweep(12_000.0, 11_000.0, (1_000.0, 5_000.0), Trigger(2_000.0, 749.0, 10))
    stage.wait(60.0)
    told = stage.triggered()
    frames = [frame(7 + n, one.time_ns + 2_000_000) for n, one in enumerate(told)]
    del frames[5]  # of field 6
    line = Line(10, stage.pulses_given(), told, frames, 6, PERIOD, delay_ns=2_000_000)
    at = {pulse.count: pulse.time_ns for pulse in told}
    fields = match(line).fields
    assert [fields[2], fields[6]] == [Loss.NO_PULSE, Loss.NO_FRAME]
    for n, one in enumerate(fields):
        if n not in (2, 6):
            assert isinstance(one, Numbered)
            assert one.frame.exposure_start_ns - 2_000_000 == at[n]
    coarse = [replace(one, frame=replace(one.frame, time_uncertainty_ns=COARSE)) for one in frames]
    assert set(match(replace(line, frames=coarse)).fields) == {Loss.UNSURE, Loss.NO_PULSE}
