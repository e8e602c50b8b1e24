"""Pulses for the camera by position: each at its step, once, and only on the way of its move.

Tests take no argument: the mutation run calls them without pytest (tests/mutation/c_run.py).
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from firmware_bridge import messages as m
from firmware_bridge import messages_xy as xy
from tests.support.core_host import SESSION
from tests.support.core_xy import AT, XY_HELLO, CoreXY, refused

FIELD = 749_000  # the pitch of a line of fields
STEP = 100


def on_the_way(host: CoreXY, number: int, x_nm: int, **changes: int) -> list[xy.Triggered]:
    """The pulses told during one move, each held against the one that the camera got."""
    host.take()
    before = len(host.heard)
    assert isinstance(host.go(number, x_nm, **changes)[-1], xy.XyAccepted)
    host.rest()
    pulses = [one for _, one in host.heard[before:] if isinstance(one, xy.Triggered)]
    given = host.board.pulses()
    assert [one.position_nm for one in pulses] == [place for place, *_ in given]
    for place, earlier_nm, within_us, width_us in given:
        assert abs(place - earlier_nm) <= 20_000 + STEP  # in the tick that makes this step
        assert 0 <= within_us <= 1_000
        assert width_us == 10
    return pulses


def wanted(start: int, pitch: int, count: int) -> list[int]:
    """The first whole step at or past each place."""
    sign = 1 if pitch > 0 else -1
    places = [start + n * pitch for n in range(count)]
    return [sign * (-(-sign * place // STEP) * STEP) for place in places]


def test_each_pulse_comes_at_its_step_at_speed_and_on_the_ramps() -> None:
    """Places off the steps, both ways, from right after the start to the target itself."""
    for start, pitch, count, target in (
        (AT + 2_000_033, FIELD, 24, AT + 20_000_000),  # at 11 mm/s
        (AT + 1, 411_111, 48, AT + 300 + 47 * 411_111),  # from the first step on, to the last
        (AT + 100, 400_000, 10, AT + 100 + 9 * 400_000),
        (AT - 1, -411_111, 10, AT - 9 * 411_111 - 100),
        (AT - 100, -400_100, 21, AT - 100 - 20 * 400_100),
    ):
        for speed in (11_000_000, 20_000_000):
            host = CoreXY(clock_us=2**32 - 200_000)
            assert host.arm(1, start, pitch, count) == m.Reason.OK
            pulses = on_the_way(host, 1, target, speed_nm_s=speed)
            assert [one.count for one in pulses] == list(range(count))
            assert [one.position_nm for one in pulses] == wanted(start, pitch, count)
            (done,) = [one for _, one in host.heard if isinstance(one, xy.XyDone)]
            assert (done.pulses, done.result) == (count, m.Result.REACHED)


def test_the_time_of_a_pulse_is_that_of_its_step() -> None:
    """By the trajectory that XY_STATUS tells: half a step before the place, where the motor that
    stands on the nearest step takes it; also while it speeds up."""
    host = CoreXY(clock_us=2**40)
    assert host.arm(1, AT + 50_000, FIELD, 20) == m.Reason.OK
    host.go(1, AT + 16_000_000)
    track: dict[int, int] = {host.board.now_us: AT}
    pulses = []
    for _ in range(1_000):
        came = host.ticks(1)
        track[host.board.now_us] = host.board.xy_nm[0]
        pulses += [one for one in came if isinstance(one, xy.Triggered)]
    assert len(pulses) == 20
    for pulse in pulses:
        tick = max(us for us in track if us <= pulse.time_us)
        part = (pulse.time_us - tick) / 1_000
        at_nm = track[tick] + part * (track[tick + 1_000] - track[tick])
        assert -1 <= at_nm - (pulse.position_nm - STEP / 2) + 20 <= 21


def test_a_copy_of_the_arming_or_of_the_move_gives_no_pulse_twice() -> None:
    host = CoreXY()
    arm = xy.TriggerArm(SESSION, 1, AT + 2_000_000, FIELD, 5, 10)
    armed = [xy.TriggerArmed(1, m.Reason.OK)]
    assert host.say(arm, seq=31) == armed
    assert host.heard[-1][0] == 31
    assert host.say(arm) == armed
    move = host.a_go(1, AT + 8_000_000)
    host.say(move)
    for _ in range(40):
        host.ticks(10)
        assert host.say(arm) == armed
        host.say(move)
    host.rest()
    assert host.say(arm) == armed  # it was armed, and is over
    host.go(2, AT)
    host.rest()
    host.say(m.Sync(SESSION, 1))
    assert len(host.board.pulses()) == 5
    assert host.say(arm) == [xy.TriggerArmed(1, m.Reason.STALE)]  # another move has been made


def test_what_differs_is_armed_anew_before_the_move_and_stale_after_it() -> None:
    host = CoreXY()
    first = xy.TriggerArm(SESSION, 3, AT + 2_000_000, FIELD, 5, 10)
    changes = ({"start_nm": AT + 3_000_000}, {"pitch_nm": FIELD + 1}, {"count": 6},
               {"width_us": 11})  # fmt: skip
    for change in changes:
        assert host.say(first) == [xy.TriggerArmed(3, m.Reason.OK)]
        other = replace(first, **change)
        assert host.say(other) == [xy.TriggerArmed(3, m.Reason.OK)]
        host.say(first)
    host.go(3, AT + 8_000_000)
    host.rest()
    for change in changes:
        assert host.say(replace(first, **change)) == [xy.TriggerArmed(3, m.Reason.STALE)]
    assert [place for place, *_ in host.board.pulses()] == wanted(AT + 2_000_000, FIELD, 5)


def test_they_belong_to_the_move_they_name() -> None:
    host = CoreXY()
    assert host.arm(2, AT + 1_000_000, FIELD, 2) == m.Reason.OK
    assert on_the_way(host, 1, AT + 4_000_000) == []  # the one before
    assert host.arm(3, AT + 3_000_000, -FIELD, 2) == m.Reason.OK
    assert len(on_the_way(host, 3, AT)) == 2
    assert host.arm(4, AT + 1_000_000, FIELD, 2) == m.Reason.OK
    assert on_the_way(host, 5, AT + 4_000_000) == []  # one that came instead
    assert host.arm(4, AT + 3_000_000, -FIELD, 2) == m.Reason.STALE
    assert host.arm(5, AT + 3_000_000, -FIELD, 2) == m.Reason.STALE
    assert on_the_way(host, 6, AT) == []
    host.go(9, AT, assumed_x_nm=0)
    assert host.arm(9, AT + 1_000_000, FIELD, 2) == m.Reason.STALE  # the number refused last
    assert host.arm(10, AT + 1_000_000, FIELD, 2) == m.Reason.OK
    assert host.arm(0, AT + 1_000_000, FIELD, 2) == m.Reason.STALE


def test_what_cannot_be_armed() -> None:
    host = CoreXY()
    low, high = XY_HELLO.x_min_nm, XY_HELLO.x_max_nm
    for number, (start, pitch, count, width, reason) in enumerate((
        (AT, FIELD, 0, 10, m.Reason.CONFIG), (AT, 0, 1, 10, m.Reason.CONFIG),
        (AT, STEP - 1, 1, 10, m.Reason.CONFIG), (AT, 1 - STEP, 1, 10, m.Reason.CONFIG),
        (AT, FIELD, 1, 0, m.Reason.CONFIG), (AT, FIELD, 1, 10_001, m.Reason.CONFIG),
        (low - 1, FIELD, 1, 10, m.Reason.WINDOW), (high + 1, -FIELD, 1, 10, m.Reason.WINDOW),
        (high, FIELD, 2, 10, m.Reason.WINDOW), (low, -FIELD, 2, 10, m.Reason.WINDOW),
        (AT, 2**31 - 1, 2**32 - 1, 10, m.Reason.WINDOW),
        (AT, -(2**31), 2**32 - 1, 10, m.Reason.WINDOW),
        (AT, 2**16, 2**16 + 1, 10, m.Reason.WINDOW),  # 32 bits of it would be the start again
        (low, FIELD, 1, 10_000, m.Reason.OK), (high, -FIELD, 1, 1, m.Reason.OK),
        (high - FIELD, FIELD, 2, 10, m.Reason.OK), (low + FIELD, -FIELD, 2, 10, m.Reason.OK),
        (AT, STEP, 1, 10, m.Reason.OK), (AT, -STEP, 1, 10, m.Reason.OK),
    ), 1):  # fmt: skip
        assert host.arm(number, start, pitch, count, width_us=width) == reason, (start, pitch)


def test_what_is_not_wholly_on_the_way_moves_nothing() -> None:
    number = 0
    host = CoreXY()
    for start, pitch, count, target, right in (
        (AT, FIELD, 1, AT + 2_000_000, False), (AT + 1, FIELD, 1, AT + 2_000_000, True),
        (AT + 1_000_001, FIELD, 1, AT + 1_000_000, False),
        (AT + 1_000_000, FIELD, 1, AT + 1_000_000, True),
        (AT + 1_000_000, FIELD, 2, AT + 1_748_900, False),
        (AT + 1_000_000, FIELD, 2, AT + 1_749_000, True),
        (AT + 1_000_030, FIELD, 1, AT + 1_000_049, False),  # its target is rounded to 1,000,000
        (AT + 1_000_000, -FIELD, 1, AT + 2_000_000, False),
        (AT, -FIELD, 1, AT - 2_000_000, False), (AT - 1, -FIELD, 1, AT - 2_000_000, True),
        (AT - 1_000_001, -FIELD, 1, AT - 1_000_000, False),
        (AT - 1_000_000, -FIELD, 1, AT - 1_000_000, True),
        (AT - 1_000_000, -(2**31), 1, AT - 2_000_000, True),
        (AT - 1_000_000, FIELD, 1, AT - 2_000_000, False),
        (AT + 1_000_000, FIELD, 1, AT, False),
    ):  # fmt: skip
        number += 1
        assert host.arm(number, start, pitch, count) == m.Reason.OK
        if right:
            assert len(on_the_way(host, number, target)) == count
            number += 1
            host.go(number, AT)
            host.rest()
        else:
            assert refused(host.go(number, target)) == xy.XyReason.TRIGGER, (start, target)
            assert host.board.xy_nm == (AT, AT)


def test_pulses_come_no_closer_than_20_ms() -> None:
    number = 0
    host = CoreXY()
    for pitch, speed, right in (
        (400_000, 0, True), (399_999, 0, False), (220_000, 11_000_000, True),
        (219_999, 11_000_000, False), (-400_000, 0, True), (-399_999, 0, False),
        (3_000_000, 0, True), (100, 5_000, True), (100, 5_001, False),
    ):  # fmt: skip
        number += 1
        sign = 1 if pitch > 0 else -1
        assert host.arm(number, AT + 3 * pitch, pitch, 3) == m.Reason.OK
        answer = host.go(number, AT + sign * max(6 * abs(pitch), 700), speed_nm_s=speed)
        if not right:
            assert refused(answer) == xy.XyReason.TRIGGER
            continue
        assert isinstance(answer[-1], xy.XyAccepted)
        pulses = [one for one in host.ticks(2_000) if isinstance(one, xy.Triggered)]
        if abs(pitch) > 100:
            assert len(pulses) == 3
            assert all(b.time_us - a.time_us >= 19_999 for a, b in itertools.pairwise(pulses))
        host.say(m.Sync(SESSION, 1))
        host.rest() if any(host.board.xy_velocity_q8) else None
        number += 1
        assert isinstance(host.go(number, AT)[-1], xy.XyAccepted)
        host.rest()
        host.board.pulses()


def test_no_pulse_after_a_stop_a_switch_or_silence() -> None:
    for harm in ("stop", "switch", "y-switch", "silence", "z"):
        host = CoreXY()
        host.arm(1, AT + 2_000_000, 400_000, 40)
        host.go(1, AT + 20_000_000, AT + 9_000_000)
        host.ticks(300)
        if harm == "stop":
            host.say(m.Stop(SESSION))
        elif harm == "silence":
            host.ticks(191, alive=False)
        elif harm == "z":
            host.move(1, 5_900_000)
            host.ticks(3)
            host.board.pins(b"H")
            host.ticks(2)
        else:
            host.board.pins(b"F" if harm == "switch" else b"K")
            host.ticks(1)
        given = len(host.board.pulses())
        assert 5 < given < 20
        assert host.ended().pulses == given
        host.board.pins(b"fkh")
        assert host.board.pulses() == []  # braking, it passes over more places
        host.rest()
        assert host.xy_status().pulses == given
        pulses = [one for _, one in host.heard if isinstance(one, xy.Triggered)]
        assert [one.count for one in pulses] == list(range(given))


def test_the_count_begins_anew_with_each_move() -> None:
    host = CoreXY()
    host.arm(1, AT + 2_000_000, FIELD, 3)
    on_the_way(host, 1, AT + 5_000_000)
    assert host.xy_status().pulses == 3
    copy = host.a_go(1, AT + 5_000_000, assumed_x_nm=AT)
    assert host.arm(2, AT + 1_000_000, FIELD, 1) == m.Reason.OK  # one that is never made
    assert host.xy_status().pulses == 3
    assert host.say(copy)[1].pulses == 3
    host.go(3, AT)
    assert host.xy_status().pulses == 0
    host.rest()
    host.arm(4, AT + 2_000_000, FIELD, 2)
    assert [one.count for one in on_the_way(host, 4, AT + 5_000_000)] == [0, 1]


def test_a_step_of_another_size_and_an_axis_below_zero() -> None:
    limits = (-40_000_000, 0, 37, 20_000_000, 200_000_000, 0, 25_000_000, 37, 20_000_000,
              200_000_000)  # fmt: skip
    host = CoreXY(xy_hello=False, xy_limits=limits, xy_start_nm=(-20_000_000, 10_000_000))
    host.say(replace(XY_HELLO, x_min_nm=-40_000_000, x_max_nm=0))
    for number, sign in ((1, 1), (2, -1)):
        here = host.board.xy_nm[0]
        start = here + sign * 2_000_001
        assert host.arm(number, start, sign * 749_001, 9) == m.Reason.OK
        move = replace(host.a_go(number, here + sign * 10_000_000), y_nm=host.board.xy_nm[1])
        host.say(move)
        host.rest()
        places = [place for place, *_ in host.board.pulses()]
        assert len(places) == 9
        for n, place in enumerate(places):
            assert place % 37 == 0
            assert 0 <= sign * (place - start - sign * n * 749_001) < 37


def test_steps_and_pitches_of_one_nanometre() -> None:
    limits = (0, 1_000, 1, 1_000_000, 200_000_000, 0, 1_000, 1, 1_000_000, 200_000_000)
    for sign in (1, -1):
        host = CoreXY(xy_hello=False, xy_limits=limits, xy_start_nm=(500, 500))
        host.say(replace(XY_HELLO, x_min_nm=0, x_max_nm=1_000, y_min_nm=0, y_max_nm=1_000))
        assert host.arm(1, 500 + sign, sign, 3) == m.Reason.OK
        answers = host.go(1, 500 + 4 * sign, 500, speed_nm_s=50)
        assert isinstance(answers[-1], xy.XyAccepted), answers
        host.rest()
        assert [place for place, *_ in host.board.pulses()] == [500 + n * sign for n in (1, 2, 3)]
