"""X and Y by the binary protocol: the true driver and the firmware's own C, on a clock of their
own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from firmware_bridge import messages as m
from firmware_bridge.errors import LinkLost, StageRefused, StageUncertain
from firmware_bridge.framing import decode_frame
from firmware_bridge.messages_xy import Triggered as Told
from firmware_bridge.stages.binary import BinaryStage
from firmware_bridge.stages.binary_xy import BinaryXYStage
from firmware_bridge.xy_stage import XY_STAGES, Trigger
from tests.support.board_time import BoardTime, Harm, board_time, healthy
from tests.support.virtual_board import XY_LIMITS, VirtualBoard

WINDOW = (1_000.0, 2_000.0, 40_000.0, 20_000.0)
HERE = (10_000.0, 10_000.0)


@contextmanager
def a_slide(
    harm: Harm = healthy, xy: tuple[int, ...] = XY_LIMITS
) -> Iterator[tuple[BoardTime, BinaryStage, BinaryXYStage]]:
    board = VirtualBoard(xy_limits=xy)
    with board_time(board, harm) as time:
        z = BinaryStage(
            port="virtual", z_min_um=1_000.0, z_max_um=9_000.0, backlash_um=0.0, settle_ms=5,
            open_link=lambda *_: time,
        )  # fmt: skip
        yield time, z, BinaryXYStage(z, window_um=WINDOW, settle_ms=5)


def test_moves_of_both_axes_and_of_z_beside_them() -> None:
    with a_slide() as (time, z, xy):
        assert (xy.x_min_um, xy.y_min_um, xy.x_max_um, xy.y_max_um) == WINDOW
        assert (xy.resolution_um, xy.speed_um_s, xy.acceleration_um_s2) == (0.1, 2e4, 2e5)
        before = xy.status()
        assert (before.x_um, before.y_um, before.settled_ns) == (*HERE, 0)
        assert xy.move_to(12_000.0, 9_000.0, HERE) == 1
        assert xy.status().moving
        z.move_to(5_010.0, 5_000.0)
        rest = xy.wait(5.0)
        assert (rest.x_um, rest.y_um, rest.moving, rest.latched) == (12_000.0, 9_000.0, False, None)
        assert rest.settled_ns is not None
        assert abs(rest.settled_ns - time.now_ns) < 50_000_000
        assert z.wait(5.0).z_um == 5_010.0
        assert xy.move_to(10_000.0, 10_000.0, (12_000.0, 9_000.0)) == 2
        xy.wait(5.0)
        assert time.board.xy_nm == (10_000_000, 10_000_000)


@pytest.mark.parametrize(
    ("target", "assumed", "reason"),
    [
        ((999.0, 1e4), HERE, "WINDOW"), ((1e4, 20_001.0), HERE, "WINDOW"),
        ((float("nan"), 1e4), HERE, "NOT_FINITE"), ((1e4, 1e4), (1e4, 1e4 + 2), "ASSUMED_DIFFERS"),
    ],
)  # fmt: skip
def test_what_is_refused_moves_neither(
    target: tuple[float, float], assumed: tuple[float, float], reason: str
) -> None:
    with a_slide() as (time, _, xy):
        with pytest.raises(StageRefused, match=reason):
            xy.move_to(*target, assumed)
        xy.status()
        assert time.board.bench.report_xy().moves_started == 0


def test_the_firmware_has_the_last_word() -> None:
    """What the driver lets pass, the board still refuses, and says why."""
    with a_slide() as (_, z, xy):
        z.stop()
        xy.clear()
        with pytest.raises(StageRefused, match="Z_LATCHED"):
            xy.move_to(11_000.0, 10_000.0, HERE)
        z.clear()
        assert xy.move_to(11_000.0, 10_000.0, HERE) == 2


def test_a_stop_of_either_stops_all_three_and_is_cleared_by_a_person() -> None:
    for which in ("z", "xy"):
        with a_slide() as (time, z, xy):
            xy.move_to(30_000.0, 10_000.0, HERE)
            z.move_to(8_000.0, 5_000.0)
            time.pass_s(0.2)
            (z if which == "z" else xy).stop()
            if which == "xy":
                assert xy.wait(5.0).latched == "STOPPED"  # that was us: no doubt about it
            else:
                with pytest.raises(StageUncertain, match="STOPPED"):
                    xy.wait(5.0)
            assert 10_000 < xy.status().x_um < 20_000
            assert z.status().latched == "STOPPED"
            with pytest.raises(StageRefused, match="LATCHED"):
                xy.move_to(*HERE, (xy.status().x_um, xy.status().y_um))


def test_a_sweep_gives_pulses_and_tells_of_each() -> None:
    with a_slide() as (time, _, xy):
        line = Trigger(start_um=12_000.0, pitch_um=749.0, count=20)
        assert xy.sweep(28_000.0, 11_000.0, HERE, line) == 1
        rest = xy.wait(10.0)
        assert (rest.x_um, rest.y_um) == (28_000.0, 10_000.0)
        pulses = xy.triggered()
        assert [one.count for one in pulses] == list(range(20))
        assert [one.x_um for one in pulses] == [12_000.0 + n * 749.0 for n in range(20)]
        ways = [b.time_ns - a.time_ns for a, b in pairwise(pulses)]
        assert all(abs(way / 1e6 - 749 / 11) < 0.1 for way in ways)  # the clocks' line is learnt
        assert len(time.board.pulses()) == xy.pulses_given() == 20
        xy.move_to(*HERE, (28_000.0, 10_000.0))
        xy.wait(10.0)
        assert xy.triggered() == []
        assert xy.pulses_given() == 0
        assert time.board.pulses() == []


def test_a_pulse_whose_word_was_lost_is_counted() -> None:
    """By the board's own count: its field is there, and only its time is not known."""
    lost: list[int] = []

    def harm(wire: bytes, to_board: bool) -> list[tuple[int, bytes]]:
        pieces = [piece + b"\0" for piece in wire.split(b"\0")[:-1]]
        arrives = []
        for piece in pieces:
            told = not to_board and decode_frame(piece[:-1]).kind == m.CODES[Told]
            lost.extend([1] if told else [])
            if not (told and len(lost) == 2):
                arrives.append((1_000, piece))
        return arrives

    with a_slide(harm) as (_, _, xy):
        xy.sweep(15_000.0, 11_000.0, HERE, Trigger(11_000.0, 749.0, 4))
        xy.wait(5.0)
        assert [one.count for one in xy.triggered()] == [0, 2, 3]
        assert xy.pulses_given() == 4


def test_late_copies_of_everything_tell_of_no_pulse_twice() -> None:
    """Nor of one of the line before."""

    def harm(wire: bytes, to_board: bool) -> list[tuple[int, bytes]]:
        return [(1_000, wire), (150_000, wire), (400_000, wire)]

    with a_slide(harm) as (time, _, xy):
        at, sign = HERE, 1
        for number in range(4):
            line = Trigger(at[0] + sign * 400.0, sign * 749.0, 3)
            assert xy.sweep(line.end_um + sign * 310.0, 11_000.0, at, line) == number + 1
            xy.wait(5.0)
            assert [one.count for one in xy.triggered()] == [0, 1, 2]
            places = [line.start_um + n * line.pitch_um for n in range(3)]
            assert [one.x_um for one in xy.triggered()] == places
            assert len(time.board.pulses()) == 3
            at, sign = (xy.status().x_um, at[1]), -sign


@pytest.mark.parametrize(
    ("to", "speed", "line", "reason"),
    [
        (28_000.0, 11_000.0, Trigger(10_100.0, 749.0, 20), "RUN_UP"),
        (26_300.0, 11_000.0, Trigger(12_000.0, 749.0, 20), "RUN_UP"),
        (28_000.0, 11_000.0, Trigger(12_000.0, -749.0, 2), "RUN_UP"),
        (28_000.0, 11_000.0, Trigger(12_000.0, 100.0, 20), "TRIGGER"),  # 9 ms apart
        (28_000.0, 11_000.0, Trigger(12_000.0, 749.0, 20, 20_000.0), "TRIGGER"),
        (28_000.0, 30_000.0, None, "SPEED"), (41_000.0, 11_000.0, None, "WINDOW"),
    ],
)  # fmt: skip
def test_a_sweep_that_cannot_be_made_moves_nothing(
    to: float, speed: float, line: Trigger | None, reason: str
) -> None:
    with a_slide() as (time, _, xy):
        with pytest.raises(StageRefused, match=reason):
            xy.sweep(to, speed, HERE, line)
        xy.status()
        assert time.board.bench.report_xy().moves_started == 0
        xy.move_to(12_000.0, 10_000.0, HERE)  # and pulses that were armed come on no other way
        xy.wait(5.0)
        assert time.board.pulses() == []


def test_where_it_was_at_a_moment() -> None:
    with a_slide() as (time, _, xy):
        xy.move_to(30_000.0, 10_000.0, HERE)
        time.pass_s(0.4)
        then_ns, there_nm = time.now_ns, time.board.xy_nm[0]
        at = xy.xy_at(then_ns)
        assert abs(at.x_um * 1e3 - there_nm) <= at.uncertainty_um * 1e3
        assert at.y_um == 10_000.0
        xy.wait(5.0)
        assert xy.xy_at(time.now_ns).x_um == 30_000.0
        with pytest.raises(StageRefused, match="no-history"):
            xy.xy_at(time.now_ns + 1_000_000)


def test_silence_of_the_host_stops_the_slide() -> None:
    with a_slide() as (time, _, xy):
        xy.move_to(30_000.0, 10_000.0, HERE)
        time.beats = False
        time.pass_s(0.6)
        time.beats = True
        with pytest.raises(StageUncertain, match="WATCHDOG"):
            xy.wait(5.0)
        assert xy.status().latched == "SAFE_STOP"


def test_a_move_whose_answers_are_lost_is_uncertain_and_reconnects() -> None:
    deaf: list[bool] = []

    def harm(wire: bytes, to_board: bool) -> list[tuple[int, bytes]]:
        return [] if deaf and to_board else [(1_000, wire)]

    with a_slide(harm) as (time, z, xy):
        deaf.append(True)
        with pytest.raises(StageUncertain):
            xy.move_to(11_000.0, 10_000.0, HERE)
        deaf.clear()
        with pytest.raises(StageUncertain):
            xy.move_to(11_000.0, 10_000.0, HERE)
        z.reconnect()
        with pytest.raises(StageUncertain, match="another session"):
            xy.status()
        xy.reconnect()
        assert xy.move_to(11_000.0, 10_000.0, HERE) == 1
        assert xy.wait(5.0).x_um == 11_000.0
        assert time.board.bench.report_xy().moves_started == 1


def test_a_board_that_restarts_is_found_out() -> None:
    with a_slide() as (time, _, xy):
        xy.move_to(30_000.0, 10_000.0, HERE)
        time.pass_s(0.1)
        time.board.pins(b"r")
        with pytest.raises((StageUncertain, LinkLost)):
            xy.wait(5.0)
        with pytest.raises((StageUncertain, LinkLost)):
            xy.move_to(11_000.0, 10_000.0, HERE)


def test_a_board_with_z_alone() -> None:
    with pytest.raises(StageRefused, match="NO_XY"), a_slide(xy=()):
        pass


def test_another_table_or_window_of_the_board_is_noticed() -> None:
    with a_slide() as (_, z, _), pytest.raises(StageRefused, match="WINDOW"):
        BinaryXYStage(z, window_um=(-1.0, 0.0, 100.0, 100.0))
    with a_slide() as (_, z, _), pytest.raises(StageRefused, match="CONFIG"):
        BinaryXYStage(z, window_um=WINDOW, speed_um_s=30_000.0)


def test_it_is_in_the_table_and_old_hosts_hear_nothing_of_it() -> None:
    assert XY_STAGES["binary"] == "firmware_bridge.stages.binary_xy:open_binary_xy"
    board = VirtualBoard(xy_limits=XY_LIMITS)
    with board_time(board) as time:
        BinaryStage(port="v", z_min_um=1_000.0, z_max_um=9_000.0, open_link=lambda *_: time)
        time.pass_s(1.0)
        assert time.client is not None
        assert time.client.exchange.foreign_frames == 0
        assert isinstance(time.client.newest(), m.Status)
